"""The final order: stage 2 as it is, blended with stage 1, stage 1 alone, or what shuffled
readings agree on.

Takes ranks and scores, returns doc_ids best first. Knows no model.

Blend: z(stage-1 logit) + bm25_weight * z(BM25 score) + nearness_weight * z(nearness to the best
other passage) + stage2_weight * z(-log2(1 + stage-2 rank)), each z-scored over the query's
candidates; log2 as in nDCG, so that the top places of stage 2 weigh most. With feedback, logit and
nearness are those measured with the query read beside the leading passage (`Feedback`). Ties keep
the stage-1 order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np

from reranker.config import Profile
from reranker.errors import InputError
from reranker.types import RankingTrace, ShuffledReading, WindowReading

MAX_SHUFFLES, MAX_SHUFFLED = 50, 1_000
"""Readings of shuffled lists, and passages in them: agreeing takes the square of these."""


def apply_readings(order: Sequence[str], readings: Sequence[WindowReading]) -> tuple[str, ...]:
    """`order` after each window's permutation has been put in place, in reading order."""
    current = list(order)
    for reading in readings:
        current[reading.window.start : reading.window.end] = reading.ranked_doc_ids
    return tuple(current)


def blend_trace(
    trace: RankingTrace, stage2_order: Sequence[str], profile: Profile
) -> tuple[str, ...]:
    """doc_ids of a ranking by the blend with the profile's weights, and with feedback where the
    profile wants it and every passage has it."""
    logits = {score.doc_id: score.score for score in trace.stage1}
    nearness = {s.doc_id: s.nearness[0] if s.nearness else None for s in trace.stage1}
    feedback = {s.doc_id: s.feedback for s in trace.stage1 if s.feedback}
    if profile.feedback and len(feedback) == len(trace.stage1):
        logits = {doc_id: again.score for doc_id, again in feedback.items()}
        nearness = {doc_id: again.nearness for doc_id, again in feedback.items()}
    return blend_orders(
        trace.stage1_order,
        stage2_order,
        logits,
        {hit.passage.doc_id: hit.bm25_score for hit in trace.hits},
        nearness,
        bm25_weight=profile.bm25_weight,
        nearness_weight=profile.nearness_weight,
        stage2_weight=profile.stage2_weight,
    )


def blend_orders(
    stage1_order: Sequence[str],
    stage2_order: Sequence[str],
    logits: Mapping[str, float],
    bm25: Mapping[str, float | None],
    nearness: Mapping[str, float | None] | None = None,
    *,
    bm25_weight: float,
    nearness_weight: float = 0.0,
    stage2_weight: float,
) -> tuple[str, ...]:
    """doc_ids by the blend of the module's formula. A part that is not known of every passage is
    left out."""
    ranks = {doc_id: rank for rank, doc_id in enumerate(stage2_order, start=1)}
    total = _standardize([logits[d] for d in stage1_order])
    for values, weight in ((bm25, bm25_weight), (nearness or {}, nearness_weight)):
        known = [value for d in stage1_order if (value := values.get(d)) is not None]
        if weight and len(known) == len(stage1_order):
            total = total + weight * _standardize(known)
    listwise = _standardize([-float(np.log2(1 + ranks[d])) for d in stage1_order])
    total = total + stage2_weight * listwise
    return tuple(stage1_order[p] for p in np.argsort(-total, kind="stable"))


def check_shuffles(shuffles: int, passages: int) -> None:
    """Raises InputError for numbers of readings or passages that cannot be agreed on."""
    if not 2 <= shuffles <= MAX_SHUFFLES:
        raise InputError(
            f"expected 2 to {MAX_SHUFFLES} shuffles, got {shuffles}; choose a number in between"
        )
    if passages > MAX_SHUFFLED:
        raise InputError(
            f"expected at most {MAX_SHUFFLED:,} passages to agree on, got {passages:,}; let stage "
            "2 read fewer"
        )


def shuffle_orders(order: Sequence[str], count: int, seed: int) -> list[tuple[str, ...]]:
    """`count` shuffles of `order`, always the same for a seed."""
    rng = random.Random(seed)
    return [tuple(rng.sample(list(order), len(order))) for _ in range(count)]


def settle_agreement(
    stage2_order: Sequence[str], shuffled: Sequence[ShuffledReading]
) -> tuple[str, ...]:
    """What was read in the order all readings agree on, then the rest as stage 2 left it."""
    read = set(shuffled[0].shown)
    head = [doc_id for doc_id in stage2_order if doc_id in read]
    tail = [doc_id for doc_id in stage2_order if doc_id not in read]
    return (*agree_on_order([reading.given for reading in shuffled], head), *tail)


def agree_on_order(orders: Sequence[Sequence[str]], ties: Sequence[str]) -> tuple[str, ...]:
    """The order that disagrees least with all given ones: permutation self-consistency (Tang et
    al., arXiv 2310.07712), found by Borda counts and then by swapping neighbours for as long as a
    majority wants it (locally Kemeny optimal, Dwork et al. 2001). ties: the order that decides
    where counts are equal."""
    rows = [{doc_id: place for place, doc_id in enumerate(order)} for order in orders]
    places = np.array([[row[doc_id] for doc_id in ties] for row in rows], dtype=np.int64)
    start = np.argsort(places.sum(axis=0), kind="stable")
    # wins[a, b]: how many orders put b above a.
    wins = np.zeros((len(start), len(start)), dtype=np.int64)
    for row in places[:, start]:
        wins += row[:, None] > row[None, :]
    order = list(range(len(start)))
    swapped = True
    while swapped:
        swapped = False
        for here in range(len(order) - 1):
            above, under = order[here], order[here + 1]
            if 2 * wins[above, under] > len(rows):
                order[here], order[here + 1] = under, above
                swapped = True
    return tuple(ties[int(start[place])] for place in order)


def _standardize(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)
    spread = array.std() if array.size else 0.0
    return (array - array.mean()) / spread if spread > 0 else np.zeros_like(array)
