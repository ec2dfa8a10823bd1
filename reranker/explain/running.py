"""An analysis as a stream: progress while it runs, the result at the end.

Takes a student, a trace and a request, yields `AnalysisProgress` and then one result. Works in a
thread of its own, so that whoever reads the stream can leave it, which stops the work.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from reranker.explain.analyses import Request, Result, run_request
from reranker.explain.progress import AnalysisProgress
from reranker.explain.workbench import Workbench
from reranker.progress import Cancelled
from reranker.student.student import Student
from reranker.types import RankingTrace


def analyse(
    student: Student,
    trace: RankingTrace,
    request: Request,
    *,
    cancelled: Cancelled = lambda: False,
) -> Result:
    """The analysis in this thread. Raises DearError."""
    return run_request(Workbench(student, trace, cancelled=cancelled), request)


def stream_analysis(
    student: Student,
    trace: RankingTrace,
    request: Request,
    *,
    cancelled: Cancelled = lambda: False,
) -> Iterator[AnalysisProgress | Result]:
    """What fails is raised here, after the progress before it."""
    events: queue.SimpleQueue[AnalysisProgress | Result | BaseException] = queue.SimpleQueue()
    left = threading.Event()
    bench = Workbench(
        student,
        trace,
        progress=lambda done, total, message: events.put(
            AnalysisProgress(done=done, total=total, message=message)
        ),
        cancelled=lambda: left.is_set() or cancelled(),
    )

    def work() -> None:
        try:
            events.put(run_request(bench, request))
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            events.put(error)

    threading.Thread(target=work, name="explain", daemon=True).start()
    try:
        while True:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if not isinstance(event, AnalysisProgress):
                return
    finally:
        left.set()
