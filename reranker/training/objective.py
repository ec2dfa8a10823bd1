"""Stage 1's whole objective: (1 - α) · main + α · T² · KL(teacher ‖ student).

Takes score tensors [queries, passages] and `ObjectiveSettings`, returns the loss and its parts
by name. Every part is a function of losses.py; this only says which are meant. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from reranker.errors import InputError
from reranker.jobs.settings import ObjectiveSettings
from reranker.training.losses import (
    cross_entropy_loss,
    kl_distillation_loss,
    lambda_loss,
    list_net_loss,
    ranknet_loss,
)

DISTILLATION = "distillation"
CROSS_ENTROPY, RANKNET = "cross_entropy", "ranknet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """total: what backward() is called on. parts: each part by name, unweighted; "distillation"
    holds the factor T²."""

    total: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What the scores are compared with, all [queries, passages]. labels: grades of 0 or more;
    teacher: scores or None; mask: True for a real passage."""

    labels: Tensor
    teacher: Tensor | None = None
    mask: Tensor | None = None


def compute_objective(scores: Tensor, targets: Targets, settings: ObjectiveSettings) -> Objective:
    """The objective named by `settings.main`; its parts are averaged where it has two.

    The distillation part is reported whenever there is a teacher, and weighs α. Source: DeAR,
    arXiv 2508.16998. Raises InputError for a main or an α that needs a teacher where none is.
    """
    parts = {name: part(scores, targets) for name, part in _MAINS[settings.main].items()}
    total = torch.stack(list(parts.values())).mean()
    if targets.teacher is not None:
        parts[DISTILLATION] = kl_distillation_loss(
            scores, targets.teacher, settings.temperature, targets.mask
        )
        total = (1 - settings.alpha) * total + settings.alpha * parts[DISTILLATION]
    elif settings.alpha > 0:
        raise InputError(
            f"expected a teacher for alpha {settings.alpha:g}, got none; set alpha to 0"
        )
    return Objective(total=total, parts=parts)


def _cross_entropy(scores: Tensor, targets: Targets) -> Tensor:
    return cross_entropy_loss(scores, targets.labels, targets.mask)


def _ranknet_on_teacher(scores: Tensor, targets: Targets) -> Tensor:
    if targets.teacher is None:
        raise InputError(
            'expected a teacher for RankNet on its scores, got none; use "ranknet-labels"'
        )
    return ranknet_loss(scores, targets.teacher, targets.mask)


def _ranknet_on_labels(scores: Tensor, targets: Targets) -> Tensor:
    return ranknet_loss(scores, targets.labels, targets.mask)


def _list_net(scores: Tensor, targets: Targets) -> Tensor:
    # On labels: on the teacher's scores ListNet and the distillation at T = 1 learn the same.
    return list_net_loss(scores, targets.labels, targets.mask)


def _lambda(scores: Tensor, targets: Targets) -> Tensor:
    return lambda_loss(scores, targets.labels, targets.mask)


_MAINS: dict[str, dict[str, Callable[[Tensor, Targets], Tensor]]] = {
    "ce": {CROSS_ENTROPY: _cross_entropy},
    "ranknet": {RANKNET: _ranknet_on_teacher},
    "ranknet-labels": {RANKNET: _ranknet_on_labels},
    "ce+ranknet": {CROSS_ENTROPY: _cross_entropy, RANKNET: _ranknet_on_teacher},
    "listnet": {"listnet": _list_net},
    "lambda": {"lambda": _lambda},
}
