"""How far an analysis has come. A record of its own, so that a page can know it without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisProgress:
    """`done` of about `total` steps (texts scored, lists read); message: the latest of them."""

    done: int
    total: int
    message: str
