"""A set of files to read a corpus from: what folders and archives have in common, and folders.

Takes a folder, returns names and open streams; knows no format. Nothing outside the folder is
read, also not through a link.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from reranker.corpora.limits import MAX_ARCHIVE_ENTRIES
from reranker.corpora.reading import open_file
from reranker.errors import InputError


class FileSet(Protocol):
    """Files by their path inside a folder or archive, "/" between the parts.

    name: what to call the whole in messages. `open` gives unpacked bytes where a path ends in
    .gz, and raises InputError.
    """

    name: str

    def list_paths(self) -> tuple[str, ...]: ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]: ...


class FolderFiles:
    """The files of a folder and of the folders right inside it."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name or str(folder)
        self._folder = folder

    def list_paths(self) -> tuple[str, ...]:
        """Paths in alphabetical order, hidden files left out."""
        paths = []
        for path in (*self._folder.glob("*"), *self._folder.glob("*/*")):
            inside = path.relative_to(self._folder)
            if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                paths.append(inside.as_posix())
            if len(paths) > MAX_ARCHIVE_ENTRIES:
                raise InputError(
                    f"expected a folder of at most {MAX_ARCHIVE_ENTRIES:,} files, got more; "
                    "give the folder that holds corpus.jsonl, or the file itself",
                    where=self.name,
                )
        return tuple(sorted(paths))

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        name = f"{self.name}/{path}"
        root = self._folder.resolve()
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            raise InputError(
                "expected a file inside the folder, got a link that leads out of it; copy the "
                "file there",
                where=name,
            )
        with open_file(file, name) as stream:
            yield stream
