"""From bytes to numbered lines of text, within limits, or an error that names the line.

Takes an open binary stream and the name to blame, returns lines; knows no file format. Every
reader of this package gets its text from here, so encodings, line ends and sizes are judged
in one place. UTF-8 with or without a byte-order mark, LF, CRLF and CR are read right.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from reranker.corpora.limits import MAX_FILE_BYTES, MAX_LINE_BYTES, MIB
from reranker.errors import InputError

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BINARY_STARTS = {
    b"PK\x03\x04": "a zip archive (or an Office document)",
    b"\x1f\x8b": "gzip data",
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a file, without its line end. `number` is 1-based."""

    number: int
    text: str


def read_lines(stream: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of a stream.

    Raises InputError, naming the line, for binary content, text that is not UTF-8, and lines
    or streams beyond the limits. The stream is read as it goes: at most one line is held.
    """
    number = 0
    total = 0
    while chunk := _read_line(stream, name, number + 1):
        total += len(chunk)
        if total > MAX_FILE_BYTES:
            raise _too_large(name, number + 1)
        if number == 0:
            chunk = _check_start(chunk, name)
        text = _decode(chunk, f"{name}:{number + 1}")
        for part in text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n"):
            number += 1
            yield Line(number=number, text=part)


@contextmanager
def open_file(path: Path, name: str) -> Iterator[BinaryIO]:
    """An existing regular file for reading, unpacked on the way when it ends in .gz.

    Raises InputError when it is missing, no regular file, unreadable or over the limit.
    """
    if not path.is_file():
        got = "something else" if path.exists() else "nothing there"
        raise InputError(f"expected a file, got {got}; check the path", where=name)
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(
            f"expected a readable file, got {error.strerror!r}; check its permissions", where=name
        ) from error
    with raw:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _too_large(name)
        yield unpack_gzip(raw) if path.suffix.lower() == ".gz" else raw


def unpack_gzip(stream: BinaryIO) -> BinaryIO:
    """The unpacked side of a gzip stream; damage shows, as an InputError, in `read_lines`."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream))


def _read_line(stream: BinaryIO, name: str, number: int) -> bytes:
    where = f"{name}:{number}"
    try:
        chunk = stream.readline(MAX_LINE_BYTES + 1)
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(
            f"expected a whole file, got a damaged one ({error}); pack or copy it again",
            where=where,
        ) from error
    if len(chunk) > MAX_LINE_BYTES:
        raise InputError(
            f"expected lines of at most {MAX_LINE_BYTES // MIB} MiB, got a longer one; "
            "put one passage on a line, and split long ones",
            where=where,
        )
    return chunk


def _check_start(chunk: bytes, name: str) -> bytes:
    """Judges the first line's first bytes; returns it without its byte-order mark."""
    where = f"{name}:1"
    if chunk.startswith(_UTF16_MARKS):
        raise InputError("expected UTF-8 text, got UTF-16; save it as UTF-8", where=where)
    for start, kind in _BINARY_STARTS.items():
        if chunk.startswith(start):
            raise InputError(
                f"expected UTF-8 text, got {kind}; export its text, or give the file the "
                "ending that belongs to it",
                where=where,
            )
    return chunk.removeprefix(_UTF8_MARK)


def _decode(chunk: bytes, where: str) -> str:
    if b"\0" in chunk:
        raise InputError(
            "expected text, got binary content (a NUL byte); export it as UTF-8 text", where=where
        )
    try:
        return chunk.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected UTF-8, got byte 0x{chunk[error.start]:02x} at column {error.start + 1}, "
            "which is another encoding or binary content; save it as UTF-8",
            where=where,
        ) from error


def _too_large(name: str, line: int | None = None) -> InputError:
    return InputError(
        f"expected at most {MAX_FILE_BYTES // MIB} MiB of text, got more; split it, or keep the "
        "passages you need",
        where=name if line is None else f"{name}:{line}",
    )
