"""Where a system fails: what stage 2 did to each query, what BM25 still wins, and which kinds
of query are hard.

Takes a `RunSet` and a measure, returns records to be listed or drawn. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reranker.errors import InputError
from reranker.evaluation.differences import TIE_TOLERANCE
from reranker.evaluation.run_set import RunSet

Effect = Literal["helped", "hurt", "same"]
LENGTHS = ((1, 3), (4, 6), (7, 10), (11, 10**6))
DEPTHS = ((1, 1), (2, 3), (4, 10), (11, 20), (21, 10**6))


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryEffect:
    """What a later stage did to one query. seconds: its cost over the earlier one, None where no
    time was taken."""

    query_id: str
    text: str
    before: float
    after: float
    effect: Effect
    seconds: float | None

    @property
    def delta(self) -> float:
        """after - before."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True, slots=True)
class StageEffect:
    """What a later stage did over all queries, the most hurt first.

    harm_rate, help_rate: shares of all queries. seconds: mean cost a query, None where unknown.
    """

    before: str
    after: str
    measure: str
    queries: tuple[QueryEffect, ...]
    harm_rate: float
    help_rate: float
    mean_delta: float
    seconds: float | None

    def select(self, effect: Effect) -> tuple[QueryEffect, ...]:
        """The queries that were helped, hurt, or left the same."""
        return tuple(query for query in self.queries if query.effect == effect)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryGroup:
    """Queries of one kind: how many, and each run's mean over them. name: the kind in words."""

    name: str
    query_ids: tuple[str, ...]
    means: Mapping[str, float]


def measure_effect(
    runs: RunSet, before: str, after: str, *, measure: str = "nDCG@10"
) -> StageEffect:
    """What `after` did to the ranking of `before`: did reasoning help here, and at what cost?

    Raises InputError for unknown runs or measures.
    """
    values = _find_values(runs, measure)
    earlier, later = runs.find(before), runs.find(after)
    queries = []
    for query_id in runs.query_ids:
        old, new = values[before][query_id], values[after][query_id]
        effect: Effect = "same"
        if abs(new - old) > TIE_TOLERANCE:
            effect = "helped" if new > old else "hurt"
        seconds = later.seconds.get(query_id)
        if seconds is not None:
            seconds = max(0.0, seconds - earlier.seconds.get(query_id, 0.0))
        queries.append(
            QueryEffect(
                query_id=query_id,
                text=runs.queries.get(query_id, ""),
                before=old,
                after=new,
                effect=effect,
                seconds=seconds,
            )
        )
    queries.sort(key=lambda query: (query.delta, query.query_id))
    costs = [query.seconds for query in queries if query.seconds is not None]
    return StageEffect(
        before=before,
        after=after,
        measure=measure,
        queries=tuple(queries),
        harm_rate=_share(queries, "hurt"),
        help_rate=_share(queries, "helped"),
        mean_delta=sum(query.delta for query in queries) / len(queries) if queries else 0.0,
        seconds=sum(costs) / len(costs) if costs else None,
    )


def find_baseline_wins(
    runs: RunSet, baseline: str, *, others: Sequence[str] = (), measure: str = "nDCG@10"
) -> tuple[QueryEffect, ...]:
    """Queries where `baseline` beats all of `others` (() takes all other runs), by how far.

    `before` is the baseline's value, `after` the best of the others'.
    """
    values = _find_values(runs, measure)
    runs.find(baseline)
    rivals = list(others) or [name for name in runs.names if name != baseline]
    found = []
    for query_id in runs.query_ids:
        mine = values[baseline][query_id]
        best = max(values[runs.find(name).name][query_id] for name in rivals)
        if mine > best + TIE_TOLERANCE:
            found.append(
                QueryEffect(
                    query_id=query_id,
                    text=runs.queries.get(query_id, ""),
                    before=mine,
                    after=best,
                    effect="hurt",
                    seconds=None,
                )
            )
    return tuple(sorted(found, key=lambda query: (query.delta, query.query_id)))


def group_by_length(runs: RunSet, *, measure: str = "nDCG@10") -> tuple[QueryGroup, ...]:
    """Queries by how many words they have. Queries whose text is not known are left out."""

    def count(query_id: str) -> int | None:
        text = runs.queries.get(query_id, "")
        return len(text.split()) if text else None

    return _group(runs, measure, count, LENGTHS, "words", "")


def group_by_depth(
    runs: RunSet, baseline: str, *, relevant_from: int = 1, measure: str = "nDCG@10"
) -> tuple[QueryGroup, ...]:
    """Queries by where `baseline` has its first relevant passage (grade >= relevant_from).

    A reranker cannot help where none was retrieved: that group comes last.
    """
    run = runs.find(baseline).run

    def find_first(query_id: str) -> int | None:
        grades = runs.qrels[query_id]
        ranks = (
            rank
            for rank, (doc_id, _) in enumerate(run.get(query_id, ()), start=1)
            if grades.get(doc_id, 0) >= relevant_from
        )
        return next(ranks, None)

    return _group(runs, measure, find_first, DEPTHS, "rank", "nothing relevant retrieved")


def _group(
    runs: RunSet,
    measure: str,
    place: Callable[[str], int | None],
    bounds: Sequence[tuple[int, int]],
    unit: str,
    outside: str,
) -> tuple[QueryGroup, ...]:
    """Groups that hold something. outside: the name of those without a place, "" drops them."""
    values = _find_values(runs, measure)
    members: dict[str, list[str]] = {_name_bounds(b, unit): [] for b in bounds}
    if outside:
        members[outside] = []
    for query_id in runs.query_ids:
        number = place(query_id)
        if number is None:
            members.get(outside, []).append(query_id)
            continue
        for low, high in bounds:
            if low <= number <= high:
                members[_name_bounds((low, high), unit)].append(query_id)
    return tuple(
        QueryGroup(
            name=name,
            query_ids=tuple(ids),
            means={run: sum(values[run][q] for q in ids) / len(ids) for run in runs.names},
        )
        for name, ids in members.items()
        if ids
    )


def _name_bounds(bounds: tuple[int, int], unit: str) -> str:
    low, high = bounds
    if high == 10**6:
        return f"{unit} {low} and more"
    return f"{unit} {low}" if low == high else f"{unit} {low} to {high}"


def _find_values(runs: RunSet, measure: str) -> dict[str, Mapping[str, float]]:
    measured = runs.measure(measure)
    if not runs.query_ids:
        raise InputError("expected judged queries in these runs, got none; give their qrels")
    return {name: results[0].values for name, results in measured.items()}


def _share(queries: Sequence[QueryEffect], effect: Effect) -> float:
    return sum(query.effect == effect for query in queries) / len(queries) if queries else 0.0
