"""Recordings in another feeling or another voice: what was heard, how it moves, and the way back to samples."""
