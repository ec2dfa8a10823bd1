"""Measures and statistics over runs: runs and qrels in, numbers out. Draws nothing."""
