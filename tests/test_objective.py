"""Stage 1's whole objective, part by part, and beside a second public implementation."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from reranker.errors import InputError
from reranker.jobs.settings import MainLoss, ObjectiveSettings
from reranker.training.losses import (
    cross_entropy_loss,
    kl_distillation_loss,
    lambda_loss,
    list_net_loss,
    ranknet_loss,
)
from reranker.training.objective import Targets, compute_objective

SCORES = torch.tensor([[0.3, -1.2, 2.0, 0.1], [1.0, 0.5, -0.5, 0.9]], dtype=torch.float64)
LABELS = torch.tensor([[1.0, 0.0, 3.0, 0.0], [0.0, 2.0, 0.0, 1.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 0.0, 3.0, 0.5], [0.5, 2.5, -1.0, 0.0]], dtype=torch.float64)
EVERY_MAIN = get_args(MainLoss)


def total(scores: Tensor, main: str, alpha: float = 0.3, mask: Tensor | None = None) -> Tensor:
    targets = Targets(labels=LABELS, teacher=TEACHER, mask=mask)
    settings = ObjectiveSettings(main=main, alpha=alpha, temperature=2.0)  # type: ignore[arg-type]
    return compute_objective(scores, targets, settings).total


def main_of(main: str) -> Tensor:
    ce, ranknet = cross_entropy_loss(SCORES, LABELS), ranknet_loss(SCORES, TEACHER)
    return {
        "ce": ce,
        "ranknet": ranknet,
        "ranknet-labels": ranknet_loss(SCORES, LABELS),
        "ce+ranknet": (ce + ranknet) / 2,
        "listnet": list_net_loss(SCORES, LABELS),
        "lambda": lambda_loss(SCORES, LABELS),
    }[main]


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("main", EVERY_MAIN)
def test_it_is_one_minus_alpha_main_plus_alpha_distillation(main: str, alpha: float) -> None:
    expected = (1 - alpha) * main_of(main) + alpha * kl_distillation_loss(SCORES, TEACHER, 2.0)
    assert total(SCORES, main, alpha).item() == pytest.approx(expected.item())


def test_by_hand_on_one_pair() -> None:
    """Scores 1 and 0, the first relevant, teacher 2 and 0, alpha 0.5, T 1."""
    scores, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    targets = Targets(labels=labels, teacher=torch.tensor([[2.0, 0.0]]))
    settings = ObjectiveSettings(main="ce+ranknet", alpha=0.5, temperature=1.0)
    found = compute_objective(scores, targets, settings)
    softplus = math.log(1 + math.exp(-1))  # both cross-entropy and RankNet
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1))
    kl = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert found.total.item() == pytest.approx(0.5 * softplus + 0.5 * kl, abs=1e-6)
    assert set(found.parts) == {"cross_entropy", "ranknet", "distillation"}


@pytest.mark.parametrize("main", EVERY_MAIN)
def test_gradients_agree_with_finite_differences(main: str) -> None:
    scores = SCORES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: total(s, main), (scores,))


@pytest.mark.parametrize("main", EVERY_MAIN)
def test_the_order_of_passages_never_matters(main: str) -> None:
    order = torch.tensor([2, 0, 3, 1])
    scores = SCORES.clone().requires_grad_()
    moved = SCORES[:, order].clone().requires_grad_()
    settings = ObjectiveSettings(main=main, alpha=0.3)  # type: ignore[arg-type]
    there = Targets(labels=LABELS[:, order], teacher=TEACHER[:, order])
    first = total(scores, main)
    second = compute_objective(moved, there, settings).total
    assert first.item() == pytest.approx(second.item())
    first.backward()
    second.backward()
    assert scores.grad is not None and moved.grad is not None
    assert torch.allclose(scores.grad[:, order], moved.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("main", EVERY_MAIN)
def test_half_precision_is_computed_in_single(main: str, dtype: torch.dtype) -> None:
    found = total(SCORES.to(dtype), main)
    assert found.dtype in (torch.float32, torch.float64) and torch.isfinite(found)
    assert found.item() == pytest.approx(total(SCORES, main).item(), rel=0.05)


@pytest.mark.parametrize("main", EVERY_MAIN)
def test_padding_changes_nothing(main: str) -> None:
    settings = ObjectiveSettings(main=main, alpha=0.3)  # type: ignore[arg-type]
    pad = torch.full((2, 2), 7.0, dtype=torch.float64)
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    targets = Targets(
        labels=torch.cat([LABELS, pad], 1), teacher=torch.cat([TEACHER, pad], 1), mask=mask
    )
    padded = compute_objective(torch.cat([SCORES, pad], 1), targets, settings).total
    assert padded.item() == pytest.approx(total(SCORES, main).item())


def test_what_needs_a_teacher_says_so() -> None:
    alone = Targets(labels=LABELS)
    for settings in (ObjectiveSettings(main="ce"), ObjectiveSettings(main="ranknet", alpha=0)):
        with pytest.raises(InputError, match="teacher"):
            compute_objective(SCORES, alone, settings)
    found = compute_objective(SCORES, alone, ObjectiveSettings(main="lambda", alpha=0))
    assert set(found.parts) == {"lambda"}


# sentence-transformers' losses, fed with the scores instead of texts


class GivenScores:
    """What those losses ask of a cross-encoder."""

    num_labels, device = 1, torch.device("cpu")

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def preprocess(self, pairs: list[Any], **options: Any) -> dict[str, Tensor]:
        return {}

    def __call__(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"scores": self.scores}


@pytest.mark.parametrize("row", [0, 1])
def test_sentence_transformers_computes_the_same(row: int) -> None:
    losses = pytest.importorskip("sentence_transformers.cross_encoder.losses")
    scores, labels = SCORES[row].float(), LABELS[row].float()
    inputs = [["q"], [["a", "b", "c", "d"]]]
    model = GivenScores(scores)
    ours = {"scores": scores[None], "labels": labels[None]}
    pairs = int((labels[:, None] > labels[None]).sum())

    theirs = losses.ListNetLoss(model, mini_batch_size=-1)(inputs, [labels])
    assert list_net_loss(*ours.values()).item() == pytest.approx(theirs.item(), rel=1e-5)
    theirs = losses.RankNetLoss(model, reduction_log="natural", mini_batch_size=-1)
    found = ranknet_loss(*ours.values()).item()
    assert found == pytest.approx(theirs(inputs, [labels]).item(), rel=1e-5)
    theirs = losses.LambdaLoss(
        model, losses.LambdaRankScheme(), reduction_log="natural", mini_batch_size=-1
    )
    mean = theirs(inputs, [labels]).item()  # over pairs, where ours is their sum
    assert lambda_loss(*ours.values()).item() == pytest.approx(pairs * mean, rel=1e-5)
