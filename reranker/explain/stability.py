"""Whether the order would have come out the same had the list been shown in another one.

Takes a workbench, returns a `Stability`: the ranks every passage got over shuffled readings, how
they follow the place a passage was shown at, how often pairs agree, and the order all readings
agree on best (permutation self-consistency, Tang et al., arXiv 2310.07712). Stage 1 scores each
passage alone, so only stage 2 is shuffled; its scores stay. Draws nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from reranker.errors import InputError
from reranker.explain.cost import Cost, estimate_cost
from reranker.explain.shares import measure_rho
from reranker.types import PassageScore, RankingTrace

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench

Order = tuple[str, ...]
MAX_SHUFFLES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class StabilityRequest:
    """shuffles: readings of shuffled lists. seeds: decoding seeds for each of them; greedy
    decoding draws nothing, and then all seeds give the same. seed: of the shuffles."""

    shuffles: int = 8
    seeds: int = 1
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RankSpread:
    """One passage's ranks over the readings. low and high: least and greatest; mean: their mean;
    rank: its rank in the ranking that is questioned, rank_agreed in the agreed order."""

    doc_id: str
    rank: int
    rank_agreed: int
    mean: float
    low: int
    high: int
    ranks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceEffect:
    """Readings in which a passage stood at one place: how much better (negative) or worse than
    its own mean rank it came out."""

    place: int
    deviation: float
    readings: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stability:
    """spreads: in the order of the ranking. bias: Spearman's rho between the place a passage was
    shown at and its rank, both relative to its own means; 0 is blind to places. pairwise: how
    often two readings order two passages alike, 0.5 by chance. same_top: share of readings with
    the ranking's first passage first. seeds_agree: None for one seed, else whether every seed gave
    the same order. agreed: permutation self-consistency; `agreed_readings` readings went into it,
    `seconds` is what they took."""

    spreads: tuple[RankSpread, ...]
    places: tuple[PlaceEffect, ...]
    bias: float
    pairwise: float
    same_top: float
    seeds_agree: bool | None
    agreed: Order
    agreed_readings: int
    seconds: float


def estimate_stability(trace: RankingTrace, request: StabilityRequest) -> Cost:
    return estimate_cost(trace, readings=request.shuffles * request.seeds)


def measure_stability(bench: Workbench, request: StabilityRequest) -> Stability:
    """Raises InputError for a ranking without stage 2 or an unusable number of shuffles."""
    if not 2 <= request.shuffles <= MAX_SHUFFLES or not 1 <= request.seeds <= 10:
        raise InputError(
            f"expected 2 to {MAX_SHUFFLES} shuffles and 1 to 10 seeds, got {request.shuffles} and "
            f"{request.seeds}; choose numbers in between"
        )
    base, _ = bench.baseline()
    if not base.readings:
        raise InputError(
            "expected a ranking that stage 2 has read, got one without it; stage 1 scores each "
            "passage alone and does not see the list's order"
        )
    depth = max(reading.window.end for reading in base.readings)
    scores = base.stage1 or _rank_as_score(base)
    start = (base.stage1_order or base.bm25_order)[:depth]
    seconds = 0.0

    def read(order: Order, seed: int) -> Order:
        nonlocal seconds
        found, readings = bench.read_order(order, scores, seed=seed)
        seconds += sum(reading.seconds for reading in readings)
        bench.tell("reading a shuffled list")
        return found

    shown, given, agree = gather_readings(start, request, read)
    final = [doc_id for doc_id in base.stage2_order if doc_id in set(start)]
    return summarize_readings(final, shown, given, seeds_agree=agree, seconds=seconds)


def _rank_as_score(trace: RankingTrace) -> tuple[PassageScore, ...]:
    """Without stage 1, the first stage's order stands in as strength."""
    return tuple(
        PassageScore(doc_id=hit.passage.doc_id, score=-float(hit.rank), passage_tokens=0)
        for hit in trace.hits
    )


