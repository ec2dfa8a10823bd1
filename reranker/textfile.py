"""Text files from outside: read whole, bounded, decoded once.

Takes a path, plain or gzip (told by content, not by name), returns its text without a
byte-order mark. Knows no format: `trec.py` and `candidates.py` say what the lines mean.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from reranker.errors import InputError

MAX_TEXT_BYTES = 512 * 2**20
_GZIP_MAGIC = b"\x1f\x8b"


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of `path`, UTF-8 with or without a byte-order mark, gzip or plain.

    max_bytes bounds the text after decompression, so that a small archive cannot inflate
    without end. Raises InputError when the file cannot be opened, is larger, is a damaged
    archive, or is not UTF-8 text.
    """
    data = _read_bytes(path, max_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected UTF-8 text, got the byte 0x{data[error.start]:02x}; save the file as UTF-8",
            where=f"{path.name}:{data.count(10, 0, error.start) + 1}",
        ) from error
    if "\0" in text:
        raise InputError(
            "expected text, got binary content (a zero byte); give the text file itself",
            where=f"{path.name}:{text.count(chr(10), 0, text.index(chr(0))) + 1}",
        )
    return text


def iterate_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""(1-based line number, line) for every line that is not blank; \n and \r\n end a line.

    Only these end a line: a doc_id or a JSON string may hold any other Unicode separator.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.isspace():
            yield number, line.removesuffix("\r")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, gzip when the name ends in .gz; the same text gives the same bytes."""
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as raw:
            zipped = raw.peek(2)[:2] == _GZIP_MAGIC
            with gzip.GzipFile(fileobj=raw) if zipped else raw as stream:
                data = stream.read(max_bytes + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"expected a whole gzip file, got a damaged one ({error}); copy it again",
            where=path.name,
        ) from error
    except OSError as error:
        raise InputError(
            f"expected a readable file, got {error.strerror or error}; check the path",
            where=path.name,
        ) from error
    if len(data) > max_bytes:
        raise InputError(
            f"expected at most {max_bytes:,} bytes of text, got more; split the file",
            where=path.name,
        )
    return data
