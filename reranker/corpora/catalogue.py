"""Every corpus by one name: bundled, python-docs, a file, a folder, a zip, or from a hub.

Takes a name or path, returns a corpus, its queries or its qrels. Knows where each kind is
read, and reads none itself. A corpus is loaded whole or not at all, so what the caller
already holds is never lost to a bad file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reranker import config
from reranker.corpora import python_docs
from reranker.corpora.archive import ZipFiles
from reranker.corpora.beir import Qrels, load_collection, read_about, read_qrels, read_queries
from reranker.corpora.corpus import Corpus, make_corpus
from reranker.corpora.files import load_file
from reranker.corpora.folder import FileSet, FolderFiles
from reranker.corpora.hub import load_hub
from reranker.errors import InputError
from reranker.types import Query

HUB_PREFIX = "hub:"


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusInfo:
    """A corpus that can be loaded by name, described without loading it."""

    corpus_id: str
    title: str
    description: str
    licence: str


def list_corpora() -> tuple[CorpusInfo, ...]:
    """The corpora that need no file and no network: the bundled ones, then python-docs."""
    infos = []
    for folder in _bundled_folders().values():
        about = read_about(FolderFiles(folder))
        infos.append(
            CorpusInfo(
                corpus_id=folder.name,
                title=about.title or folder.name,
                description=about.description,
                licence=about.licence,
            )
        )
    infos.append(
        CorpusInfo(
            corpus_id=python_docs.CORPUS_ID,
            title=python_docs.TITLE,
            description=python_docs.DESCRIPTION,
            licence=python_docs.LICENCE,
        )
    )
    return tuple(infos)


def load_corpus(name_or_path: str | Path, *, allow_paths: bool = True) -> Corpus:
    """The corpus of that name, or in that file, folder or zip.

    Names are those of `list_corpora` and "hub:<library>:<id>" (see `load_hub`); a name goes
    before a path that is spelled alike. allow_paths: False refuses paths, for callers who pass
    on what a stranger typed. Raises InputError naming file, line and mend.
    """
    name = str(name_or_path)
    if name == python_docs.CORPUS_ID:
        return python_docs.load_python_docs()
    if name.startswith(HUB_PREFIX):
        return load_hub(name.removeprefix(HUB_PREFIX))
    files = _open_files(name, allow_paths)
    if files is not None:
        return load_collection(files, name if name in _bundled_folders() else files.name)
    path = Path(name).expanduser()
    return make_corpus(load_file(path), corpus_id=path.name, title=path.name.split(".")[0])


def load_queries(name_or_path: str | Path, *, allow_paths: bool = True) -> tuple[Query, ...]:
    """The queries that come with a corpus; () when it has none. Raises InputError."""
    files = _open_files(str(name_or_path), allow_paths)
    return () if files is None else read_queries(files)


def load_qrels(
    name_or_path: str | Path, split: str | None = None, *, allow_paths: bool = True
) -> Qrels:
    """The qrels that come with a corpus (query_id -> doc_id -> grade); {} when it has none.

    split: see `read_qrels`. Raises InputError.
    """
    files = _open_files(str(name_or_path), allow_paths)
    return {} if files is None else read_qrels(files, split)


def _bundled_folders() -> dict[str, Path]:
    folders = sorted((config.ASSETS / "corpora").glob("*/"))
    return {folder.name: folder for folder in folders if folder.is_dir()}


def _open_files(name: str, allow_paths: bool) -> FileSet | None:
    """The set of files a name or path stands for; None for what is not one (a single file)."""
    bundled = _bundled_folders().get(name)
    if bundled is not None:
        return FolderFiles(bundled)
    if name == python_docs.CORPUS_ID or name.startswith(HUB_PREFIX):
        return None
    path = Path(name).expanduser()
    if not allow_paths or not path.exists():
        known = ", ".join((*_bundled_folders(), python_docs.CORPUS_ID))
        also = ", or the path of a file, folder or zip" if allow_paths else ""
        raise InputError(
            f"expected a corpus called one of {known}{also}, got {name!r}; choose one of these"
        )
    if path.is_dir():
        return FolderFiles(path.resolve())
    return ZipFiles(path) if path.suffix.lower() == ".zip" else None
