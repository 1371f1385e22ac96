"""The simulated corpus: open voices read sentences under known acoustic controls."""
