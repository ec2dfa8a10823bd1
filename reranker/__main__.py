"""`python -m reranker`: see reranker/cli.py."""

import io
import sys

from reranker.cli import main

if __name__ == "__main__":
    # Results are UTF-8 wherever they go: a terminal's own encoding may lack what a passage has.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())
