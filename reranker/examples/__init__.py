"""Training examples: files and corpora in, checked records, statistics and leakage reports out."""
