"""Cohen's kappa of every two people, with intervals.

Takes ratings, returns coefficients by pair and by person. The coefficient comes from scikit-learn.
Its intervals take hundreds of resamples of every pair, for which that function is too slow: they
are worked out from tables of counts, all resamples at once. Knows neither projects nor answers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from reranker.annotation.agreement import CONFIDENCE, MIN_GROUPS, RESAMPLES, Coefficient, Ratings

Pair = tuple[str, str]
_BATCH_VALUES = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAgreement:
    """pairs: kappa of every two people who shared a unit. people: each person's mean kappa with
    the others; its units are the partners it is the mean of."""

    pairs: dict[Pair, Coefficient] = field(default_factory=dict)
    people: dict[str, Coefficient] = field(default_factory=dict)


def measure_pairs(
    ratings: Ratings,
    *,
    groups: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairAgreement:
    """Cohen's kappa (Cohen 1960), unweighted, with percentile intervals.

    groups: unit -> item; items are resampled, the same draws for all pairs, so that a person's
    mean has an interval as well.
    """
    shared = _list_shared(ratings)
    values = {pair: _measure_kappa(ratings, pair, units) for pair, units in shared.items()}
    draws = _resample_kappas(ratings, shared, groups or {}, resamples, seed)
    pairs = {
        pair: _make_coefficient(values[pair], draws.get(pair), len(units))
        for pair, units in shared.items()
    }
    people = {}
    for person in sorted({person for pair in shared for person in pair}):
        theirs = [p for p in shared if person in p and values[p] is not None]
        if theirs:
            mean = float(np.mean([values[p] for p in theirs]))
            drawn = [draws[p] for p in theirs if p in draws]
            whole = _mean_defined(np.stack(drawn)) if len(drawn) == len(theirs) else None
            people[person] = _make_coefficient(mean, whole, len(theirs))
    return PairAgreement(pairs=pairs, people=people)


def _list_shared(ratings: Ratings) -> dict[Pair, list[str]]:
    shared: dict[Pair, list[str]] = {}
    for unit, given in ratings.items():
        for pair in itertools.combinations(sorted(given), 2):
            shared.setdefault(pair, []).append(unit)
    return dict(sorted(shared.items()))


def _measure_kappa(ratings: Ratings, pair: Pair, units: Sequence[str]) -> float | None:
    left, right = ([ratings[unit][person] for unit in units] for person in pair)
    if len({*left, *right}) < 2:  # both always said the same one thing: kappa is 0/0
        return None
    value = float(cohen_kappa_score(left, right))
    return None if math.isnan(value) else value


def _resample_kappas(
    ratings: Ratings,
    shared: Mapping[Pair, Sequence[str]],
    groups: Mapping[str, str],
    resamples: int,
    seed: int,
) -> dict[Pair, NDArray[np.float64]]:
    """Kappa in each resample, nan where it is not defined, of pairs with enough items."""
    items = sorted({groups.get(unit, unit) for units in shared.values() for unit in units})
    rows = {item: row for row, item in enumerate(items)}
    domain = sorted({value for unit in ratings.values() for value in unit.values()})
    tables = {}
    for (first, second), units in shared.items():
        places = [rows[groups.get(unit, unit)] for unit in units]
        own, local = np.unique(places, return_inverse=True)
        if len(own) < MIN_GROUPS:
            continue
        left = [domain.index(ratings[unit][first]) for unit in units]
        right = [domain.index(ratings[unit][second]) for unit in units]
        shape = (len(own), len(domain), len(domain))
        cells = np.ravel_multi_index((local, np.asarray(left), np.asarray(right)), shape)
        table = np.bincount(cells, minlength=math.prod(shape)).reshape(shape).astype(np.float64)
        tables[first, second] = own, table
    drawn: dict[Pair, list[NDArray[np.float64]]] = {pair: [] for pair in tables}
    for weights in _draw_weights(len(items), resamples, seed) if tables else ():
        for pair, (own, table) in tables.items():
            drawn[pair].append(compute_kappas(np.tensordot(weights[:, own], table, axes=1)))
    return {pair: np.concatenate(found) for pair, found in drawn.items()}


def _draw_weights(items: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each item was drawn, one row a resample, some rows at a time."""
    rng = np.random.default_rng(seed)
    batch = max(1, _BATCH_VALUES // items)
    for begun in range(0, resamples, batch):
        size = min(batch, resamples - begun)
        yield rng.multinomial(items, np.full(items, 1 / items), size=size).astype(np.float64)


def compute_kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa of each of n tables of counts (n, k, k); nan where it is 0/0."""
    total = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2)
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = (observed * total - chance) / (total**2 - chance)
    return np.where(np.isfinite(found), found, np.nan)


def _mean_defined(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over pairs in each resample, of those that are defined there."""
    known = ~np.isnan(drawn)
    counts = known.sum(axis=0)
    sums = np.where(known, drawn, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _make_coefficient(
    value: float | None, drawn: NDArray[np.float64] | None, units: int
) -> Coefficient:
    if value is None or drawn is None or np.isnan(drawn).all():
        return Coefficient(value=value, units=units)
    edge = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [edge, 1 - edge])
    return Coefficient(value=value, low=float(low), high=float(high), units=units)
