"""The flow-matching acoustic model."""
