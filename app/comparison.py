"""What one page compares: runs, two of them in front, and everything computed from these.

Takes `Material` and choices, returns a `Comparison`, which is a value: other choices give a new
one. Knows no component, no HTML and no session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reranker.evaluation.contrast import (
    ContrastFilter,
    Order,
    QueryContrast,
    filter_contrasts,
    list_contrasts,
    sort_contrasts,
)
from reranker.evaluation.differences import TIE_TOLERANCE
from reranker.evaluation.drilldown import QueryView, view_query
from reranker.evaluation.failure_views import (
    QueryEffect,
    QueryGroup,
    StageEffect,
    find_baseline_wins,
    group_by_depth,
    group_by_length,
    measure_effect,
)
from reranker.evaluation.result_table import ResultTable
from reranker.evaluation.run_set import NamedRun, RunSet, make_run_set
from reranker.trec import Qrels
from reranker.types import Passage

Effect = Literal["all", "gained", "lost", "same"]
DEFAULT_MEASURES = "nDCG@10 RR AP"
"""Judged@k is added by the core. The first one is what differences are about."""
MAX_MEASURES_CHARS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a comparison is made of. queries: query_id -> text, passages: doc_id -> passage; both
    may lack some or all. notes: what a reader should know of how it came about."""

    runs: tuple[NamedRun, ...]
    qrels: Qrels
    collection: str
    queries: Mapping[str, str] = field(default_factory=dict)
    passages: Mapping[str, Passage] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """Where the second run fails beside the first."""

    effect: StageEffect
    baseline_wins: tuple[QueryEffect, ...]
    by_depth: tuple[QueryGroup, ...]
    by_length: tuple[QueryGroup, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """How the queries are walked through: their order, and which of them."""

    order: Order = "contrast"
    text: str = ""
    effect: Effect = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """first: the run the others are tested against; second: the run set beside it. rows: every
    query, sorted by query_id."""

    runs: RunSet
    collection: str
    notes: tuple[str, ...]
    measures: str
    first: str
    second: str
    table: ResultTable
    rows: tuple[QueryContrast, ...]
    failures: Failures
    walk: Walk = Walk()

    @property
    def measure(self) -> str:
        """The measure that differences are about."""
        return self.table.main

    def list_rows(self) -> tuple[QueryContrast, ...]:
        """The queries of the walk, in its order."""
        low = TIE_TOLERANCE if self.walk.effect == "gained" else None
        high = -TIE_TOLERANCE if self.walk.effect == "lost" else None
        wanted = ContrastFilter(text=self.walk.text, min_delta=low, max_delta=high)
        if self.walk.effect == "same":
            wanted = replace(wanted, min_delta=-TIE_TOLERANCE, max_delta=TIE_TOLERANCE)
        return sort_contrasts(filter_contrasts(self.rows, wanted), self.walk.order)

    def view(self, query_id: str) -> QueryView:
        """One query under all runs, with its neighbours in the walk; the two in front come first.
        Raises InputError."""
        front = [self.first, self.second]
        names = [*front, *(name for name in self.runs.names if name not in front)]
        order = [row.query_id for row in self.list_rows()]
        return view_query(self.runs, query_id, names=names, order=order)

    def with_walk(self, walk: Walk) -> Comparison:
        """The same queries in another order, or others of them."""
        return replace(self, walk=walk)


def collect_runs(material: Material) -> RunSet:
    """The runs with a report on each, before anything is compared. Raises InputError."""
    return make_run_set(
        material.runs, material.qrels, queries=material.queries, passages=material.passages
    )


def compare_runs(
    runs: RunSet,
    *,
    collection: str,
    notes: tuple[str, ...] = (),
    measures: str = DEFAULT_MEASURES,
    first: str = "",
    second: str = "",
) -> Comparison:
    """The comparison of `runs`. first: "" takes the first run; second: "" the best of the others.

    Raises InputError for measures that are none, unknown runs, and one run given twice.
    """
    first = first or runs.names[0]
    table = runs.tabulate(measures[:MAX_MEASURES_CHARS], baseline=first, collection=collection)
    if not second or second == first:
        others = [row for row in table.rows if row.system != first]
        second = max(others, key=lambda row: row.intervals[table.main].estimate).system
    return Comparison(
        runs=runs,
        collection=collection,
        notes=notes,
        measures=measures,
        first=first,
        second=second,
        table=table,
        rows=list_contrasts(runs, first, second, measure=table.main),
        failures=Failures(
            effect=measure_effect(runs, first, second, measure=table.main),
            baseline_wins=find_baseline_wins(runs, first, measure=table.main),
            by_depth=group_by_depth(runs, first, measure=table.main),
            by_length=group_by_length(runs, measure=table.main),
        ),
    )
