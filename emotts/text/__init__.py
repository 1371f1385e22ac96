"""Text in, phoneme tokens out: normalisation, pronunciation, markup and splitting."""
