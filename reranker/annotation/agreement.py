"""How far people agree, in numbers: ratings in, coefficients with intervals out.

Krippendorff's alpha comes from the package krippendorff, Kendall's tau and the bootstrap from
scipy; Cohen's kappa is in pair_agreement.py. Knows neither projects nor answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import krippendorff
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reranker.annotation.answers import Span

Level = Literal["nominal", "ordinal"]
Ratings = Mapping[str, Mapping[str, int]]
"""unit -> person -> value; people without a value for a unit are left out of it."""

RESAMPLES = 999
CONFIDENCE = 0.95
MIN_GROUPS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficient:
    """A coefficient of agreement. value: None where it is not defined (nobody shared a unit, or
    everybody always said the same). low, high: its bootstrap interval over items, None where there
    are too few. units: how many had two ratings or more."""

    value: float | None
    low: float | None = None
    high: float | None = None
    units: int = 0


def measure_alpha(
    ratings: Ratings,
    level: Level,
    *,
    groups: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Coefficient:
    """Krippendorff's alpha (Krippendorff 2004, ch. 11) with a percentile interval.

    groups: unit -> item; items are resampled, since units of one item are no independent draws.
    """
    units = [unit for unit in ratings if len(ratings[unit]) > 1]
    domain = sorted({value for unit in units for value in ratings[unit].values()})
    if len(domain) < 2:
        return Coefficient(value=None, units=len(units))
    counts = np.zeros((len(units), len(domain)), dtype=np.int64)
    for row, unit in enumerate(units):
        for given in ratings[unit].values():
            counts[row, domain.index(given)] += 1
    value = _alpha(counts, domain, level)
    rows: dict[str, list[int]] = {}
    for row, unit in enumerate(units):
        rows.setdefault(groups[unit] if groups else unit, []).append(row)
    low, high = _bootstrap_groups(
        [np.asarray(group) for group in rows.values()],
        lambda chosen: _alpha(counts[chosen], domain, level),
        resamples,
        seed,
    )
    return Coefficient(value=value, low=low, high=high, units=len(units))


def span_overlap(first: Sequence[Span], second: Sequence[Span]) -> float:
    """F1 of two people's spans over characters: 1 for the same characters (or none by both)."""
    left = {place for span in first for place in range(span.start, span.end)}
    right = {place for span in second for place in range(span.start, span.end)}
    if not left and not right:
        return 1.0
    return 2 * len(left & right) / (len(left) + len(right))


def rank_correlation(first: Mapping[str, int], second: Mapping[str, int]) -> float | None:
    """Kendall's tau-b of two orders over the passages both hold; None below two of them, or
    where one ties everything."""
    shared = sorted(set(first) & set(second))
    if len(shared) < 2:
        return None
    tau = stats.kendalltau([first[d] for d in shared], [second[d] for d in shared]).statistic
    return None if math.isnan(tau) else float(tau)


def summarize_mean(values: Mapping[str, Sequence[float]], *, seed: int = 0) -> Coefficient:
    """The mean of all values with an interval over the items (item -> its values)."""
    groups = [np.asarray(group, dtype=np.float64) for group in values.values() if len(group)]
    if not groups:
        return Coefficient(value=None)
    flat = np.concatenate(groups)
    bounds = np.split(np.arange(len(flat)), np.cumsum([len(g) for g in groups])[:-1])
    low, high = _bootstrap_groups(bounds, lambda rows: float(flat[rows].mean()), RESAMPLES, seed)
    return Coefficient(value=float(flat.mean()), low=low, high=high, units=len(flat))


def _alpha(counts: NDArray[np.int64], domain: Sequence[int], level: Level) -> float | None:
    used = counts.sum(axis=0) > 0
    if used.sum() < 2:  # all ratings equal: alpha is 0/0
        return None
    value = float(
        krippendorff.alpha(
            value_counts=counts[:, used],
            value_domain=[v for v, u in zip(domain, used, strict=True) if u],
            level_of_measurement=level,
        )
    )
    return None if math.isnan(value) else value


def _bootstrap_groups(
    groups: Sequence[NDArray[Any]], statistic: Any, resamples: int, seed: int
) -> tuple[float | None, float | None]:
    """A percentile interval of `statistic` over rows, whole groups drawn with replacement.

    Samples in which everybody said the same have no coefficient and are left out.
    """
    if len(groups) < MIN_GROUPS:
        return None, None

    def draw(chosen: NDArray[Any]) -> float:
        found = statistic(np.concatenate([groups[int(place)] for place in chosen]))
        return math.nan if found is None else float(found)

    result = stats.bootstrap(
        (np.arange(len(groups)),),
        draw,
        n_resamples=resamples,
        vectorized=False,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    )
    drawn = result.bootstrap_distribution
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return None, None
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [edge, 1 - edge])
    return float(low), float(high)
