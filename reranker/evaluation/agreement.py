"""How far two orders agree: what both hold at the top, and rank-biased overlap.

Takes two orders of doc_ids, or of passages where two corpora may use one doc_id for different
texts, best first. Returns numbers and everything's ranks in both. Knows neither traces nor grades:
agreement says nothing of which order is better.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ir_measures.providers.compat_provider import rbo

from reranker.errors import InputError

K = TypeVar("K", bound=Hashable)

DEFAULT_CUTOFF = 10
PERSISTENCE = 0.9
"""The p of rank-biased overlap: with 0.9 the first ten ranks hold 86 % of the weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement(Generic[K]):
    """What two orders share.

    shared: how many both hold among the first `cutoff`. common: how many both hold anywhere.
    rbo: rank-biased overlap, 1 for equal orders and 0 for orders with nothing in common.
    ranks: (rank in the first order, rank in the second) of each, None where it is absent; the
    first order's in its order, then the others in theirs.
    """

    cutoff: int
    shared: int
    common: int
    rbo: float
    ranks: dict[K, tuple[int | None, int | None]]


def compare_orders(
    first: Sequence[K], second: Sequence[K], *, cutoff: int = DEFAULT_CUTOFF
) -> Agreement[K]:
    """The agreement of two orders, each with every member once.

    cutoff is lowered to the length of the shorter order. Rank-biased overlap is Webber, Moffat
    and Zobel's (ACM TOIS 28(4), 2010), cut at that length and divided by the weight seen, so
    that it does not guess at ranks nobody saw. Raises InputError for a member given twice
    and for an empty order.
    """
    for order in (first, second):
        if not order:
            raise InputError("expected two rankings with passages, got an empty one; rank again")
        if len(set(order)) != len(order):
            raise InputError("expected each passage once, got one twice; compare other rankings")
    depth = min(len(first), len(second))
    cutoff = max(1, min(cutoff, depth))
    places = [{doc_id: rank for rank, doc_id in enumerate(o, start=1)} for o in (first, second)]
    return Agreement(
        cutoff=cutoff,
        shared=len(set(first[:cutoff]) & set(second[:cutoff])),
        common=len(set(first) & set(second)),
        rbo=float(rbo(first, second, PERSISTENCE, depth)),
        ranks={
            doc_id: (places[0].get(doc_id), places[1].get(doc_id))
            for doc_id in dict.fromkeys([*first, *second])
        },
    )
