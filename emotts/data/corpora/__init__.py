"""Recorded corpora: one file per corpus or family reads its own layout and gives rows of one kind; `registry.py` names them."""
