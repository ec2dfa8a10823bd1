"""`python -m reranker`: see reranker/cli.py."""

import sys

from reranker.cli import main

if __name__ == "__main__":
    sys.exit(main())
