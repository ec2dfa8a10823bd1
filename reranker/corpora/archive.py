"""A zip file as a set of files, read in place: nothing is ever unpacked onto the disk.

Takes a zip's path, returns names and open streams; knows no format. An archive that tries to
escape its folder, to inflate without bound or to hide something is refused as a whole, before
any entry is read. While reading, an entry can give no more bytes than it declared, and the
line reader counts what it really gets.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from reranker.corpora import limits
from reranker.corpora.limits import MIB
from reranker.corpora.reading import unpack_gzip
from reranker.errors import InputError

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END_RECORD, _END_RECORD_SIZE = b"PK\x05\x06", 22
_BIG_LOCATOR, _BIG_LOCATOR_SIZE = b"PK\x06\x07", 20
_LONGEST_COMMENT = 0xFFFF
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")


class ZipFiles:
    """The files in a zip. Raises InputError on opening whatever looks like an attack."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        if not path.is_file():
            self._refuse("expected a zip file, got nothing of that name; check the path")
        if path.stat().st_size > limits.MAX_ARCHIVE_BYTES:
            self._refuse(
                f"expected an archive of at most {limits.MAX_ARCHIVE_BYTES // MIB} MiB, got a "
                "larger one; unpack it and give the folder"
            )
        self._check_directory()
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            self._refuse(
                f"expected a zip archive, got a damaged file ({error}); pack it again", error
            )
        self._check_entries(entries)
        self._paths = tuple(sorted(entry.filename for entry in entries if not entry.is_dir()))

    def list_paths(self) -> tuple[str, ...]:
        """Paths in alphabetical order, hidden files left out."""
        return tuple(path for path in self._paths if not _HIDDEN.search(path))

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        with zipfile.ZipFile(self._path) as archive:
            try:
                entry = archive.open(path)
            except zipfile.BadZipFile as error:
                self._refuse(f"expected a whole entry {path!r}, got a damaged one ({error})", error)
            with entry:
                stream = cast(BinaryIO, entry)
                yield unpack_gzip(stream) if path.lower().endswith(".gz") else stream

    def _check_directory(self) -> None:
        """Bounds the table of contents before zipfile reads it whole, looking where it looks."""
        with self._path.open("rb") as raw:
            size = raw.seek(0, 2)
            reach = _END_RECORD_SIZE + _LONGEST_COMMENT + _BIG_LOCATOR_SIZE
            raw.seek(max(0, size - reach))
            tail = raw.read()
        end = len(tail) - _END_RECORD_SIZE
        if not (tail.startswith(_END_RECORD, max(end, 0)) and tail.endswith(b"\0\0")):
            end = tail.rfind(_END_RECORD)
        if end < 0 or end + _END_RECORD_SIZE > len(tail):
            self._refuse("expected a zip archive, got something else; pack it again as zip")
        big = tail.startswith(_BIG_LOCATOR, max(0, end - _BIG_LOCATOR_SIZE))
        (directory_size,) = struct.unpack_from("<L", tail, end + 12)
        if big or directory_size > limits.MAX_ARCHIVE_DIRECTORY_BYTES:
            self._refuse(
                f"expected at most {limits.MAX_ARCHIVE_ENTRIES:,} entries, got more (or a zip64 "
                "archive); pack only the corpus, in a plain zip"
            )

    def _check_entries(self, entries: list[zipfile.ZipInfo]) -> None:
        if len(entries) > limits.MAX_ARCHIVE_ENTRIES:
            self._refuse(
                f"expected at most {limits.MAX_ARCHIVE_ENTRIES:,} entries, got {len(entries):,}; "
                "pack only the corpus"
            )
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > limits.MAX_ARCHIVE_UNPACKED_BYTES:
            self._refuse(
                f"expected at most {limits.MAX_ARCHIVE_UNPACKED_BYTES // MIB} MiB unpacked, got "
                f"{unpacked // MIB:,} MiB; pack only the corpus"
            )
        names = [entry.filename for entry in entries]
        for name in names:
            if names.count(name) > 1:
                self._refuse(f"expected every entry once, got {name!r} twice; pack it again")
        for entry in entries:
            self._check_entry(entry)

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        name, parts = entry.filename, entry.filename.split("/")
        if "\\" in name or name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
            self._refuse(
                f"expected entries inside the archive's own folder, got {name!r}; pack it again "
                "with relative paths"
            )
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if kind == stat.S_IFLNK else "a special file"
            self._refuse(
                f"expected plain files, got {what} ({name!r}); pack the file it stands for"
            )
        if entry.flag_bits & _ENCRYPTED:
            self._refuse(f"expected open entries, got {name!r} encrypted; pack without a password")
        if entry.compress_type not in _METHODS:
            self._refuse(
                f"expected entries stored or deflated, got {name!r} packed another way; "
                "pack it again as an ordinary zip"
            )
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > MIB and ratio > limits.MAX_ARCHIVE_RATIO:
            self._refuse(
                f"expected text, got {name!r}, which would inflate {ratio:,.0f} times; "
                "unpack it yourself if you trust it"
            )

    def _refuse(self, message: str, cause: Exception | None = None) -> NoReturn:
        raise InputError(message, where=self.name) from cause
