"""Items to judge: a query, its passages, and what systems said of them.

Takes nothing and returns nothing: records that importing makes and the store keeps. Passages and
justifications stand in an order that says nothing of any system's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter

from reranker.annotation.answers import Answers
from reranker.sentences import split_sentences
from reranker.types import Evidence, Passage, Query, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasoning:
    """A system's justification of one passage. steps: its sentences, offsets into `text`."""

    doc_id: str
    system: str
    text: str
    verdict: Verdict | None = None
    evidence: tuple[Evidence, ...] = ()
    steps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemOrder:
    """How one system ordered the passages, best first. scores: parallel to doc_ids, or ()."""

    system: str
    doc_ids: tuple[str, ...]
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One query with its passages. gold: answers known to be right, None for most items.

    gold_by: who gave these answers by judging it, "" where they came with the item. source: what
    it was imported from, in words.
    """

    item_id: str
    query: Query
    passages: tuple[Passage, ...]
    reasonings: tuple[Reasoning, ...] = ()
    orders: tuple[SystemOrder, ...] = ()
    gold: Answers | None = None
    source: str = ""
    gold_by: str = ""

    def find_passage(self, doc_id: str) -> Passage:
        return next(passage for passage in self.passages if passage.doc_id == doc_id)

    def find_reasoning(self, doc_id: str, system: str) -> Reasoning:
        return next(r for r in self.reasonings if (r.doc_id, r.system) == (doc_id, system))


_ADAPTER = TypeAdapter(Item)


def make_item(
    query: Query,
    passages: Iterable[Passage],
    *,
    reasonings: Iterable[Reasoning] = (),
    orders: Iterable[SystemOrder] = (),
    gold: Answers | None = None,
    source: str = "",
) -> Item:
    """An item with its id, its steps, and everything in an order drawn from the ids alone."""
    kept = sorted(passages, key=lambda p: draw_place(query.query_id, p.doc_id))
    listed = sorted(
        (_cut_steps(r) for r in reasonings), key=lambda r: draw_place(r.doc_id, r.system)
    )
    digest = hashlib.sha256(f"{query.query_id}\n{query.text}".encode()).hexdigest()[:12]
    return Item(
        item_id=digest,
        query=query,
        passages=tuple(kept),
        reasonings=tuple(listed),
        orders=tuple(orders),
        gold=gold,
        source=source,
    )


def draw_place(*keys: str) -> bytes:
    """A place to sort by that looks random and is the same for the same keys."""
    return hashlib.sha256("\n".join(keys).encode()).digest()


def dump_item(item: Item) -> str:
    """The item as one JSON object; load_item gives an equal one back."""
    return _ADAPTER.dump_json(item).decode()


def load_item(text: str | bytes) -> Item:
    """An item as it was stored."""
    return _ADAPTER.validate_json(text)


def _cut_steps(reasoning: Reasoning) -> Reasoning:
    return Reasoning(
        doc_id=reasoning.doc_id,
        system=reasoning.system,
        text=reasoning.text,
        verdict=reasoning.verdict,
        evidence=reasoning.evidence,
        steps=reasoning.steps or split_sentences(reasoning.text),
    )
