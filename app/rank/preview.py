"""A look into a corpus: its first passages, or those with certain words.

Takes a source and words, returns a `Preview`. Knows no component and no HTML.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.library import Source
from app.messages import count
from reranker.errors import InputError
from reranker.types import Passage

SHOWN = 6
MAX_WORDS_CHARS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """Passages to show, at most SHOWN, and what they are in words."""

    heading: str
    passages: tuple[Passage, ...]


def preview_source(source: Source, words: str = "") -> Preview:
    """The first passages, or the best by BM25 for `words`; of a list without an index, those
    that contain the words as they are written."""
    words = words.strip()[:MAX_WORDS_CHARS]
    passages = source.corpus.passages
    total = count(len(passages), "passage")
    if not words:
        shown = passages[:SHOWN]
        return Preview(heading=f"The first {len(shown)} of {total}.", passages=shown)
    if source.retriever is not None:
        try:
            shown = tuple(hit.passage for hit in source.retriever.search(words, SHOWN))
        except InputError:  # not a single word in it, only signs
            shown = ()
    else:
        wanted = words.casefold()
        found = (p for p in passages if wanted in f"{p.title} {p.text}".casefold())
        shown = tuple(passage for passage, _ in zip(found, range(SHOWN), strict=False))
    if not shown:
        return Preview(heading=f"None of {total} has these words: try others.", passages=())
    return Preview(
        heading=f"{count(len(shown), 'passage')} with these words, of {total}.", passages=shown
    )
