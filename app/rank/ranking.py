"""One ranking as the page sees it: from what a visitor chose to a stream of views.

Takes a `RankJob` and the library, yields `RankView`s. Knows no component, no HTML and no
visitor. BM25's order shows before the model libraries are loaded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Literal

from app.library import Library, Source
from app.messages import (
    NO_QUERY,
    NOTHING_FOUND,
    QUERY_TOO_LONG,
    Message,
    describe_progress,
    describe_result,
    explain_error,
)
from reranker.corpora import list_hits
from reranker.errors import CancelledError, InputError
from reranker.progress import Cancelled, RankEvent, StageProgress, TextDelta, TraceUpdate
from reranker.request import MAX_QUERY_CHARS, RankRequest
from reranker.types import (
    Hit,
    Quantization,
    Query,
    RankingTrace,
    RankSettings,
    StageTiming,
    StudentInfo,
)

logger = logging.getLogger(__name__)

UPDATE_SECONDS = 0.2
MIN_DEPTH, MAX_DEPTH = 5, 100
"""Candidates a visitor may ask for."""
AS_PROFILE = "profile"
"""Leaves the final order, or the window, to the student's profile."""
WINDOWS: dict[str, tuple[int | None, int | None]] = {
    AS_PROFILE: (None, None),
    **{str(size): (size, size // 2) for size in (4, 6, 10, 20)},
}
"""Windows a visitor may choose: how many passages stage 2 reads at once, and its stride. Half a
window, so that what is good enough climbs from one into the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankJob:
    """What a visitor asked for."""

    query: str
    source: Source
    student: str
    quantization: Quantization
    settings: RankSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class RankView:
    """What the page shows of a run at one moment.

    live: text being decoded, raw, by doc_id ("" for text about the whole window).
    reading: doc_ids of the window stage 2 is reading now.
    changed: what differs from the view before: the "order" (and with it everything), only the
    streamed "text" and which cards are marked, or only the "status" line.
    """

    trace: RankingTrace
    message: Message
    live: Mapping[str, str] = field(default_factory=dict)
    reading: tuple[str, ...] = ()
    changed: Literal["order", "text", "status"] = "order"
    over: bool = False


def stream_views(library: Library, job: RankJob, cancelled: Cancelled) -> Iterator[RankView]:
    """The run's views, ending with one that is `over`. Raises InputError where the query
    cannot be searched for; every later failure is told by the last view."""
    started = time.perf_counter()
    hits = find_hits(job)
    trace = start_trace(job, hits, time.perf_counter() - started)
    view = RankView(trace=trace, message=describe_progress(None))
    yield view
    try:
        for later in _follow(library, job, view, cancelled):
            view = later
            yield view
    except Exception as error:
        if not isinstance(error, CancelledError):
            logger.warning("a ranking ended early: %s", type(error).__name__)
        message = explain_error(error, kept=_name_kept(view.trace))
        trace = replace(view.trace, error=message.text)
        yield RankView(trace=trace, message=message, over=True)


def _follow(
    library: Library, job: RankJob, view: RankView, cancelled: Cancelled
) -> Iterator[RankView]:
    library.wait_for_warm_up(cancelled)
    request = RankRequest(
        query=view.trace.query,
        hits=view.trace.hits,
        corpus_id=job.source.corpus.corpus_id,
        corpus_sha256=job.source.corpus.sha256,
        bm25_seconds=view.trace.timings[0].seconds,
    )
    settings = view.trace.settings
    shown = time.monotonic()
    for event in library.stream_rank(job.student, job.quantization, request, settings, cancelled):
        before, view = view.reading, update_view(view, event)
        late = time.monotonic() - shown >= UPDATE_SECONDS
        if late or isinstance(event, TraceUpdate) or view.reading != before:
            shown = time.monotonic()
            yield view
    yield replace(view, message=describe_result(view.trace), over=True, changed="order")


def update_view(view: RankView, event: RankEvent) -> RankView:
    """The view after one event."""
    if isinstance(event, StageProgress):
        view = replace(view, message=describe_progress(event, view.trace), changed="status")
        if event.window is None:
            return view
        reading = view.trace.final_order[event.window.start : event.window.end]
        return replace(view, reading=reading, changed="text")
    if isinstance(event, TextDelta):
        live = {**view.live, event.doc_id: view.live.get(event.doc_id, "") + event.text}
        return replace(view, live=live, changed="text")
    if len(event.trace.readings) > len(view.trace.readings):
        return replace(view, trace=event.trace, live={}, reading=(), changed="order")
    same = event.trace.final_order == view.trace.final_order
    same = same and event.trace.stage1 == view.trace.stage1
    return replace(view, trace=event.trace, changed="status" if same else "order")


def check_query(query: str) -> None:
    """Raises InputError for a query that cannot be ranked for."""
    if not query.strip():
        raise InputError(NO_QUERY)
    if len(query) > MAX_QUERY_CHARS:  # the pipeline's own check comes after the search
        raise InputError(QUERY_TOO_LONG.format(given=len(query), limit=MAX_QUERY_CHARS))


def find_hits(job: RankJob) -> tuple[Hit, ...]:
    """BM25's hits, or a pasted list as it is. Raises InputError for an unusable query."""
    check_query(job.query)
    if job.source.retriever is None:
        return list_hits(job.source.corpus.passages)
    hits = job.source.retriever.search(job.query, job.settings.depth)
    if not hits:
        raise InputError(NOTHING_FOUND)
    return hits


def start_trace(job: RankJob, hits: tuple[Hit, ...], seconds: float) -> RankingTrace:
    """The trace as it stands before any weights are loaded, so that BM25's order shows at once.

    A pasted list is ranked whole, whatever the depth.
    """
    settings = job.settings
    if job.source.retriever is None:
        settings = replace(settings, depth=len(hits))
    return RankingTrace(
        query=Query(query_id="q", text=job.query.strip()),
        corpus_id=job.source.corpus.corpus_id,
        corpus_sha256=job.source.corpus.sha256,
        settings=settings,
        student=StudentInfo(name=job.student, quantization=job.quantization, device=""),
        hits=hits,
        final_order=tuple(hit.passage.doc_id for hit in hits),
        timings=(StageTiming(stage="bm25", seconds=seconds),),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _name_kept(trace: RankingTrace) -> str:
    if trace.readings:
        return f"The {len(trace.readings)} finished windows of stage 2 are shown."
    return "Stage 1's order is shown." if trace.stage1 else "The order before stage 1 is shown."
