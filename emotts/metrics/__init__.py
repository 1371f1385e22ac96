"""Measures of speech: intelligibility, quality, speaker, prosody, flow, and the statistics that sum them up."""
