"""One ranking from candidates to trace: stage 1, stage 2, final order.

Takes a student, a query and hits, returns a `RankingTrace`, announcing every step on the way.
Knows the stages and their order; knows nothing of files, training or any interface.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Literal

from reranker.errors import CancelledError, DearError, InputError
from reranker.ordering import apply_readings, blend_orders
from reranker.stage2.reader import WindowView
from reranker.student.student import STAGE1, STAGE2, Student
from reranker.types import (
    Cancelled,
    Hit,
    PassageScore,
    Query,
    RankEvent,
    RankingTrace,
    RankSettings,
    StageProgress,
    StageTiming,
    TraceUpdate,
    Window,
    WindowReading,
)
from reranker.windows import plan_windows

OnEvent = Callable[[RankEvent], None]

MAX_QUERY_CHARS = 2_000
POLL_SECONDS = 0.1
_RECORDED_VERSIONS = ("torch", "transformers", "peft", "bitsandbytes")


@dataclass(frozen=True, kw_only=True, slots=True)
class RankRequest:
    """What is to be ranked. `bm25_seconds` is what retrieval took, for the trace's timings."""

    query: Query
    hits: tuple[Hit, ...]
    corpus_id: str = ""
    corpus_sha256: str = ""
    bm25_seconds: float = 0.0


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


def check_request(request: RankRequest, settings: RankSettings) -> None:
    """Raises InputError where the query, the candidates or the settings cannot be used."""
    text = request.query.text.strip()
    if not text:
        raise InputError("expected a query, got empty text; type what you are looking for")
    if len(text) > MAX_QUERY_CHARS:
        raise InputError(
            f"expected a query of at most {MAX_QUERY_CHARS} characters, got {len(text)}; shorten it"
        )
    for name, value in (("depth", settings.depth), ("stage2_depth", settings.stage2_depth)):
        if value is not None and value < 1:
            raise InputError(f"expected a {name} of at least 1, got {value}; raise it")
    seen: set[str] = set()
    for hit in request.hits:
        if hit.passage.doc_id in seen:
            raise InputError(
                f"expected each doc_id once, got {hit.passage.doc_id!r} twice; remove one"
            )
        seen.add(hit.passage.doc_id)


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
        reader, profile = self.student.reader, self.student.profile.stage2
        assert profile is not None  # student.reader raises when there is no stage 2
        started = time.perf_counter()
        order = self.trace.final_order
        windows = plan_windows(
            min(len(order), self.settings.stage2_depth or len(order)),
            self.settings.window_size or profile.window_size,
            self.settings.stride or min(profile.stride, self.settings.window_size or 10**6),
        )
        self.student.activate(STAGE2)
        for index, window in enumerate(windows):
            if self.cancelled():
                raise CancelledError("stage 2 was stopped")
            self.on_event(
                StageProgress(
                    stage="stage2",
                    done=index,
                    total=len(windows),
                    message=f"reading places {window.start + 1} to {window.end}",
                    window=window,
                )
            )
            reading = reader.read(
                self._view(index, window, order),
                mode=self.settings.mode,
                grounding=self.settings.grounding,
                on_delta=self.on_event,
                cancelled=self.cancelled,
            )
            order = apply_readings(order, [reading])
            self._add_reading(reading, order)
        self.add(
            student=self.student.info(),
            timings=(*self.trace.timings, _timing("stage2", started)),
        )

    def _view(self, index: int, window: Window, order: Sequence[str]) -> WindowView:
        inside = order[window.start : window.end]
        passages = {hit.passage.doc_id: hit.passage for hit in self.trace.hits}
        scores = {score.doc_id: score for score in self._scores()}
        return WindowView(
            index=index,
            window=window,
            query=self.trace.query.text,
            passages=tuple(passages[doc_id] for doc_id in inside),
            scores=tuple(scores[doc_id] for doc_id in inside),
            ranks=tuple(range(window.start + 1, window.end + 1)),
        )

    def _scores(self) -> Sequence[PassageScore]:
        """Stage-1 scores; without stage 1 the first stage's order stands in as strength."""
        if self.trace.stage1:
            return self.trace.stage1
        return [
            PassageScore(
                doc_id=hit.passage.doc_id,
                score=-float(hit.rank) if hit.bm25_score is None else hit.bm25_score,
                passage_tokens=0,
            )
            for hit in self.trace.hits
        ]

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
        profile = self.student.profile
        final = self.settings.final or profile.final
        if final == "stage1" and self.trace.stage1:
            self.add(final_order=self.trace.stage1_order, final_source="stage1")
        if final == "blend" and self.trace.stage1:
            order = blend_orders(
                self.trace.stage1_order,
                self.trace.final_order,
                {s.doc_id: s.score for s in self.trace.stage1},
                {hit.passage.doc_id: hit.bm25_score for hit in self.trace.hits},
                bm25_weight=profile.bm25_weight,
                stage2_weight=profile.stage2_weight,
            )
            self.add(final_order=order, final_source="blend")


def _timing(stage: Literal["stage1", "stage2"], started: float) -> StageTiming:
    return StageTiming(stage=stage, seconds=time.perf_counter() - started)


def mark_failed(trace: RankingTrace, error: DearError) -> RankingTrace:
    """The trace so far with the reason why it went no further."""
    return replace(trace, error=str(error))
