"""The start of the page: flags, configuration, launch."""

from __future__ import annotations

import argparse
import os
from typing import get_args

from app.library import Library
from app.login import read_logins
from app.ui import build_page, serve_page
from reranker.config import DEFAULT_STUDENT
from reranker.errors import StudentError
from reranker.types import Quantization


def read_flags() -> argparse.Namespace:
    on_space = bool(os.environ.get("SPACE_ID"))
    parser = argparse.ArgumentParser(description="Serve DeAR Studio's page.")
    parser.add_argument("--host", default=None if on_space else "127.0.0.1", help="address to use")
    parser.add_argument("--port", type=int, default=7860)
    student = os.environ.get("DEAR_STUDENT", DEFAULT_STUDENT)
    parser.add_argument("--student", default=student, help="a profile's name or folder")
    parser.add_argument("--quantization", choices=get_args(Quantization), default=None)
    parser.add_argument("--login", type=read_logins, help="file of name:password lines")
    return parser.parse_args()


def main() -> None:
    flags = read_flags()
    try:
        library = Library(student=flags.student, quantization=flags.quantization)
    except StudentError as error:
        raise SystemExit(f"error: {error}") from error
    serve_page(build_page(library, bool(flags.login)), library, flags.host, flags.port, flags.login)


if __name__ == "__main__":
    main()
