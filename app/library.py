"""The corpora and students a server offers: each loaded once, when first wanted, for everybody.

Takes names, returns sources to search and students to rank with; both are shared between
visitors and never changed. Knows no run, no visitor and no component. The student module is
imported when first needed: it loads the model libraries, and the page must answer before that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from app.messages import Message, explain_error
from app.zerogpu import estimate_seconds, is_zerogpu, lend_gpu
from reranker.config import DEFAULT_STUDENT, Profile, list_students, load_profile
from reranker.corpora import Corpus, CorpusInfo, list_corpora, load_corpus
from reranker.errors import CancelledError, DearError
from reranker.jobs.job import jobs_dir
from reranker.jobs.trained import find_trained, list_offered
from reranker.progress import Cancelled, RankEvent
from reranker.request import RankRequest
from reranker.retrieval import Retriever, build_retriever
from reranker.types import Quantization, RankSettings

if TYPE_CHECKING:
    from reranker.student.student import Student

POLL_SECONDS = 0.1
KEPT_STUDENTS = 2
"""Students held in memory at once; the one used longest ago goes first."""

K = TypeVar("K")
V = TypeVar("V")
LoadStudent = Callable[[str, Quantization], "Student"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Something that can be ranked. `retriever` is None for a pasted list: no retrieval."""

    key: str
    corpus: Corpus
    retriever: Retriever | None


class Shelf(Generic[K, V]):
    """Things made once for each key, however many threads ask. `limit` bounds how many stay."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._making: dict[K, threading.Lock] = {}
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The item of this key; what `make` raises is passed on and nothing is kept."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._items:
                    self._items.move_to_end(key)
                    return self._items[key]
            item = make()
            with self._lock:
                self._items[key] = item
                if self._limit is not None and len(self._items) > self._limit:
                    self._items.popitem(last=False)
            return item


class Pace:
    """How long a ranking takes here, for those who wait. Safe to use from several threads."""

    KEPT = 0.7
    """How much the past counts when another ranking has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds = 0.0
        """0 before the first ranking has ended."""

    def add(self, seconds: float) -> None:
        with self._lock:
            past = self.seconds or seconds
            self.seconds = self.KEPT * past + (1 - self.KEPT) * seconds


