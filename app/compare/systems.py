"""Systems run now, for a comparison: a collection and a choice of systems in, an experiment out.

Takes the library, yields how far it is and at last the experiment. Every query is ranked through
the library, in turn with other visitors' rankings. Knows no component and no session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.library import Library
from reranker.corpora import load_qrels, load_queries
from reranker.errors import InputError
from reranker.evaluation.collection import Collection, retrieve_collection
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.sources import load_collection
from reranker.progress import Cancelled, TraceUpdate
from reranker.request import RankRequest
from reranker.systems.dear import FORMS, DearSystem, Form, Ranker, TraceSource
from reranker.systems.running import SystemProgress, stream_systems
from reranker.systems.system import FirstStage, System
from reranker.types import Hit, Query, RankingTrace, RankSettings

FIRST_STAGE = "bm25"
SYSTEM_NAMES: dict[str, str] = {
    FIRST_STAGE: "BM25",
    "stage1": "stage 1",
    "stage2": "stage 2 alone",
    "both": "stage 2 after stage 1",
    "blend": "both blended",
}
MAX_DEPTH = 100
MAX_QUERIES = 1_000
"""So many of a collection are ranked on the page; the command line has no such bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which systems rank, and how far. systems: keys of SYSTEM_NAMES. stage2_depth: how many of
    the best stage 2 reads. limit: the first so many queries, None for all."""

    systems: tuple[str, ...]
    student: str
    depth: int
    stage2_depth: int
    limit: int | None
    measures: str

    @property
    def settings(self) -> dict[str, str]:
        """What an experiment keeps of it."""
        told = {"limit": self.limit, "stage2_depth": self.stage2_depth, "student": self.student}
        return {name: str(value) for name, value in told.items()}


def make_plan(
    systems: Sequence[str], student: str, depth: float, read: float, limit: float, measures: str
) -> Plan:
    """The plan of a form. read: for stage 2; limit: 0 for all. Raises InputError."""
    chosen = tuple(name for name in SYSTEM_NAMES if name in systems)
    if len(chosen) < 2:
        raise InputError(
            f"expected two systems or more, got {len(chosen)}; choose what is to be compared"
        )
    numbers = {"candidates": (depth, 1), "passages for stage 2": (read, 1), "queries": (limit, 0)}
    for what, (value, least) in numbers.items():
        most = MAX_QUERIES if what == "queries" else MAX_DEPTH
        if not least <= (-1 if value is None else value) <= most:
            raise InputError(
                f"expected {least} to {most:,} {what}, got {value}; choose a number among these"
            )
    return Plan(
        systems=chosen,
        student=student,
        depth=int(depth),
        stage2_depth=int(read),
        limit=int(limit) or None,
        measures=measures,
    )


def list_judged(library: Library) -> tuple[tuple[str, str], ...]:
    """(title, corpus_id) of the corpora that bring queries with judgements."""
    return tuple(
        (info.title, info.corpus_id)
        for info in library.corpora
        if load_qrels(info.corpus_id, allow_paths=False)
    )


def open_collection(library: Library, corpus_id: str, plan: Plan) -> Collection:
    """A corpus of the server with its judged queries, ranked by BM25. Raises InputError."""
    qrels = load_qrels(corpus_id, allow_paths=False)
    asked = load_queries(corpus_id, allow_paths=False) if qrels else ()
    queries = [query for query in asked if query.query_id in qrels]
    if not queries:
        raise InputError(
            f"expected a corpus with judged queries, got {corpus_id!r}, which has none; upload "
            "one in BEIR form with queries and qrels"
        )
    source = library.open_source(corpus_id)
    kept = queries[: plan.limit]
    collection = retrieve_collection(
        source.corpus, kept, qrels, depth=plan.depth, retriever=source.retriever
    )
    return _check_count(collection.trim())


def read_collection(path: Path, qrels: Path | None, plan: Plan) -> Collection:
    """An uploaded collection: BEIR in a zip, or candidates with qrels. Raises InputError."""
    found = load_collection(str(path), depth=plan.depth, qrels=qrels, limit=plan.limit)
    if not found.qrels:
        raise InputError(
            "expected qrels to measure by, got none; choose a qrels file", where=path.name
        )
    return _check_count(replace(found, name=path.name.split(".")[0]))


def stream_evaluation(
    library: Library, collection: Collection, plan: Plan, cancelled: Cancelled
) -> Iterator[SystemProgress | Experiment]:
    """Progress after every query of every system, then the experiment.

    Raises InputError for a stage the student lacks, CancelledError when stopped, and what ranking
    raises.
    """
    return stream_systems(
        collection,
        _build_systems(library, plan),
        measures=plan.measures,
        depth=plan.depth,
        settings=plan.settings,
        cancelled=cancelled,
    )


def _build_systems(library: Library, plan: Plan) -> list[System]:
    profile = library.list_profiles()[plan.student]
    forms: list[Form] = [form for form in FORMS if form in plan.systems]
    if profile.stage2 is None and forms not in ([], ["stage1"]):
        raise InputError(
            f"expected a student with a stage 2, got {plan.student!r}; choose stage 1 only"
        )
    source = TraceSource(
        plan.student,
        lambda: _open_ranker(library, plan.student),
        profile,
        forms,
        stage2_depth=plan.stage2_depth,
    )
    told = f"{profile.title}, {profile.quantization}, stage 2 reads {plan.stage2_depth}"
    systems: list[System] = [FirstStage()] if FIRST_STAGE in plan.systems else []
    systems += [DearSystem(form, source, f"{SYSTEM_NAMES[form]}, {told}") for form in forms]
    return systems


def _open_ranker(library: Library, student: str) -> Ranker:
    """Ranks through the library, wherever it computes."""
    quantization = library.list_profiles()[student].quantization
    if student == library.student:
        quantization = library.quantization

    def rank_query(
        query: Query, hits: Sequence[Hit], settings: RankSettings, cancelled: Cancelled
    ) -> RankingTrace:
        request = RankRequest(query=query, hits=tuple(hits))
        events = library.stream_rank(student, quantization, request, settings, cancelled)
        traces = [event.trace for event in events if isinstance(event, TraceUpdate)]
        return traces[-1]

    return rank_query


def _check_count(collection: Collection) -> Collection:
    """Raises InputError for more queries than are ranked on the page."""
    if len(collection.lists) > MAX_QUERIES:
        raise InputError(
            f"expected at most {MAX_QUERIES:,} queries, got {len(collection.lists):,}; limit "
            "their number, or run python -m reranker evaluate",
            where=collection.name,
        )
    return collection
