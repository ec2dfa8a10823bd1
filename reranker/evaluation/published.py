"""Figures from the literature, to be set beside what was measured here and never mixed with it.

Takes a collection's name, returns the figures in `assets/published.json`. Knows no run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from reranker.config import ASSETS

PUBLISHED_FILE = "published.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedFigure:
    """One figure somebody published. value: on the scale of the measures here, 0 to 1.

    source: where it stands. first_stage: what it was reranked from, as far as the source says.
    """

    collection: str
    system: str
    measure: str
    value: float
    source: str
    first_stage: str = "BM25 top 100"


def list_published(
    collection: str, measures: Collection[str] | None = None
) -> tuple[PublishedFigure, ...]:
    """The published figures for a collection, in the file's order; () where there are none.

    measures: only these (None: all).
    """
    return tuple(
        figure
        for figure in load_published()
        if figure.collection == collection and (measures is None or figure.measure in measures)
    )


@cache
def load_published() -> tuple[PublishedFigure, ...]:
    """Every figure in the file."""
    text = (ASSETS / PUBLISHED_FILE).read_bytes()
    figures = TypeAdapter(tuple[PublishedFigure, ...]).validate_json(text, extra="forbid")
    return figures
