"""bm25s indexes on disk: built once for a corpus, then memory-mapped.

Takes a corpus's hash and a way to get its stems, returns a `TermIndex`. Knows no passages and
no queries. Of bm25s it uses what builds, saves and loads the matrix of weights: nothing is
downloaded, nothing is pickled (arrays are .npy read with allow_pickle=False, the vocabulary is
JSON), and the numpy backend is used whether or not numba is there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reranker.config import cache_dir
from reranker.retrieval.index import K1, NO_POSTINGS, B, Postings
from reranker.retrieval.tokenize import TOKENIZER_VERSION

if TYPE_CHECKING:
    import bm25s

logger = logging.getLogger(__name__)

METHOD = "atire"
IDF_METHOD = "bm25+"
_LAYOUT = 1  # raise by one when what is saved changes
_BUILDING = ".building-"
_ABANDONED_SECONDS = 24 * 3600


class SavedIndex:
    """A bm25s matrix: one column of (position, weight) pairs for each stem."""

    kind: Literal["rank_bm25", "bm25s"] = "bm25s"

    def __init__(self, bm25: bm25s.BM25, place: str) -> None:
        self.place = place
        self._vocabulary: dict[str, int] = bm25.vocab_dict
        self._starts = bm25.scores["indptr"]
        self._positions = bm25.scores["indices"]
        self._weights = bm25.scores["data"]

    def find_postings(self, stem: str) -> Postings:
        column = self._vocabulary.get(stem)
        if column is None:
            return NO_POSTINGS
        place = slice(int(self._starts[column]), int(self._starts[column + 1]))
        return Postings(self._positions[place], self._weights[place])


def open_saved_index(
    corpus_sha256: str, size: int, tokenize_corpus: Callable[[], list[list[str]]]
) -> SavedIndex:
    """The index of the corpus with this hash and `size` passages, built if there is none.

    A saved index that cannot be read or does not fit is built again. Where the cache folder
    cannot be written, the index stays in memory and `place` says so.
    """
    folder = index_folder(corpus_sha256)
    if folder.is_dir():
        try:
            return _load(folder, size)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            logger.warning("the saved index %s is unusable (%s); building it again", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    bm25 = _build(tokenize_corpus())
    try:
        _save(bm25, folder)
        return _load(folder, size)
    except OSError as error:
        logger.warning("the index could not be saved (%s); it stays in memory", error)
        return SavedIndex(bm25, "index in memory")


def index_folder(corpus_sha256: str) -> Path:
    """Where the index of this corpus is kept: one folder per corpus, formula and tokeniser."""
    settings = json.dumps([_LAYOUT, METHOD, IDF_METHOD, K1, B, TOKENIZER_VERSION])
    suffix = hashlib.sha256(settings.encode()).hexdigest()[:12]
    return cache_dir() / "indexes" / f"bm25s-{corpus_sha256[:32]}-{suffix}"


def _build(passages: list[list[str]]) -> bm25s.BM25:
    import bm25s  # noqa: PLC0415

    vocabulary: dict[str, int] = {}
    for stems in passages:
        for stem in stems:
            vocabulary.setdefault(stem, len(vocabulary))
    ids = [[vocabulary[stem] for stem in stems] for stems in passages]
    if not vocabulary:  # bm25s divides by the mean length: one column that no query asks for
        vocabulary[""] = 0
        ids[0] = [0]
    # float64, because float32 would break ties that rank_bm25 sees.
    bm25 = bm25s.BM25(k1=K1, b=B, method=METHOD, idf_method=IDF_METHOD, dtype="float64")
    bm25.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    return bm25


def _save(bm25: bm25s.BM25, folder: Path) -> None:
    """Writes beside the final place and renames, so that `folder` is whole or absent."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder.parent)
    building = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=folder.parent))
    try:
        bm25.save(building, show_progress=False, allow_pickle=False)
        building.rename(folder)
    except OSError:
        if not folder.is_dir():  # it is there when another process was faster
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Drops what builds that were killed left behind, once no build can still be at it."""
    for left in parent.glob(f"{_BUILDING}*"):
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _load(folder: Path, size: int) -> SavedIndex:
    import bm25s  # noqa: PLC0415

    bm25 = bm25s.BM25.load(folder, mmap=True, allow_pickle=False, load_corpus=False)
    found = bm25.scores["num_docs"]
    if found != size:
        raise ValueError(f"it holds {found} passages, the corpus {size}")
    if (bm25.method, bm25.idf_method, bm25.k1, bm25.b) != (METHOD, IDF_METHOD, K1, B):
        raise ValueError("it was built with another formula")
    return SavedIndex(bm25, "index memory-mapped from disk")
