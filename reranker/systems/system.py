"""The interface every compared system has, and the form that scores passages one by one.

Takes a query and first-stage hits, returns the hits in a new order. Knows no model library: what
scores texts is loaded when first needed and let go afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reranker.errors import DearError
from reranker.progress import Cancelled
from reranker.trec import Ranking
from reranker.types import Hit, Justification, Passage, Query


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemRanking:
    """One query ranked by one system.

    ranking: (doc_id, score) of every hit, best first. seconds: what this system took, without
    the first stage and without loading weights. defects: what had to be repaired, in words.
    """

    ranking: Ranking
    seconds: float
    defects: tuple[str, ...] = ()
    justifications: tuple[Justification, ...] = ()


class System(Protocol):
    """Ranks hits. `name` is unique in an experiment; `description` names weights and settings."""

    name: str
    description: str

    def rank(self, query: Query, hits: Sequence[Hit], *, cancelled: Cancelled) -> SystemRanking:
        """Every hit exactly once. Raises DearError, and CancelledError when stopped."""
        ...

    def close(self) -> None:
        """Lets go of weights; the next ranking would load them again."""
        ...


class TextScorer(Protocol):
    """Scores texts against a query, higher is better, in input order."""

    def score(self, query: str, texts: Sequence[str], *, cancelled: Cancelled) -> list[float]:
        """Raises CancelledError between batches."""
        ...


class FirstStage:
    """BM25, or whatever ranked the candidates first: the order they came in."""

    def __init__(self, name: str = "bm25", description: str = "the first stage's order") -> None:
        self.name, self.description = name, description

    def rank(self, query: Query, hits: Sequence[Hit], *, cancelled: Cancelled) -> SystemRanking:
        """The hits as they are; a hit without a score gets one from its place."""
        count = len(hits)
        scores = [hit.bm25_score for hit in hits]
        if any(score is None for score in scores):
            scores = [float(count - place) for place in range(count)]
        pairs = zip((hit.passage.doc_id for hit in hits), scores, strict=True)
        return SystemRanking(ranking=tuple((d, float(s or 0.0)) for d, s in pairs), seconds=0.0)

    def close(self) -> None:
        """Holds no weights."""


class PointwiseSystem:
    """A system that scores each passage by itself."""

    def __init__(self, name: str, description: str, load: Callable[[], TextScorer]) -> None:
        self.name, self.description = name, description
        self._load = load
        self._scorer: TextScorer | None = None

    def rank(self, query: Query, hits: Sequence[Hit], *, cancelled: Cancelled) -> SystemRanking:
        """Hits by falling score; equal scores keep the first stage's order."""
        if self._scorer is None:
            self._scorer = self._load()
        started = time.perf_counter()
        texts = [join_passage(hit.passage) for hit in hits]
        scores = self._scorer.score(query.text, texts, cancelled=cancelled)
        return SystemRanking(
            ranking=order_by_scores(hits, scores), seconds=time.perf_counter() - started
        )

    def close(self) -> None:
        """Lets the weights go."""
        self._scorer = None


def join_passage(passage: Passage) -> str:
    """Title and text as one, as the models here read them."""
    return f"{passage.title} {passage.text}".strip()


def order_by_scores(hits: Sequence[Hit], scores: Sequence[float]) -> Ranking:
    """(doc_id, score) by falling score, ties in the order of `hits`.

    Raises DearError for a score that is no number: a model that overflows must not rank.
    """
    for hit, score in zip(hits, scores, strict=True):
        if score != score:
            raise DearError(
                f"expected a score for {hit.passage.doc_id!r}, got NaN; load the model in fp32"
            )
    places = sorted(range(len(hits)), key=lambda place: -scores[place])
    return tuple((hits[place].passage.doc_id, float(scores[place])) for place in places)
