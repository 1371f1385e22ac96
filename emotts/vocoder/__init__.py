"""The harmonic-plus-noise vocoder."""
