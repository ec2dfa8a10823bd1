"""What a ranking says while it runs, and how it is asked to stop.

Records as in types.py, which they build on: how far a stage has come, text as it is decoded, and
the trace whenever it has grown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reranker.types import RankingTrace, Window


@dataclass(frozen=True, kw_only=True, slots=True)
class StageProgress:
    """How far a stage has come: `done` of `total` units (passages scored, windows read).

    `window`: what stage 2 is about to read, positions in the order the last trace had.
    """

    stage: Literal["bm25", "load", "stage1", "stage2", "shuffles"]
    done: int
    total: int
    message: str = ""
    window: Window | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TextDelta:
    """Freshly decoded text. `doc_id` is empty for text about the whole window."""

    window_index: int
    doc_id: str
    purpose: Literal["note", "ranking", "reading"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceUpdate:
    """A stage (or window) finished: here is the fuller trace."""

    trace: RankingTrace


RankEvent = StageProgress | TextDelta | TraceUpdate
Cancelled = Callable[[], bool]
