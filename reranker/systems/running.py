"""Running systems over a collection: one experiment out.

Takes a `Collection` and systems, returns an `Experiment`, telling how far it has come. Knows the
interface of systems only. A query that a system fails on is recorded and counts as 0; a system
that fails on its first queries is not worth waiting for, and stops everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

from reranker.errors import CancelledError, DearError, EndpointError, InputError
from reranker.evaluation.collection import Collection
from reranker.evaluation.experiment import Experiment, SystemRun
from reranker.evaluation.measures import DEFAULT_MEASURES, parse_measures
from reranker.progress import Cancelled
from reranker.systems.system import System, SystemRanking
from reranker.types import Justification

MAX_FAILURES_IN_A_ROW = 3
_RECORDED = ("torch", "transformers", "peft", "bitsandbytes", "ir-measures", "scipy")

OnProgress = Callable[[str, int, int], None]
"""Called with a system's name, queries done, queries in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemProgress:
    """One system has ranked `done` of `total` queries."""

    system: str
    done: int
    total: int


def run_systems(
    collection: Collection,
    systems: Sequence[System],
    *,
    measures: str = DEFAULT_MEASURES,
    depth: int,
    baseline: str = "",
    settings: Mapping[str, str] | None = None,
    on_progress: OnProgress = lambda system, done, total: None,
    cancelled: Cancelled = lambda: False,
) -> Experiment:
    """The experiment `stream_systems` ends with; it raises the same."""
    steps = stream_systems(
        collection,
        systems,
        measures=measures,
        depth=depth,
        baseline=baseline,
        settings=settings,
        cancelled=cancelled,
    )
    for step in steps:
        if isinstance(step, Experiment):
            return step
        on_progress(step.system, step.done, step.total)
    raise DearError("expected an experiment at the end, got none; this is a fault of the program")


def stream_systems(
    collection: Collection,
    systems: Sequence[System],
    *,
    measures: str = DEFAULT_MEASURES,
    depth: int,
    baseline: str = "",
    settings: Mapping[str, str] | None = None,
    cancelled: Cancelled = lambda: False,
) -> Iterator[SystemProgress | Experiment]:
    """Ranks every query of `collection` with every system; the last step is the experiment.

    depth: candidates a query. baseline: a system's name; "" takes the first one. Measures are
    parsed before anything is ranked. Raises InputError for nothing to rank, CancelledError when
    stopped, and a system's own error when it fails on every query or several in a row.
    """
    parsed = tuple(str(measure) for measure in parse_measures(measures))
    names = [system.name for system in systems]
    if not names or len(set(names)) != len(names) or (baseline and baseline not in names):
        raise InputError(
            f"expected systems with names of their own and a baseline among them, got "
            f"{', '.join(names) or 'none'} and baseline {baseline!r}; correct them"
        )
    if not collection.lists:
        raise InputError("expected a collection with queries, got none", where=collection.name)
    cut = collection.cut(depth)
    runs = []
    for system in systems:
        ranking = _Ranking(system, cut)
        yield from ranking.rank_queries(cancelled)
        system.close()
        runs.append(ranking.make_run())
    yield Experiment(
        collection=cut.name,
        collection_sha256=cut.sha256,
        first_stage=cut.first_stage,
        licence=cut.licence,
        note=cut.note,
        depth=depth,
        measures=parsed,
        baseline=baseline or names[0],
        queries=tuple(candidates.query for candidates in cut.lists),
        passages={hit.passage.doc_id: hit.passage for c in cut.lists for hit in c.hits},
        qrels=cut.qrels,
        answers=cut.answers,
        systems=tuple(runs),
        settings=dict(settings or {}),
        versions=_list_versions(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


class _Ranking:
    """One system at work on a collection."""

    def __init__(self, system: System, collection: Collection) -> None:
        self.system, self.collection = system, collection
        self.found: dict[str, SystemRanking] = {}
        self.failures: dict[str, str] = {}

    def rank_queries(self, cancelled: Cancelled) -> Iterator[SystemProgress]:
        """Tells every query that is done. Raises as `stream_systems` does."""
        in_a_row, total = 0, len(self.collection.lists)
        for number, candidates in enumerate(self.collection.lists, start=1):
            query_id = candidates.query.query_id
            if cancelled():
                raise CancelledError(f"{self.system.name} was stopped after {number - 1} queries")
            if candidates.hits:
                try:
                    self.found[query_id] = self.system.rank(
                        candidates.query, candidates.hits, cancelled=cancelled
                    )
                    in_a_row = 0
                except EndpointError as error:  # elsewhere a failure is a fault that will repeat
                    self.failures[query_id] = str(error)
                    in_a_row += 1
                    if in_a_row >= min(MAX_FAILURES_IN_A_ROW, total):
                        raise
            yield SystemProgress(system=self.system.name, done=number, total=total)

    def make_run(self) -> SystemRun:
        """What it made of the collection. Raises DearError where it lost or invented a passage."""
        _check_whole(self.found, self.collection, self.system.name)
        return _make_run(self.system, self.found, self.failures)


def _check_whole(found: Mapping[str, SystemRanking], collection: Collection, name: str) -> None:
    """A system that loses or invents a passage would be measured on other ground."""
    for candidates in collection.lists:
        ranking = found.get(candidates.query.query_id)
        wanted = sorted(hit.passage.doc_id for hit in candidates.hits)
        if ranking is not None and sorted(doc_id for doc_id, _ in ranking.ranking) != wanted:
            raise DearError(
                f"expected {name!r} to return each candidate of {candidates.query.query_id!r} "
                "once, got others; this is a fault of the system"
            )


def _make_run(
    system: System, found: Mapping[str, SystemRanking], failures: Mapping[str, str]
) -> SystemRun:
    run = SystemRun(
        name=system.name,
        description=system.description,
        run={query_id: ranking.ranking for query_id, ranking in found.items()},
        failures=dict(failures),
    )
    justifications: dict[str, tuple[Justification, ...]] = {
        query_id: r.justifications for query_id, r in found.items() if r.justifications
    }
    return replace(
        run,
        seconds={query_id: ranking.seconds for query_id, ranking in found.items()},
        defects={query_id: r.defects for query_id, r in found.items() if r.defects},
        justifications=justifications,
    )


def _list_versions() -> dict[str, str]:
    versions = {}
    for package in _RECORDED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
