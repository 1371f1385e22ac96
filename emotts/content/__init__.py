"""Content at the door of the model: the text encoder."""
