"""Stage 2: reads windows of candidates, writes the reasons and the permutation."""
