"""The corpus record: passages with their keys, where they are from, and a hash of it all.

Takes passages that were already read; returns a `Corpus`. Knows no file format and no index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from reranker.errors import InputError
from reranker.types import Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Passages in a fixed order, which breaks ties everywhere.

    sha256: over every passage's doc_id, title and text in order; two corpora with the same
    hash rank alike. example_queries: a few to offer on an empty page, possibly none.
    Build one with `make_corpus`, which checks the passages and computes the hash.
    """

    corpus_id: str
    title: str
    description: str
    passages: tuple[Passage, ...]
    licence: str
    sha256: str
    example_queries: tuple[str, ...] = ()
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {p.doc_id: position for position, p in enumerate(self.passages)}
        object.__setattr__(self, "_positions", positions)

    def __len__(self) -> int:
        return len(self.passages)

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._positions

    def get_passage(self, doc_id: str) -> Passage:
        """The passage with this key. Raises InputError when the corpus has none."""
        position = self._positions.get(doc_id)
        if position is None:
            raise InputError(
                f"expected a doc_id of this corpus, got {doc_id!r}; choose one of its "
                f"{len(self):,} passages",
                where=self.corpus_id,
            )
        return self.passages[position]


def make_corpus(
    passages: Iterable[Passage],
    *,
    corpus_id: str,
    title: str = "",
    description: str = "",
    licence: str = "not stated",
    example_queries: Iterable[str] = (),
) -> Corpus:
    """A corpus of these passages.

    Raises InputError when there are none, or when two share a doc_id (readers of files report
    that themselves, with the line).
    """
    kept = tuple(passages)
    if not kept:
        raise InputError("expected at least one passage, got none; add one", where=corpus_id)
    corpus = Corpus(
        corpus_id=corpus_id,
        title=title or corpus_id,
        description=description,
        passages=kept,
        licence=licence,
        sha256=hash_passages(kept),
        example_queries=tuple(example_queries),
    )
    if len(corpus._positions) != len(kept):
        seen: set[str] = set()
        twice = next(p.doc_id for p in kept if p.doc_id in seen or seen.add(p.doc_id))  # type: ignore[func-returns-value]
        raise InputError(
            f"expected every doc_id once, got {twice!r} twice; rename one", where=corpus_id
        )
    return corpus


def hash_passages(passages: Iterable[Passage]) -> str:
    """SHA-256 (hex) over the JSON arrays [doc_id, title, text], one line each, in order."""
    digest = hashlib.sha256()
    for passage in passages:
        row = json.dumps([passage.doc_id, passage.title, passage.text], ensure_ascii=True)
        digest.update(row.encode("ascii") + b"\n")
    return digest.hexdigest()
