"""The final order: stage 2 as it is, blended with stage 1, or stage 1 alone.

Takes ranks and scores, returns doc_ids best first. Knows no model.

Blend: z(stage-1 logit) + bm25_weight * z(BM25 score) + stage2_weight * z(-log2(1 + stage-2
rank)), each z-scored over the query's candidates; log2 as in nDCG, so that the top places of
stage 2 weigh most. Ties keep the stage-1 order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reranker.types import WindowReading


def apply_readings(order: Sequence[str], readings: Sequence[WindowReading]) -> tuple[str, ...]:
    """`order` after each window's permutation has been put in place, in reading order."""
    current = list(order)
    for reading in readings:
        current[reading.window.start : reading.window.end] = reading.ranked_doc_ids
    return tuple(current)


def blend_orders(
    stage1_order: Sequence[str],
    stage2_order: Sequence[str],
    logits: Mapping[str, float],
    bm25: Mapping[str, float | None],
    *,
    bm25_weight: float,
    stage2_weight: float,
) -> tuple[str, ...]:
    """doc_ids by the blend of the module's formula. Missing BM25 scores leave that part out."""
    ranks = {doc_id: rank for rank, doc_id in enumerate(stage2_order, start=1)}
    total = _standardize([logits[d] for d in stage1_order])
    lexical = [bm25.get(d) for d in stage1_order]
    known = [score for score in lexical if score is not None]
    if bm25_weight and len(known) == len(lexical):
        total = total + bm25_weight * _standardize(known)
    listwise = _standardize([-float(np.log2(1 + ranks[d])) for d in stage1_order])
    total = total + stage2_weight * listwise
    return tuple(stage1_order[p] for p in np.argsort(-total, kind="stable"))


def _standardize(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)
    spread = array.std() if array.size else 0.0
    return (array - array.mean()) / spread if spread > 0 else np.zeros_like(array)
