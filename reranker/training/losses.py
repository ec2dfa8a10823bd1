"""The objectives of stage 1: score tensors in, one differentiable number out.

Takes scores of shape [queries, passages] (raw logits), targets of the same shape and an
optional mask (True = a real passage, False = padding); returns a scalar tensor in natural-log
units. Knows no model, batch or optimizer. Every loss is computed in single precision or
better, sums over a query's passages or pairs as documented, and is averaged over all queries
of the batch, so that equal shards of a batch average to the whole; a query that teaches
nothing (no positive, no ordered pair) contributes 0. Targets never receive a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from reranker.errors import InputError

MainLoss = Literal["ce", "ranknet", "ce+ranknet"]
ALPHA = 0.1
TEMPERATURE = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class HybridLoss:
    """The hybrid objective and its parts; only `total` is meant for backward().

    A part that plays no role in `main` is None. `distillation` already holds the factor T².
    """

    total: Tensor
    cross_entropy: Tensor | None
    ranknet: Tensor | None
    distillation: Tensor


def cross_entropy_loss(scores: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy over a query's passages: -Σ_p y_p log softmax(s)_p.

    labels: the positive's position, integers of shape [queries]; or weights of shape
    [queries, passages] (multi-hot), which are scaled to sum 1 per query. The
    localised contrastive objective of stage 1 (DeAR, arXiv 2508.16998).
    Raises ValueError when shapes differ.
    """
    if labels.dim() == 1 and scores.dim() == 2 and len(labels) == len(scores):
        labels = functional.one_hot(labels.long(), scores.shape[1])
    scores, labels, mask = _prepare(scores, labels, mask)
    weights = labels.clamp(min=0)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=_tiny(weights))
    return -(weights * _log_softmax(scores, mask)).sum(dim=1).mean()


def ranknet_loss(scores: Tensor, teacher_scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """RankNet: the mean over pairs with t_i > t_j of log(1 + exp(s_j - s_i)).

    teacher_scores order the pairs and may as well be graded labels; ties make no pair.
    Mean over a query's pairs, then over queries. Source: Burges et al. 2005, with the target
    probability 1 of DeAR, arXiv 2508.16998. Raises ValueError when shapes differ.
    """
    scores, targets, mask = _prepare(scores, teacher_scores, mask)
    pairs = _ordered_pairs(targets, mask)
    losses = torch.where(pairs, -functional.logsigmoid(_differences(scores)), 0.0)
    counts = pairs.sum(dim=(1, 2)).clamp(min=1)
    return (losses.sum(dim=(1, 2)) / counts).mean()


def kl_distillation_loss(
    scores: Tensor,
    teacher_scores: Tensor,
    temperature: float = TEMPERATURE,
    mask: Tensor | None = None,
) -> Tensor:
    """Distillation: T² · KL(softmax(t/T) ‖ softmax(s/T)) over a query's passages.

    The factor T² keeps the gradient's size independent of the temperature. Source: Hinton,
    Vinyals and Dean 2015. Raises InputError for a temperature not above 0 or infinite, ValueError
    when shapes differ.
    """
    if not 0 < temperature < float("inf"):
        raise InputError(
            f"expected a finite temperature above 0, got {temperature}; use {TEMPERATURE}"
        )
    scores, targets, mask = _prepare(scores, teacher_scores, mask)
    log_student = _log_softmax(scores / temperature, mask)
    log_teacher = _log_softmax(targets / temperature, mask)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)
    return temperature**2 * divergence.mean()


def hybrid_loss(
    scores: Tensor,
    *,
    teacher_scores: Tensor,
    labels: Tensor | None = None,
    main: MainLoss = "ce",
    ranknet_targets: Tensor | None = None,
    alpha: float = ALPHA,
    temperature: float = TEMPERATURE,
    mask: Tensor | None = None,
    known: Tensor | None = None,
) -> HybridLoss:
    """DeAR's stage-1 objective: (1 - α) · main + α · T² · KL(teacher ‖ student).

    main: "ce" on `labels`; "ranknet" on `ranknet_targets` (the teacher's scores when None);
    "ce+ranknet" is the mean of both, as in the published code. T² stands inside
    kl_distillation_loss and is applied there once. known: passages whose label is certain; only
    these count in the cross-entropy. Source: DeAR, arXiv 2508.16998.
    Raises InputError for an alpha outside [0, 1], an unknown main, or cross-entropy without
    labels; ValueError when shapes differ.
    """
    if main not in ("ce", "ranknet", "ce+ranknet"):
        raise InputError(f"expected main as ce, ranknet or ce+ranknet, got {main!r}; choose one")
    if not 0 <= alpha <= 1:
        raise InputError(f"expected alpha between 0 and 1, got {alpha}; use {ALPHA}")
    cross_entropy = ranknet = None
    if main != "ranknet":
        if labels is None:
            raise InputError(f"expected labels for main {main!r}, got none; use main 'ranknet'")
        certain = mask if known is None else known if mask is None else mask & known
        cross_entropy = cross_entropy_loss(scores, labels, certain)
    if main != "ce":
        targets = teacher_scores if ranknet_targets is None else ranknet_targets
        ranknet = ranknet_loss(scores, targets, mask)
    parts = [part for part in (cross_entropy, ranknet) if part is not None]
    distillation = kl_distillation_loss(scores, teacher_scores, temperature, mask)
    return HybridLoss(
        total=(1 - alpha) * torch.stack(parts).mean() + alpha * distillation,
        cross_entropy=cross_entropy,
        ranknet=ranknet,
        distillation=distillation,
    )


