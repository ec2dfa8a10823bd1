"""Stage 2 over a whole list: its windows planned, read from the bottom upward, and put together.

Takes a student, a trace and an order of its passages, returns readings of windows, or the order
one whole reading makes of a shuffled list. Records nothing in the trace; whoever calls does, and
holds the student's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from reranker.errors import CancelledError, StudentError
from reranker.ordering import apply_readings
from reranker.progress import Cancelled
from reranker.stage2.reader import OnDelta, WindowView
from reranker.types import PassageScore, RankingTrace, ShuffledReading, Window, WindowReading
from reranker.windows import plan_windows

if TYPE_CHECKING:
    from reranker.student.student import Student

OnWindow = Callable[[int, int, Window], None]
"""Called before each window with its index, how many there are, and where it lies."""


def read_order(
    student: Student,
    trace: RankingTrace,
    order: Sequence[str],
    *,
    on_window: OnWindow = lambda index, total, window: None,
    on_delta: OnDelta = lambda delta: None,
    cancelled: Cancelled,
) -> Iterator[WindowReading]:
    """Readings of the trace's passages as they stand in `order`, each window after those below it
    have been put in place. Stage 2's adapter must be active.

    Raises StudentError for a student without stage 2 and CancelledError when stopped.
    """
    settings, profile = trace.settings, student.profile.stage2
    if profile is None:
        raise StudentError(
            f"expected a student with a stage 2, got {student.profile.name!r}; rank with one"
        )
    windows = plan_windows(
        len(order),
        settings.window_size or profile.window_size,
        settings.stride or min(profile.stride, settings.window_size or 10**6),
    )
    current = tuple(order)
    for index, window in enumerate(windows):
        if cancelled():
            raise CancelledError("stage 2 was stopped")
        on_window(index, len(windows), window)
        reading = student.reader.read(
            _make_view(trace, index, window, current),
            mode=settings.mode,
            grounding=settings.grounding,
            on_delta=on_delta,
            cancelled=cancelled,
        )
        current = apply_readings(current, [reading])
        yield reading


def read_shuffled(
    student: Student, trace: RankingTrace, shown: Sequence[str], *, seed: int, cancelled: Cancelled
) -> ShuffledReading:
    """The order stage 2 makes of passages that stand in `shown`. seed: of its decoding."""
    student.seed(seed)
    readings = list(read_order(student, trace, shown, cancelled=cancelled))
    return ShuffledReading(
        shown=tuple(shown),
        given=apply_readings(shown, readings),
        seconds=sum(reading.seconds for reading in readings),
    )


def _make_view(trace: RankingTrace, index: int, window: Window, order: Sequence[str]) -> WindowView:
    inside = order[window.start : window.end]
    passages = {hit.passage.doc_id: hit.passage for hit in trace.hits}
    scores = {score.doc_id: score for score in trace.stage1 or _rank_as_score(trace)}
    return WindowView(
        index=index,
        window=window,
        query=trace.query.text,
        passages=tuple(passages[doc_id] for doc_id in inside),
        scores=tuple(scores[doc_id] for doc_id in inside),
        ranks=tuple(range(window.start + 1, window.end + 1)),
        guard=trace.settings.guard,
    )


def _rank_as_score(trace: RankingTrace) -> list[PassageScore]:
    """Without stage 1 the first stage's order stands in as strength."""
    return [
        PassageScore(
            doc_id=hit.passage.doc_id,
            score=-float(hit.rank) if hit.bm25_score is None else hit.bm25_score,
            passage_tokens=0,
        )
        for hit in trace.hits
    ]
