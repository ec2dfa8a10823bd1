"""The interface both stage-1 forms share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from reranker.progress import Cancelled
from reranker.types import Passage, PassageScore


class Scorer(Protocol):
    """Scores passages against a query: raw logits, in input order."""

    def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        progress: Callable[[int, int], None] = ...,
        cancelled: Cancelled = ...,
    ) -> list[PassageScore]:
        """progress(done, total) counts passages. Raises CancelledError between batches."""
        ...
