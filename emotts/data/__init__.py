"""Corpora: the manifest of utterances and the dataset that reads it."""
