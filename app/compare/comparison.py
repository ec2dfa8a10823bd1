"""What one page compares: runs, two of them in front, and everything computed from these.

Takes `Material` and choices, returns a `Comparison`, which is a value: other choices give a new
one. Knows no component, no HTML and no session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from app.compare.remarks import COMMENTED, MARKED, Remark
from reranker.errors import InputError
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
VIEW_DEPTH = 20
SHOWN_RUNS = 4
"""Runs side by side before anybody chose."""
_EFFECT_BOUNDS: dict[Effect, tuple[float | None, float | None]] = {
    "all": (None, None),
    "gained": (TIE_TOLERANCE, None),
    "lost": (None, -TIE_TOLERANCE),
    "same": (-TIE_TOLERANCE, TIE_TOLERANCE),
}


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
    effect: Effect = "all"
    wanted: ContrastFilter = ContrastFilter()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """first: the run the others are tested against; second: the run set beside it. rows: every
    query, sorted by query_id. remarks: by query_id. shown: the runs that stand side by side.
    chosen: the query a reader asked for last, "" for none."""

    runs: RunSet
    collection: str
    notes: tuple[str, ...]
    measures: str
    first: str
    second: str
    table: ResultTable
    rows: tuple[QueryContrast, ...]
    failures: Failures
    shown: tuple[str, ...] = ()
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    walk: Walk = Walk()
    chosen: str = ""

    @property
    def measure(self) -> str:
        """The measure that differences are about."""
        return self.table.main

    @property
    def labels(self) -> tuple[str, ...]:
        """What queries can be filtered by: marked, commented, then the tags."""
        held = {label for remark in self.remarks.values() for label in remark.labels}
        first = tuple(word for word in (MARKED, COMMENTED) if word in held)
        return (*first, *sorted(held.difference(first)))

    def list_rows(self) -> tuple[QueryContrast, ...]:
        """The queries of the walk, in its order."""
        low, high = _EFFECT_BOUNDS[self.walk.effect]
        by_effect = ContrastFilter(min_delta=low, max_delta=high)
        rows = filter_contrasts(filter_contrasts(self.rows, by_effect), self.walk.wanted)
        return sort_contrasts(rows, self.walk.order)

    @property
    def selected(self) -> str:
        """The query side by side: the chosen one, else the walk's first, "" where it is empty."""
        return self.chosen or next((row.query_id for row in self.list_rows()), "")

    def view(self, query_id: str, *, depth: int = VIEW_DEPTH) -> QueryView:
        """One query under the shown runs, to `depth` passages each, with its neighbours in the
        walk. Raises InputError."""
        order = [row.query_id for row in self.list_rows()]
        return view_query(self.runs, query_id, names=self.shown, depth=depth, order=order)

    def find_effect(self, query_id: str) -> QueryEffect:
        """What the second run did to one query of the first. Raises InputError."""
        self.find_row(query_id)
        return next(e for e in self.failures.effect.queries if e.query_id == query_id)

    def find_row(self, query_id: str) -> QueryContrast:
        """The contrast of one query. Raises InputError."""
        for row in self.rows:
            if row.query_id == query_id:
                return row
        raise InputError(f"expected a query of these runs, got {query_id!r}; choose another")

    def with_chosen(self, query_id: str) -> Comparison:
        """The same with another query side by side. Raises InputError for an unknown one."""
        return replace(self, chosen=self.find_row(query_id).query_id)

    def with_walk(self, walk: Walk) -> Comparison:
        """The same queries in another order, or others of them; what is chosen stays if it fits."""
        walked = replace(self, walk=walk)
        fits = self.chosen in {row.query_id for row in walked.list_rows()}
        return walked if fits else replace(walked, chosen="")

    def with_shown(self, names: Sequence[str]) -> Comparison:
        """Other runs side by side, the two in front first; none stands for those two."""
        known = set(names) & set(self.runs.names) or {self.first, self.second}
        return replace(self, shown=tuple(n for n in self.list_front_first() if n in known))

    def with_remark(self, query_id: str, remark: Remark) -> Comparison:
        """The same with another remark on one query. Raises InputError for an unknown query."""
        self.find_row(query_id)
        return self.with_remarks({**self.remarks, query_id: remark})

    def with_remarks(self, remarks: Mapping[str, Remark]) -> Comparison:
        """The same with these remarks, as far as they are on its queries."""
        known = {row.query_id for row in self.rows}
        kept = {q: remark for q, remark in remarks.items() if q in known and remark != Remark()}
        rows = tuple(
            replace(row, tags=kept[row.query_id].labels if row.query_id in kept else ())
            for row in self.rows
        )
        return replace(self, remarks=kept, rows=rows)

    def list_front_first(self) -> tuple[str, ...]:
        """All runs' names, those of the two in front before the others."""
        front = (self.first, self.second)
        return (*front, *(name for name in self.runs.names if name not in front))


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
    comparison = Comparison(
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
    return comparison.with_shown(comparison.list_front_first()[:SHOWN_RUNS])