def list_net_loss(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """ListNet, top one: -Σ_p softmax(t)_p log softmax(s)_p.

    targets: teacher scores or graded labels; they pass through the softmax as they are.
    Source: Cao et al. 2007. Raises ValueError when shapes differ.
    """
    scores, targets, mask = _prepare(scores, targets, mask)
    weights = _log_softmax(targets, mask).exp()
    return -(weights * _log_softmax(scores, mask)).sum(dim=1).mean()


def lambda_loss(
    scores: Tensor, labels: Tensor, mask: Tensor | None = None, *, cutoff: int | None = None
) -> Tensor:
    """nDCG-weighted RankNet: Σ over pairs with y_i > y_j of |ΔnDCG_ij| log(1 + exp(s_j - s_i)).

    ΔnDCG_ij = (2^y_i - 2^y_j) (1/log2(1+r_i) - 1/log2(1+r_j)) / idealDCG is what swapping the
    two in the present order (rank r by score, ties in input order) would change; ranks beyond
    `cutoff` count nothing. labels: grades of 0 or more (below 0 counts as 0). Sum over a
    query's pairs, mean over queries. Source: LambdaRank as a metric-driven loss, Wang et al.
    2018 (there with log2). Raises ValueError when shapes differ or cutoff is below 1.
    """
    if cutoff is not None and cutoff < 1:
        raise ValueError(f"expected a cutoff of 1 or more, got {cutoff}; use None for the list")
    scores, labels, mask = _prepare(scores, labels, mask)
    labels = labels.clamp(min=0)
    gains = torch.exp2(labels) - 1
    ideal_dcg = (gains * _discounts(_ranks(labels, mask), cutoff)).sum(dim=1)
    discounts = _discounts(_ranks(scores, mask), cutoff)
    weights = (_differences(gains) * _differences(discounts)).abs()
    weights = weights / ideal_dcg.clamp(min=_tiny(gains))[:, None, None]
    pairs = _ordered_pairs(labels, mask)
    losses = torch.where(pairs, -functional.logsigmoid(_differences(scores)), 0.0)
    return (weights * losses).sum(dim=(1, 2)).mean()


def _prepare(scores: Tensor, targets: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Check shapes, raise the precision, take gradients off targets, put 0 where padding is."""
    if scores.dim() != 2 or 0 in scores.shape:
        raise ValueError(
            f"expected scores of shape [queries, passages], got {list(scores.shape)}; reshape them"
        )
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.bool()
    for name, other in (("targets", targets), ("mask", mask)):
        if other.shape != scores.shape:
            raise ValueError(
                f"expected {name} of shape {list(scores.shape)}, got {list(other.shape)}; "
                "give one value per passage"
            )
    dtype = torch.promote_types(scores.dtype, torch.float32)
    scores = scores.to(dtype).masked_fill(~mask, 0.0)
    return scores, targets.detach().to(dtype).masked_fill(~mask, 0.0), mask


def _log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities over real passages; 0 (not -inf) at padding, so that sums pass over it."""
    lowest = torch.finfo(scores.dtype).min
    return functional.log_softmax(scores.masked_fill(~mask, lowest), dim=1).masked_fill(~mask, 0.0)


def _differences(values: Tensor) -> Tensor:
    """[queries, i, j] = values_i - values_j."""
    return values[:, :, None] - values[:, None, :]


def _ordered_pairs(targets: Tensor, mask: Tensor) -> Tensor:
    """[queries, i, j]: both are real and the target puts i above j."""
    return (targets[:, :, None] > targets[:, None, :]) & mask[:, :, None] & mask[:, None, :]


def _ranks(values: Tensor, mask: Tensor) -> Tensor:
    """1-based ranks by falling value; ties in input order, padding last."""
    lowest = torch.finfo(values.dtype).min
    order = values.masked_fill(~mask, lowest).argsort(dim=1, descending=True, stable=True)
    return (order.argsort(dim=1) + 1).to(values.dtype)


def _discounts(ranks: Tensor, cutoff: int | None) -> Tensor:
    """1 / log2(1 + rank), 0 beyond the cutoff."""
    discounts = 1 / torch.log2(1 + ranks)
    return discounts if cutoff is None else discounts * (ranks <= cutoff)


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny
