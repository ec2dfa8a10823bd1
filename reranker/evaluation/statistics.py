"""How sure one may be of a mean or of a difference between two runs.

Takes per-query values (query_id -> value), returns intervals and tests with their seed and
sample size. Computed by scipy, never simulated. Knows no measure and draws nothing. Queries
are paired by query_id and taken in sorted order, so the order they come in never matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reranker.errors import InputError

MIN_QUERIES = 10
RESAMPLES = 9_999
_BATCH_VALUES = 1_000_000

_Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A bootstrap interval of a mean over queries.

    estimate: the mean itself (of the differences a - b for a difference). low, high: its
    `confidence` interval, in the measure's unit. warning: "" or why not to rely on it.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    queries: int
    resamples: int
    seed: int
    warning: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Significance:
    """A paired randomisation test of "the two runs are interchangeable, query by query".

    difference: mean of a - b. p_value: two-sided. permutations: how many assignments were
    looked at; exact: that these were all of them, so that no seed plays a part.
    """

    difference: float
    p_value: float
    queries: int
    permutations: int
    exact: bool
    seed: int
    warning: str = ""


def bootstrap_mean(
    values: Mapping[str, float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap interval of the mean of per-query `values` (Efron 1979).

    Queries are resampled with replacement by scipy.stats.bootstrap. Raises InputError for no
    values, values that are not finite, or a confidence outside (0, 1).
    """
    return _bootstrap(_as_array(values), confidence, resamples, seed)


def bootstrap_difference(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap interval of the mean of a - b, paired by query.

    Raises InputError when a and b do not hold the same queries, and as bootstrap_mean does.
    """
    first, second = pair_values(a, b)
    return _bootstrap(first - second, confidence, resamples, seed)


def randomization_test(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Significance:
    """Fisher's paired randomisation test on the mean of a - b, two-sided.

    Swaps a and b within queries by scipy.stats.permutation_test: every one of the 2^queries
    ways when that is at most `resamples`, else `resamples` random ones (Smucker, Allan and
    Carterette 2007). Raises InputError when a and b do not hold the same queries.
    """
    first, second = pair_values(a, b)
    queries = len(first)
    _require_positive(resamples)
    difference = float(np.mean(first - second))
    if queries == 1:  # both ways of one pair differ only in sign; scipy needs two queries
        return _significance(difference, 1.0, queries, 2, True, seed)
    found = stats.permutation_test(
        (first, second),
        _mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(queries),
        rng=np.random.default_rng(seed),
    )
    exact = 2**queries <= resamples
    permutations = 2**queries if exact else resamples
    return _significance(difference, float(found.pvalue), queries, permutations, exact, seed)


def _bootstrap(values: _Values, confidence: float, resamples: int, seed: int) -> Interval:
    if not 0 < confidence < 1:
        raise InputError(f"expected a confidence between 0 and 1, got {confidence}; use 0.95")
    _require_positive(resamples)
    mean = float(np.mean(values))
    low = high = mean
    if np.ptp(values) > 0:  # equal values leave nothing to resample
        found = stats.bootstrap(
            (values,),
            np.mean,
            confidence_level=confidence,
            n_resamples=resamples,
            batch=_batch(len(values)),
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        low, high = (float(edge) for edge in found.confidence_interval)
    return Interval(
        estimate=mean,
        low=low,
        high=high,
        confidence=confidence,
        queries=len(values),
        resamples=resamples,
        seed=seed,
        warning=_warn_of_few(len(values)),
    )


def _significance(
    difference: float, p_value: float, queries: int, permutations: int, exact: bool, seed: int
) -> Significance:
    return Significance(
        difference=difference,
        p_value=min(p_value, 1.0),
        queries=queries,
        permutations=permutations,
        exact=exact,
        seed=seed,
        warning=_warn_of_few(queries),
    )


def _mean_difference(a: _Values, b: _Values, axis: int) -> Any:
    return np.mean(a - b, axis=axis)


def pair_values(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[_Values, _Values]:
    """Both as arrays in sorted order of query_id. Raises InputError for different queries."""
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise InputError(
            f"expected two runs over the same queries, got {len(odd)} in only one of them "
            f"(such as {odd[0]!r}); evaluate both against the same qrels"
        )
    return _as_array(a), _as_array(b)


def _as_array(values: Mapping[str, float]) -> _Values:
    array = np.array([values[query_id] for query_id in sorted(values)], dtype=np.float64)
    if not array.size or not np.isfinite(array).all():
        got = "a value that is not finite" if array.size else "none"
        raise InputError(
            f"expected a finite value for each query, got {got}; evaluate the run again"
        )
    return array


def _require_positive(resamples: int) -> None:
    if resamples < 1:
        raise InputError(f"expected at least 1 resample, got {resamples}; use {RESAMPLES}")


def _batch(queries: int) -> int:
    """How many resamples scipy may hold in memory at once."""
    return max(1, _BATCH_VALUES // queries)


def _warn_of_few(queries: int) -> str:
    if queries >= MIN_QUERIES:
        return ""
    unit = "query" if queries == 1 else "queries"
    return f"only {queries} {unit}: below {MIN_QUERIES} an interval or a p-value says little"
