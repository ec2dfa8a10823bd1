"""Passages cut to the lengths that are ranked: a paragraph becomes one or more chunks.

Takes passages, returns `Chunk`s of whole sentences with their place in the paragraph. Knows no
model. Training on short chunks matches web passages, and costs less than whole paragraphs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reranker.sentences import split_sentences
from reranker.types import Passage

CHUNK_CHARS = (160, 640)
"""A chunk ends with the first sentence that takes it beyond a length drawn from this range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """A piece of a paragraph; `passage.text` is paragraph[start:end] of the one called
    `paragraph_id`."""

    passage: Passage
    paragraph_id: str
    start: int
    end: int


def cut_passages(passages: Sequence[Passage], seed: int) -> list[Chunk]:
    """The chunks of all passages in order; the same seed cuts alike."""
    random_ = random.Random(f"chunks-{seed}")
    return [chunk for passage in passages for chunk in _cut(passage, random_)]


def _cut(passage: Passage, random_: random.Random) -> Iterator[Chunk]:
    start, limit, number = None, random_.randint(*CHUNK_CHARS), 0
    spans = split_sentences(passage.text)
    for place, (first, last) in enumerate(spans):
        start = first if start is None else start
        if last - start >= limit or place == len(spans) - 1:
            text = passage.text[start:last]
            doc_id = f"{passage.doc_id}#{number}"
            yield Chunk(
                passage=Passage(doc_id=doc_id, title=passage.title, text=text),
                paragraph_id=passage.doc_id,
                start=start,
                end=last,
            )
            start, limit, number = None, random_.randint(*CHUNK_CHARS), number + 1