class Library:
    """The corpora and students this server offers, each loaded when first wanted."""

    def __init__(
        self,
        *,
        student: str = DEFAULT_STUDENT,
        quantization: Quantization | None = None,
        load_student: LoadStudent | None = None,
        jobs: Path | None = None,
    ) -> None:
        """jobs: the folder of all training jobs, by default `jobs_dir()`.

        Raises StudentError when there is no student of that name.
        """
        self.jobs = jobs or jobs_dir()
        self.student = student
        self.quantization = quantization or load_profile(student).quantization
        self.corpora: tuple[CorpusInfo, ...] = list_corpora()
        self.warmed = threading.Event()
        self.warm_error: Message | None = None
        self.borrows_gpu = is_zerogpu()
        self.pace = Pace()
        self._load_student = load_student or _load_student
        # transformers resolves its names lazily, and not safely so in two threads at once.
        self._importing = threading.Lock()
        self._sources: Shelf[str, Source] = Shelf()
        self._students: Shelf[tuple[str, Quantization], Student] = Shelf(KEPT_STUDENTS)
        self._warming: threading.Thread | None = None
        self._rank_on_gpu = lend_gpu(self._rank_apart, self._estimate)

    def list_profiles(self) -> dict[str, Profile]:
        """Every student a visitor may choose, by name; the one the server began with first, those
        with an adapter trained here last."""
        names = dict.fromkeys([self.student, *list_students()])
        return {name: load_profile(name) for name in names} | list_offered(self.jobs)

    def find_profile(self, name: str) -> Profile:
        """A student's profile, also of an adapter trained here that is not on offer.

        Raises StudentError.
        """
        return find_trained(name, self.jobs) or load_profile(name)

    def open_source(self, corpus_id: str) -> Source:
        """One of `corpora` with its index. Raises InputError."""

        def make() -> Source:
            corpus = load_corpus(corpus_id, allow_paths=False)
            return Source(key=corpus_id, corpus=corpus, retriever=build_retriever(corpus))

        return self._sources.get(corpus_id, make)

    def import_pipeline(self) -> ModuleType:
        """The core's pipeline. The first call takes seconds: it imports the model libraries."""
        with self._importing:
            return import_module("reranker.pipeline")

    def import_analyses(self) -> ModuleType:
        """The core's analyses as streams; they import the model libraries too."""
        with self._importing:
            return import_module("reranker.explain.running")

    def open_student(self, name: str, quantization: Quantization) -> Student:
        """Raises StudentError or QuantizationError."""
        profile = find_trained(name, self.jobs)

        def make() -> Student:
            # Whole first: a second thread that imports the model libraries meanwhile would find
            # half of them.
            self.import_pipeline()
            if profile is not None:
                return _make_student(profile, quantization)
            return self._load_student(name, quantization)

        return self._students.get((name, quantization), make)

    def stream_rank(
        self,
        student: str,
        quantization: Quantization,
        request: RankRequest,
        settings: RankSettings,
        cancelled: Cancelled,
    ) -> Iterator[RankEvent]:
        """The events of one ranking, the last with the complete trace, wherever it is computed.

        Raises what the pipeline raises, when it comes to it.
        """
        started = time.perf_counter()
        if self.borrows_gpu:
            lent = self._rank_on_gpu(student, quantization, request, settings)
            yield from raise_errors(lent, cancelled)
        else:
            weights = self.open_student(student, quantization)
            stream = self.import_pipeline().stream_rank
            yield from stream(weights, request, settings, cancelled=cancelled)
        self.pace.add(time.perf_counter() - started)

    def _rank_apart(
        self, student: str, quantization: Quantization, request: RankRequest, settings: RankSettings
    ) -> Generator[RankEvent | DearError, None, None]:
        """The same in a process of its own, from which an error comes back whole only as a value.

        A student that was not there when that process began is loaded in it, for this call.
        """
        try:
            weights = self.open_student(student, quantization)
            yield from self.import_pipeline().stream_rank(weights, request, settings)
        except DearError as error:
            yield error

    def _estimate(
        self, student: str, quantization: Quantization, request: RankRequest, settings: RankSettings
    ) -> float:
        return estimate_seconds(self.find_profile(student), settings, len(request.hits))

    def warm_up(self) -> None:
        """Loads what a first ranking needs; `warmed` is set when done.

        It does so in the background, except where a GPU is borrowed: there the weights must be
        on it, in this thread, before the page is served.
        """
        if self.borrows_gpu:
            self._load_first()
        else:
            self._warming = threading.Thread(target=self._load_first, name="warm-up", daemon=True)
            self._warming.start()

    def wait_for_warm_up(self, cancelled: Cancelled) -> None:
        """Returns when no warm-up is under way. Raises CancelledError as soon as `cancelled`, which
        leaves the warm-up alone: its imports and weights serve the next ranking."""
        while self._warming is not None and self._warming.is_alive():
            if cancelled():
                raise CancelledError("stopped while the student was loading")
            self._warming.join(POLL_SECONDS)

    def _load_first(self) -> None:
        try:
            self.open_source(self.corpora[0].corpus_id)
            self.import_pipeline()
            student = self.open_student(self.student, self.quantization)
            with student.lock:
                student.scorer  # noqa: B018 - reading the property loads stage 1
                if student.profile.stage2 is not None:
                    student.reader  # noqa: B018
        except Exception as error:  # shown on the page; a later run meets it again
            self.warm_error = explain_error(error)
        finally:
            self.warmed.set()


def raise_errors(events: Generator[Any, None, None], cancelled: Cancelled) -> Iterator[Any]:
    """The events, with an error raised that came as a value; no more of them once cancelled."""
    with closing(events):
        for event in events:
            if cancelled():
                raise CancelledError("the work was stopped")
            if isinstance(event, DearError):
                raise event
            yield event


def _load_student(name: str, quantization: Quantization) -> Student:
    from reranker.student.student import load_student  # noqa: PLC0415 - loads torch

    return load_student(name, quantization)


def _make_student(profile: Profile, quantization: Quantization) -> Student:
    from reranker.student.student import Student  # noqa: PLC0415 - loads torch

    return Student(profile, quantization)
