"""Analyses of a ranking, wherever they are computed: here, or on a GPU that is lent.

Takes the library, a trace and a request; yields progress and then the result. Knows no visitor,
no component and no HTML.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from app.library import Library, raise_errors
from app.zerogpu import MAX_SECONDS, START_SECONDS, lend_gpu
from reranker.errors import DearError, InputError
from reranker.explain.analyses import Request, Result, estimate_request
from reranker.explain.progress import AnalysisProgress
from reranker.progress import Cancelled
from reranker.types import RankingTrace

Step = AnalysisProgress | Result


class Analyser:
    """Runs analyses with the student a ranking was made with."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._on_gpu = lend_gpu(self._run_apart, self._estimate)

    def stream(self, trace: RankingTrace, request: Request, cancelled: Cancelled) -> Iterator[Step]:
        """Raises InputError where this server does not have the trace's student, and what the
        analysis raises."""
        name = self.find_student(trace)
        if self._library.borrows_gpu:
            yield from raise_errors(self._on_gpu(name, trace, request), cancelled)
            return
        self._library.wait_for_warm_up(cancelled)
        student = self._library.open_student(name, trace.student.quantization)
        stream = self._library.import_analyses().stream_analysis
        yield from stream(student, trace, request, cancelled=cancelled)

    def find_student(self, trace: RankingTrace) -> str:
        """The name under which this server has the student. Raises InputError."""
        for name, profile in self._library.list_profiles().items():
            if trace.student.name in (name, profile.name):
                return name
        raise InputError(
            f"expected a ranking by a student of this server, got one by "
            f"{trace.student.name[:60]!r}; rank its query again here"
        )

    def _run_apart(
        self, name: str, trace: RankingTrace, request: Request
    ) -> Generator[Step | DearError, None, None]:
        """In a process of its own, from which an error comes back whole only as a value."""
        try:
            student = self._library.open_student(name, trace.student.quantization)
            yield from self._library.import_analyses().stream_analysis(student, trace, request)
        except DearError as error:
            yield error

    def _estimate(self, name: str, trace: RankingTrace, request: Request) -> float:
        return min(START_SECONDS + estimate_request(trace, request).seconds, MAX_SECONDS)
