"""The frozen teacher of the bundled student's stage 1.

Takes a group's embeddings by the unquantised, unadapted base and its BM25 scores, returns the
scores the student learns from. It is an ensemble: late interaction and pooled cosine, BM25 added
in the same spread, and each passage's score drawn a little towards those of the passages most
like it (regularisation by the cluster hypothesis, Diaz 2005), which one pair alone cannot show.
"""

from __future__ import annotations

import torch

SMOOTHED_SHARE, NEIGHBOURS, SHARPNESS = 0.2, 3, 10.0


def teach(
    scores: torch.Tensor, bm25: torch.Tensor, pooled: torch.Tensor, bm25_weight: float
) -> torch.Tensor:
    """Target scores [queries, passages].

    scores: the base's own logits, and bm25, both [queries, passages]; pooled: unit vectors of the
    passages, [passages, hidden].
    """
    blended = scores + bm25_weight * _match_spread(bm25, scores)
    return _smooth(blended, pooled)


def _smooth(scores: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    """Each score mixed with those of its nearest passages, by similarity."""
    count = len(pooled)
    if count <= NEIGHBOURS:
        return scores
    likeness = (pooled @ pooled.T).masked_fill(torch.eye(count, dtype=torch.bool), float("-inf"))
    nearest = likeness.topk(NEIGHBOURS, dim=1)
    weights = torch.softmax(SHARPNESS * nearest.values, dim=1)
    around = (scores[:, nearest.indices] * weights).sum(-1)
    return (1 - SMOOTHED_SHARE) * scores + SMOOTHED_SHARE * around


def _match_spread(scores: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`scores` z-scored per query and given the spread of `like`."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    spread = scores.std(dim=1, keepdim=True).clamp_min(1e-6)
    return centred / spread * like.std(dim=1, keepdim=True)
