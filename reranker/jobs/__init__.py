"""Jobs: training runs as subprocesses with a folder each, which everybody else only reads."""
