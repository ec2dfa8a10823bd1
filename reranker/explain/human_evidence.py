"""How far quotes agree with what people marked as the evidence.

Takes spans of one text, returns overlaps. Knows no collection: callers bring the marked spans (an
answer in SQuAD, a sentence in QED).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reranker.types import Evidence

Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanAgreement:
    """Characters of the quotes and of the marked span set against each other: precision, recall
    and F1 of characters, and whether the marked span lies whole inside the quotes."""

    precision: float
    recall: float
    f1: float
    holds: bool


def compare_spans(quotes: Sequence[Evidence], marked: Span) -> SpanAgreement:
    """marked: half-open and not empty. No quotes agree with nothing."""
    cited = {place for quote in quotes for place in range(quote.start, quote.end)}
    wanted = set(range(*marked))
    shared = len(cited & wanted)
    precision = shared / len(cited) if cited else 0.0
    recall = shared / len(wanted) if wanted else 0.0
    total = precision + recall
    return SpanAgreement(
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / total if total else 0.0,
        holds=wanted <= cited,
    )