def gather_readings(
    start: Sequence[str], request: StabilityRequest, read: Callable[[Order, int], Order]
) -> tuple[list[Order], list[Order], bool | None]:
    """Orders shown, orders given back, and whether the seeds agreed. read: (order, seed) ->
    the order that is made of it."""
    rng = random.Random(request.seed)
    shown: list[Order] = []
    given: list[Order] = []
    agree = True
    for _ in range(request.shuffles):
        order = tuple(rng.sample(list(start), len(start)))
        found = [read(order, seed) for seed in range(request.seeds)]
        agree = agree and len(set(found)) == 1
        shown += [order] * len(found)
        given += found
    return shown, given, agree if request.seeds > 1 else None


def summarize_readings(
    final: Sequence[str],
    shown: Sequence[Order],
    given: Sequence[Order],
    *,
    seeds_agree: bool | None = None,
    seconds: float = 0.0,
) -> Stability:
    """Statistics of readings. final: the order that is questioned; shown and given run in
    parallel, all over the same doc_ids."""
    ranks = {doc_id: tuple(order.index(doc_id) + 1 for order in given) for doc_id in final}
    agreed = agree_on_order(given, final)
    places, bias = _measure_places(shown, ranks)
    return Stability(
        spreads=tuple(
            RankSpread(
                doc_id=doc_id,
                rank=rank,
                rank_agreed=agreed.index(doc_id) + 1,
                mean=mean(ranks[doc_id]),
                low=min(ranks[doc_id]),
                high=max(ranks[doc_id]),
                ranks=ranks[doc_id],
            )
            for rank, doc_id in enumerate(final, start=1)
        ),
        places=places,
        bias=bias,
        pairwise=_measure_pairs(ranks),
        same_top=mean(order[0] == final[0] for order in given),
        seeds_agree=seeds_agree,
        agreed=agreed,
        agreed_readings=len(given),
        seconds=seconds,
    )


def _measure_places(
    shown: Sequence[Order], ranks: Mapping[str, Sequence[int]]
) -> tuple[tuple[PlaceEffect, ...], float]:
    """Deviations from each passage's own mean rank by the place it was shown at: what is left
    then has nothing to do with how good a passage is. The bias sets them against deviations from
    its own mean place, so that a reader that copies its input has 1 however few readings."""
    places = {doc_id: [order.index(doc_id) + 1 for order in shown] for doc_id in ranks}
    at: list[int] = []
    off: list[float] = []
    moved: list[float] = []
    for doc_id, found in ranks.items():
        at += places[doc_id]
        off += [rank - mean(found) for rank in found]
        moved += [place - mean(places[doc_id]) for place in places[doc_id]]
    effects = []
    for place in sorted(set(at)):
        there = [deviation for p, deviation in zip(at, off, strict=True) if p == place]
        effects.append(PlaceEffect(place=place, deviation=mean(there), readings=len(there)))
    return tuple(effects), measure_rho(moved, off) or 0.0


def _measure_pairs(ranks: Mapping[str, Sequence[int]]) -> float:
    """How often two readings order two passages alike; 1 for a single passage or reading. Over
    pairs of readings, so that chance is 0.5 however few there are."""
    shares = []
    for first, second in combinations(ranks.values(), 2):
        count = len(first)
        above = sum(a < b for a, b in zip(first, second, strict=True))
        alike = above * (above - 1) + (count - above) * (count - above - 1)
        shares.append(alike / (count * (count - 1)) if count > 1 else 1.0)
    return mean(shares) if shares else 1.0


def agree_on_order(orders: Sequence[Order], ties: Sequence[str]) -> Order:
    """The order that disagrees least with all given ones, found by Borda counts and then by
    swapping neighbours for as long as a majority wants it (locally Kemeny optimal, Dwork et al.
    2001). ties: the order that decides where counts are equal."""
    totals = {doc_id: sum(order.index(doc_id) for order in orders) for doc_id in ties}
    agreed = sorted(ties, key=lambda doc_id: totals[doc_id])
    places = [{doc_id: place for place, doc_id in enumerate(order)} for order in orders]
    wins = np.array(
        [[sum(p[b] < p[a] for p in places) for b in agreed] for a in agreed], dtype=np.int64
    )
    order = list(range(len(agreed)))
    swapped = True
    while swapped:
        swapped = False
        for here in range(len(order) - 1):
            above, below = order[here], order[here + 1]
            if 2 * wins[above][below] > len(orders):
                order[here], order[here + 1] = below, above
                swapped = True
    return tuple(agreed[place] for place in order)
