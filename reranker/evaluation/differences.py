"""Differences between systems: per-query values of several systems in, tests and intervals out.

Takes query_id -> value for each system and the name of a baseline, returns one
`PairedDifference` a system with everything a careful table prints. The single tests live in
`statistics.py`; here they are put together and corrected for their number. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from reranker.errors import InputError
from reranker.evaluation.statistics import (
    RESAMPLES,
    Interval,
    Significance,
    bootstrap_difference,
    pair_values,
    randomization_test,
)

TIE_TOLERANCE = 1e-9  # values of trec_eval differ in the last digits between equal rankings


@dataclass(frozen=True, kw_only=True, slots=True)
class TTest:
    """Student's paired t-test, two-sided. None where it is not defined.

    It is not defined below two queries, and where every query differs by the same amount.
    """

    statistic: float | None
    p_value: float | None
    queries: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedDifference:
    """`system` against `baseline`, query by query.

    interval: of the mean of system - baseline. wins, losses, ties count queries.
    effect_size: Cohen's d of the paired differences (mean / standard deviation), None where
    they have no spread. holm_t, holm_randomization: the tests' p-values after Holm's correction
    over all comparisons made together. warning: "" or why not to rely on any of it.
    """

    system: str
    baseline: str
    interval: Interval
    t_test: TTest
    randomization: Significance
    wins: int
    ties: int
    losses: int
    effect_size: float | None
    holm_t: float | None
    holm_randomization: float
    comparisons: int = 1
    warning: str = ""

    @property
    def difference(self) -> float:
        """The mean of system - baseline."""
        return self.interval.estimate


def compare_to_baseline(
    values: Mapping[str, Mapping[str, float]],
    baseline: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[PairedDifference, ...]:
    """Every other system of `values` (system -> query_id -> value) against `baseline`.

    Comes in the order of `values`. The order of queries never matters. Raises InputError for a
    baseline that is not among the systems, and where systems were not measured on the same
    queries.
    """
    if baseline not in values:
        raise InputError(
            f"expected a baseline among {', '.join(sorted(values)) or 'no systems'}, got "
            f"{baseline!r}; choose one of these"
        )
    found = [
        compare_pair(
            values[system],
            values[baseline],
            names=(system, baseline),
            resamples=resamples,
            seed=seed,
        )
        for system in values
        if system != baseline
    ]
    known = [d.t_test.p_value for d in found]
    t_values = iter(correct_holm([p for p in known if p is not None]))
    randomizations = correct_holm([d.randomization.p_value for d in found])
    return tuple(
        replace(
            difference,
            holm_t=None if difference.t_test.p_value is None else next(t_values),
            holm_randomization=randomization,
            comparisons=len(found),
        )
        for difference, randomization in zip(found, randomizations, strict=True)
    )


def compare_pair(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    names: tuple[str, str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """One comparison of a against b, its p-values not corrected. Raises InputError."""
    first, second = pair_values(a, b)
    differences = first - second
    randomization = randomization_test(a, b, resamples=resamples, seed=seed)
    t_test = paired_t_test(a, b)
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    flat = spread <= TIE_TOLERANCE
    return PairedDifference(
        system=names[0],
        baseline=names[1],
        interval=bootstrap_difference(a, b, resamples=resamples, seed=seed),
        t_test=t_test,
        randomization=randomization,
        wins=int(np.sum(differences > TIE_TOLERANCE)),
        ties=int(np.sum(np.abs(differences) <= TIE_TOLERANCE)),
        losses=int(np.sum(differences < -TIE_TOLERANCE)),
        effect_size=None if flat else float(np.mean(differences)) / spread,
        holm_t=t_test.p_value,
        holm_randomization=randomization.p_value,
        warning=randomization.warning,
    )


def paired_t_test(a: Mapping[str, float], b: Mapping[str, float]) -> TTest:
    """Student's t-test of a - b by scipy.stats.ttest_rel. Equal values give p = 1.

    Raises InputError when a and b do not hold the same queries.
    """
    first, second = pair_values(a, b)
    differences = first - second
    queries = len(differences)
    if not np.any(np.abs(differences) > TIE_TOLERANCE):
        return TTest(statistic=0.0, p_value=1.0, queries=queries)
    if queries < 2 or np.ptp(differences) <= TIE_TOLERANCE:
        return TTest(statistic=None, p_value=None, queries=queries)
    found = stats.ttest_rel(first, second)
    return TTest(statistic=float(found.statistic), p_value=float(found.pvalue), queries=queries)


def correct_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979), in the order given, each at most 1.

    The k-th smallest of m is multiplied by m - k + 1, and none may fall below one before it.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted
