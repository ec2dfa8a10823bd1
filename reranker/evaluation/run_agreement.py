"""How alike two runs rank: rank-biased overlap and Kendall's tau, query by query.

Takes two runs, returns numbers per query and their means. Knows no qrels: agreement says nothing
of which run is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

from reranker.errors import InputError
from reranker.evaluation.agreement import PERSISTENCE
from reranker.trec import Ranking, Run


@dataclass(frozen=True, kw_only=True, slots=True)
class RunAgreement:
    """Two runs over the queries both have.

    rbo: query_id -> rank-biased overlap, 1 for equal orders and 0 for nothing in common (Webber,
    Moffat and Zobel 2010), cut at the shorter ranking and divided by the weight seen there.
    tau: query_id -> Kendall's tau-b over the passages both rank; queries with fewer than two of
    these have none. Means are None where no query has a value.
    """

    first: str
    second: str
    rbo: Mapping[str, float]
    tau: Mapping[str, float]

    @property
    def mean_rbo(self) -> float:
        """Over the queries both runs have."""
        return sum(self.rbo.values()) / len(self.rbo)

    @property
    def mean_tau(self) -> float | None:
        """Over the queries that have a tau."""
        return sum(self.tau.values()) / len(self.tau) if self.tau else None


def compare_runs(
    first: Run, second: Run, *, names: tuple[str, str] = ("first", "second")
) -> RunAgreement:
    """The agreement of two runs. Raises InputError when they share no query."""
    shared = sorted(q for q in first.keys() & second.keys() if first[q] and second[q])
    if not shared:
        raise InputError(
            f"expected runs with queries in common, got none for {names[0]!r} and {names[1]!r}; "
            "compare runs over one collection"
        )
    taus = {q: tau for q in shared if (tau := measure_tau(first[q], second[q])) is not None}
    return RunAgreement(
        first=names[0],
        second=names[1],
        rbo={q: measure_rbo(first[q], second[q]) for q in shared},
        tau=taus,
    )


def measure_rbo(first: Ranking, second: Ranking) -> float:
    """Rank-biased overlap of two rankings that hold something.

    The same number as ir_measures' own function, whose time grows with the square of the depth:
    a thousand queries of eight runs would take minutes.
    """
    left: set[str] = set()
    right: set[str] = set()
    overlap, weight, score, total = 0, 1.0, 0.0, 0.0
    for depth, ((a, _), (b, _)) in enumerate(zip(first, second, strict=False), start=1):
        if a == b:
            overlap += 1
        else:
            overlap += (a in right) + (b in left)
            left.add(a)
            right.add(b)
        score += weight * overlap / depth
        total += weight
        weight *= PERSISTENCE
    return score / total


def measure_tau(first: Ranking, second: Ranking) -> float | None:
    """Kendall's tau-b over the passages both rank; None with fewer than two of these."""
    ranks = {doc_id: rank for rank, (doc_id, _) in enumerate(second)}
    places = [ranks[doc_id] for doc_id, _ in first if doc_id in ranks]
    if len(places) < 2:
        return None
    return float(stats.kendalltau(range(len(places)), places).statistic)
