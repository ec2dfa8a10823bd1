"""Runs to be compared: two to eight of them over one collection, and what is odd about each.

Takes runs from files, experiments or traces, and qrels; returns a `RunSet` whose reports say what
is missing, tied, given twice or named differently, before anything is compared. Draws nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reranker.errors import InputError
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.measures import MeasureResult, add_judged, evaluate_run, parse_measures
from reranker.evaluation.result_table import ResultTable, build_table
from reranker.trec import Qrels, Ranking, Run, rank_by_position, read_run
from reranker.types import Justification, Passage, RankingTrace

MIN_RUNS, MAX_RUNS = 2, 8
MAX_EXAMPLES = 5
PAGE_RESAMPLES = 1_999
"""Enough for three decimals, and a table of eight runs comes at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedRun:
    """A run with what is known of how it came about.

    origin: the file, experiment or student. duplicates: places ("file:line") of doc_ids given
    again, which were passed over. seconds, justifications: by query_id, where known.
    """

    name: str
    run: Run
    origin: str
    duplicates: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    justifications: Mapping[str, tuple[Justification, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Oddity:
    """Something to know of a run before reading its numbers. examples: the first few places."""

    kind: str
    count: int
    explanation: str
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """One run's size and oddities; those that do not occur are left out."""

    name: str
    queries: int
    passages: int
    oddities: tuple[Oddity, ...]

    def count(self, kind: str) -> int:
        """How often an oddity occurs: missing, unjudged, ties, duplicates, unknown_passages."""
        return sum(oddity.count for oddity in self.oddities if oddity.kind == kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSet:
    """Runs over one collection. queries: query_id -> text, passages: doc_id -> passage; both may
    lack some or all. tags: query_id -> words a person put to it."""

    runs: tuple[NamedRun, ...]
    qrels: Qrels
    reports: tuple[RunReport, ...]
    queries: Mapping[str, str] = field(default_factory=dict)
    passages: Mapping[str, Passage] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The runs' names, in order."""
        return tuple(run.name for run in self.runs)

    @property
    def query_ids(self) -> tuple[str, ...]:
        """The judged queries that at least one run has, sorted."""
        ranked = {query_id for run in self.runs for query_id, ranking in run.run.items() if ranking}
        return tuple(sorted(ranked & self.qrels.keys()))

    def find(self, name: str) -> NamedRun:
        """The run called `name`. Raises InputError."""
        for run in self.runs:
            if run.name == name:
                return run
        raise InputError(f"expected a run among {', '.join(self.names)}, got {name!r}; choose one")

    def measure(self, measures: str) -> dict[str, tuple[MeasureResult, ...]]:
        """run -> results, Judged@k among them, over the queries of `query_ids`.

        A query that only some runs have counts as 0 for the others; one that none has is left
        out, since the collection of the comparison is what was ranked at all. Raises InputError.
        """
        parsed = add_judged(parse_measures(measures))
        qrels = {query_id: self.qrels[query_id] for query_id in self.query_ids}
        return {run.name: evaluate_run(run.run, qrels, parsed).results for run in self.runs}

    def tabulate(
        self,
        measures: str,
        *,
        baseline: str = "",
        collection: str = "",
        resamples: int = PAGE_RESAMPLES,
    ) -> ResultTable:
        """The table of these runs; baseline "" takes the first."""
        seconds = {run.name: _mean(run.seconds.values()) for run in self.runs}
        return build_table(
            self.measure(measures),
            collection=collection,
            baseline=baseline or self.names[0],
            descriptions={run.name: run.origin for run in self.runs},
            seconds=seconds,
            resamples=resamples,
        )


def make_run_set(
    runs: Sequence[NamedRun],
    qrels: Qrels,
    *,
    queries: Mapping[str, str] | None = None,
    passages: Mapping[str, Passage] | None = None,
    tags: Mapping[str, tuple[str, ...]] | None = None,
) -> RunSet:
    """A set of runs with a report on each.

    Raises InputError for fewer than MIN_RUNS or more than MAX_RUNS, for names given twice, and
    where a run shares no query with the qrels or no passage with the others.
    """
    names = [run.name for run in runs]
    if not MIN_RUNS <= len(runs) <= MAX_RUNS or len(set(names)) != len(names):
        raise InputError(
            f"expected {MIN_RUNS} to {MAX_RUNS} runs with names of their own, got {len(runs)} "
            f"({', '.join(names[:MAX_RUNS])}); add, drop or rename some"
        )
    for run in runs:
        if not run.run.keys() & qrels.keys():
            raise InputError(
                f"expected runs and qrels over the same queries, got none in common for "
                f"{run.name!r} (run: {_sample(run.run)}; qrels: {_sample(qrels)}); check that "
                "they belong together"
            )
    _check_passages(runs)
    known = passages or {}
    return RunSet(
        runs=tuple(runs),
        qrels=qrels,
        reports=tuple(_report(run, runs, qrels, known) for run in runs),
        queries=queries or {},
        passages=known,
        tags=tags or {},
    )


def load_run(path: Path, name: str = "") -> NamedRun:
    """A run from a TREC file; repeated doc_ids are noted, not refused. Raises InputError."""
    duplicates: list[str] = []
    run = read_run(path, duplicates=duplicates)
    return NamedRun(
        name=name or path.name.removesuffix(".gz").removesuffix(".trec").removesuffix(".txt"),
        run=run,
        origin=path.name,
        duplicates=tuple(duplicates),
    )


def list_experiment_runs(experiment: Experiment) -> tuple[NamedRun, ...]:
    """An experiment's systems as runs, with their times and justifications."""
    return tuple(
        NamedRun(
            name=system.name,
            run=system.run,
            origin=f"{experiment.collection}, {experiment.created}",
            seconds=system.seconds,
            justifications=system.justifications,
        )
        for system in experiment.systems
    )


def make_trace_run(name: str, traces: Iterable[RankingTrace]) -> NamedRun:
    """Traces of one student as a run: final orders, seconds of both stages, justifications.

    Raises InputError where a query_id comes twice: rankings of a page all have ids of their own.
    """
    run: Run = {}
    seconds: dict[str, float] = {}
    justifications: dict[str, tuple[Justification, ...]] = {}
    for trace in traces:
        query_id = trace.query.query_id
        if query_id in run:
            raise InputError(
                f"expected one trace a query, got {query_id!r} again in {name!r}; keep one"
            )
        run[query_id] = rank_by_position(trace.final_order)
        seconds[query_id] = sum(t.seconds for t in trace.timings if t.stage != "bm25")
        justifications[query_id] = tuple(trace.justifications.values())
    return NamedRun(
        name=name, run=run, origin="traces", seconds=seconds, justifications=justifications
    )


def _report(
    run: NamedRun, runs: Sequence[NamedRun], qrels: Qrels, passages: Mapping[str, Passage]
) -> RunReport:
    ranked = {query_id for query_id, ranking in run.run.items() if ranking}
    everywhere = {query_id for other in runs for query_id, r in other.run.items() if r}
    tied = {query_id: ties for query_id, r in run.run.items() if (ties := _count_ties(r))}
    strange = [d for r in run.run.values() for d, _ in r if passages and d not in passages]
    found = (
        _note("missing", sorted((everywhere & qrels.keys()) - ranked), "judged queries it lacks"),
        _note("unjudged", sorted(ranked - qrels.keys()), "queries without qrels: left out"),
        Oddity(
            kind="ties",
            count=sum(tied.values()),
            explanation="passages with the score of the one before, ordered by doc_id",
            examples=tuple(sorted(tied)[:MAX_EXAMPLES]),
        ),
        _note("duplicates", run.duplicates, "lines with a doc_id given before: best score counts"),
        _note("unknown_passages", strange, "ranked doc_ids without a text in this collection"),
    )
    return RunReport(
        name=run.name,
        queries=len(ranked),
        passages=sum(map(len, run.run.values())),
        oddities=tuple(oddity for oddity in found if oddity.count),
    )


def _note(kind: str, places: Sequence[str], explanation: str) -> Oddity:
    examples = tuple(dict.fromkeys(places))[:MAX_EXAMPLES]
    return Oddity(kind=kind, count=len(places), explanation=explanation, examples=examples)


def _count_ties(ranking: Ranking) -> int:
    """Passages whose score equals that of the one before, in trec_eval's single precision."""
    singles = array("f", [score for _, score in ranking])
    return sum(a == b for a, b in zip(singles, singles[1:], strict=False))


def _check_passages(runs: Sequence[NamedRun]) -> None:
    """Runs over other doc_ids would look like total disagreement."""
    held = [{doc_id for ranking in run.run.values() for doc_id, _ in ranking} for run in runs]
    for place, run in enumerate(runs):
        others = set().union(*(docs for number, docs in enumerate(held) if number != place))
        if not held[place] & others:
            raise InputError(
                f"expected runs over the same passages, got no doc_id of {run.name!r} in any "
                f"other (such as {min(held[place], default='none')!r}); check how ids are written"
            )


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None


def _sample(table: Mapping[str, object]) -> str:
    return ", ".join(sorted(table)[:3]) or "no queries"
