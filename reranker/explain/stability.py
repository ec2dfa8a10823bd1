"""Whether the order would have come out the same had the list been shown in another one.

Takes a workbench, returns a `Stability`: the ranks every passage got over shuffled readings, how
they follow the place a passage was shown at, how often pairs agree, and the order all readings
agree on best, which can be adopted as the ranking's own. Stage 1 scores each
passage alone, so only stage 2 is shuffled; its scores stay. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import mean
from typing import TYPE_CHECKING

from reranker.errors import InputError
from reranker.explain.cost import Cost, estimate_cost
from reranker.explain.shares import measure_rho
from reranker.ordering import agree_on_order, check_shuffles, settle_agreement, shuffle_orders
from reranker.types import RankingTrace, ShuffledReading, StageTiming

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench

Order = tuple[str, ...]
MAX_SEEDS = 10


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
    `seconds` is what they took. readings: all of them. remade: whether the ranking had to be made
    again first, because it was another student's or had not finished."""

    spreads: tuple[RankSpread, ...]
    places: tuple[PlaceEffect, ...]
    bias: float
    pairwise: float
    same_top: float
    seeds_agree: bool | None
    agreed: Order
    agreed_readings: int
    seconds: float
    readings: tuple[ShuffledReading, ...] = ()
    remade: bool = False


def estimate_stability(trace: RankingTrace, request: StabilityRequest) -> Cost:
    return estimate_cost(trace, readings=request.shuffles * request.seeds)


def measure_stability(bench: Workbench, request: StabilityRequest) -> Stability:
    """Raises InputError for a ranking without stage 2 or an unusable number of shuffles."""
    check_shuffles(request.shuffles, len(bench.trace.hits))
    if not 1 <= request.seeds <= MAX_SEEDS:
        raise InputError(
            f"expected 1 to {MAX_SEEDS} seeds, got {request.seeds}; choose a number in between"
        )
    base, remade = bench.baseline()
    if not base.readings:
        raise InputError(
            "expected a ranking that stage 2 has read, got one without it; stage 1 scores each "
            "passage alone and does not see the list's order"
        )
    start = _begin(base)
    first_seed = base.settings.seed

    def read(shown: Order, seed: int) -> ShuffledReading:
        found = bench.read_shuffled(base, shown, seed=first_seed + seed)
        bench.tell("reading a shuffled list")
        return found

    readings, agree = gather_readings(start, request, read)
    final = [doc_id for doc_id in base.stage2_order if doc_id in set(start)]
    return summarize_readings(final, readings, seeds_agree=agree, remade=remade)


def adopt_agreement(trace: RankingTrace, found: Stability) -> RankingTrace:
    """The ranking in the order its shuffled readings agree on: what ranking it again with
    final="agreed" and as many shuffles gives. Everything it recorded before stays.

    Raises InputError where the readings are not those such a ranking would make.
    """
    shown = [reading.shown for reading in found.readings]
    shuffles = len(shown)
    settings = replace(trace.settings, final="agreed", shuffles=shuffles)
    if found.remade:
        raise InputError(
            "expected readings by the student that made this ranking, got another's; rank its "
            "query again and shuffle that"
        )
    if not shown or shown != shuffle_orders(_begin(trace), shuffles, settings.seed):
        raise InputError(
            f"expected one reading of every shuffle by the ranking's own seed ({settings.seed}), "
            "got others; shuffle again with one decoding seed"
        )
    return trace.with_stage(
        settings=settings,
        shuffled=found.readings,
        final_order=settle_agreement(trace.stage2_order, found.readings),
        final_source="agreed",
        timings=(
            *(timing for timing in trace.timings if timing.stage != "shuffles"),
            StageTiming(stage="shuffles", seconds=found.seconds),
        ),
    )


def _begin(trace: RankingTrace) -> Order:
    """What stage 2 read, in the order it stood in before."""
    depth = max((reading.window.end for reading in trace.readings), default=0)
    return (trace.stage1_order or trace.bm25_order)[:depth]


def gather_readings(
    start: Sequence[str],
    request: StabilityRequest,
    read: Callable[[Order, int], ShuffledReading],
) -> tuple[tuple[ShuffledReading, ...], bool | None]:
    """The readings, and whether the seeds agreed (None for one). read: (order, seed) -> what is
    made of it."""
    readings: list[ShuffledReading] = []
    agree = True
    for order in shuffle_orders(start, request.shuffles, request.seed):
        found = [read(order, seed) for seed in range(request.seeds)]
        agree = agree and len({reading.given for reading in found}) == 1
        readings += found
    return tuple(readings), agree if request.seeds > 1 else None


def summarize_readings(
    final: Sequence[str],
    readings: Sequence[ShuffledReading],
    *,
    seeds_agree: bool | None = None,
    remade: bool = False,
) -> Stability:
    """Statistics of readings. final: the order that is questioned, over the same doc_ids."""
    given = [reading.given for reading in readings]
    ranks = {doc_id: tuple(order.index(doc_id) + 1 for order in given) for doc_id in final}
    agreed = agree_on_order(given, final)
    places, bias = _measure_places([reading.shown for reading in readings], ranks)
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
        seconds=sum(reading.seconds for reading in readings),
        readings=tuple(readings),
        remade=remade,
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
