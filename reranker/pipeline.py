"""One ranking from candidates to trace: stage 1, stage 2, final order.

Takes a student, a query and hits, returns a `RankingTrace`, announcing every step on the way.
Knows the stages and their order; knows nothing of files, training or any interface.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Literal

from reranker.errors import CancelledError, DearError
from reranker.ordering import (
    apply_readings,
    blend_trace,
    settle_agreement,
    shuffle_orders,
)
from reranker.progress import Cancelled, RankEvent, StageProgress, TraceUpdate
from reranker.reading import read_order, read_shuffled
from reranker.request import RankRequest, check_request
from reranker.student.student import STAGE1, STAGE2, Student
from reranker.types import (
    FinalOrder,
    RankingTrace,
    RankSettings,
    StageTiming,
    Window,
    WindowReading,
)

OnEvent = Callable[[RankEvent], None]

POLL_SECONDS = 0.1
_RECORDED_VERSIONS = ("torch", "transformers", "peft", "bitsandbytes")


def rank(
    student: Student,
    request: RankRequest,
    settings: RankSettings | None = None,
    *,
    on_event: OnEvent = lambda event: None,
    cancelled: Cancelled = lambda: False,
) -> RankingTrace:
    """Ranks request.hits (the first `depth` of them) and returns the trace.

    A stage that fails raises DearError, and CancelledError when stopped; the traces announced
    before hold everything finished until then. Raises InputError for an unusable request.
    """
    settings = settings or RankSettings()
    check_request(request, settings)
    run = _Run(student, request, settings, on_event, cancelled)
    run.announce()
    with student.lock:
        student.seed(settings.seed)
        if settings.stages in ("1", "both") and request.hits:
            run.score_passages()
        if settings.stages in ("2", "both") and request.hits:
            run.read_windows()
            if run.final == "agreed":
                run.read_shuffled()
    return run.finish()


def stream_rank(
    student: Student,
    request: RankRequest,
    settings: RankSettings | None = None,
    *,
    cancelled: Cancelled = lambda: False,
) -> Iterator[RankEvent]:
    """The events of `rank` as they happen; the last one carries the complete trace.

    When a stage fails, its error is raised here after the events before it. Leaving the
    iterator early stops the work. Weights cannot be broken off while they load: a ranking that
    is cancelled then ends here at once, and they load on for the next one.
    """
    events: queue.SimpleQueue[RankEvent | BaseException | None] = queue.SimpleQueue()
    left = threading.Event()

    def work() -> None:
        try:
            rank(
                student,
                request,
                settings,
                on_event=events.put,
                cancelled=lambda: left.is_set() or cancelled(),
            )
            events.put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            events.put(error)

    threading.Thread(target=work, name="rank", daemon=True).start()
    idle = True  # no stage at work: waiting for the student, or for its weights
    try:
        while True:
            try:
                event = events.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if idle and cancelled():
                    raise CancelledError("stopped while the student was loading") from None
                continue
            if event is None:
                return
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, StageProgress):
                idle = event.stage == "load"
            yield event
    finally:
        left.set()


class _Run:
    """A ranking under way: the trace so far, and what to do next."""

    def __init__(
        self,
        student: Student,
        request: RankRequest,
        settings: RankSettings,
        on_event: OnEvent,
        cancelled: Cancelled,
    ) -> None:
        self.student, self.settings = student, settings
        self.on_event, self.cancelled = on_event, cancelled
        hits = request.hits[: settings.depth]
        self.trace = RankingTrace(
            query=request.query,
            corpus_id=request.corpus_id,
            corpus_sha256=request.corpus_sha256,
            settings=settings,
            student=student.info(),
            hits=hits,
            final_order=tuple(hit.passage.doc_id for hit in hits),
            timings=(StageTiming(stage="bm25", seconds=request.bm25_seconds),),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            versions={name: version(name) for name in _RECORDED_VERSIONS},
        )

    @property
    def final(self) -> FinalOrder:
        return self.settings.final or self.student.profile.final

    def announce(self) -> None:
        self.on_event(TraceUpdate(trace=self.trace))

    def add(self, **changes: object) -> None:
        self.trace = self.trace.with_stage(**changes)

    def score_passages(self) -> None:
        self.on_event(StageProgress(stage="load", done=0, total=1, message="loading stage 1"))
        scorer = self.student.scorer
        started = time.perf_counter()

        def progress(done: int, total: int) -> None:
            self.on_event(StageProgress(stage="stage1", done=done, total=total))

        self.student.activate(STAGE1)
        scores = scorer.score(
            self.trace.query.text,
            [hit.passage for hit in self.trace.hits],
            progress=progress,
            cancelled=self.cancelled,
        )
        self.add(stage1=tuple(scores), student=self.student.info())
        self.add(
            final_order=self.trace.stage1_order,
            final_source="stage1",
            timings=(*self.trace.timings, _timing("stage1", started)),
        )
        self.announce()

    def read_windows(self) -> None:
        self.on_event(StageProgress(stage="load", done=0, total=1, message="loading stage 2"))
        self.student.reader  # noqa: B018 - loads stage 2, or raises where there is none
        started = time.perf_counter()
        order = self.trace.final_order
        depth = self.settings.stage2_depth or len(order)
        self.student.activate(STAGE2)
        for reading in read_order(
            self.student,
            self.trace,
            order[:depth],
            on_window=self._announce_window,
            on_delta=self.on_event,
            cancelled=self.cancelled,
        ):
            order = apply_readings(order, [reading])
            self._add_reading(reading, order)
        self.add(
            student=self.student.info(),
            timings=(*self.trace.timings, _timing("stage2", started)),
        )

    def read_shuffled(self) -> None:
        """Lets stage 2 read what it has read once more in shuffled orders, telling what is left of
        the time from its pace so far."""
        depth = max(reading.window.end for reading in self.trace.readings)
        start = (self.trace.stage1_order or self.trace.bm25_order)[:depth]
        wanted = shuffle_orders(start, self.settings.shuffles, self.settings.seed)
        pace = sum(reading.seconds for reading in self.trace.readings)
        started = time.perf_counter()
        for index, shown in enumerate(wanted):
            left = pace * (len(wanted) - index)
            self.on_event(
                StageProgress(
                    stage="shuffles",
                    done=index,
                    total=len(wanted),
                    message=f"about {left:.0f} s left",
                )
            )
            found = read_shuffled(
                self.student,
                self.trace,
                shown,
                seed=self.settings.seed,
                cancelled=self.cancelled,
            )
            self.add(shuffled=(*self.trace.shuffled, found))
            self.announce()
        self.add(timings=(*self.trace.timings, _timing("shuffles", started)))

    def _announce_window(self, index: int, total: int, window: Window) -> None:
        self.on_event(
            StageProgress(
                stage="stage2",
                done=index,
                total=total,
                message=f"reading places {window.start + 1} to {window.end}",
                window=window,
            )
        )

    def _add_reading(self, reading: WindowReading, order: tuple[str, ...]) -> None:
        self.add(readings=(*self.trace.readings, reading), final_order=order, final_source="stage2")
        self.announce()

    def finish(self) -> RankingTrace:
        if self.trace.readings:
            self._settle_order()
        self.add(complete=True)
        self.announce()
        return self.trace

    def _settle_order(self) -> None:
        """Applies the wanted final order; stage 2's own permutations stay in the readings."""
        profile, final = self.student.profile, self.final
        if final == "agreed":
            order = settle_agreement(self.trace.stage2_order, self.trace.shuffled)
            self.add(final_order=order, final_source="agreed")
        if final == "stage1" and self.trace.stage1:
            self.add(final_order=self.trace.stage1_order, final_source="stage1")
        if final == "blend" and self.trace.stage1:
            order = blend_trace(self.trace, self.trace.final_order, profile)
            self.add(final_order=order, final_source="blend")


def _timing(stage: Literal["stage1", "stage2", "shuffles"], started: float) -> StageTiming:
    return StageTiming(stage=stage, seconds=time.perf_counter() - started)


def mark_failed(trace: RankingTrace, error: DearError) -> RankingTrace:
    """The trace so far with the reason why it went no further."""
    return replace(trace, error=str(error))
