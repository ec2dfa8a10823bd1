"""Stage 1's losses: hand-computed values, second formulations, and what must always hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from reranker.errors import InputError
from reranker.training.losses import (
    HybridLoss,
    cross_entropy_loss,
    hybrid_loss,
    kl_distillation_loss,
    lambda_loss,
    list_net_loss,
    ranknet_loss,
)

Loss = Callable[..., Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy_loss,
    "ranknet": ranknet_loss,
    "kl": lambda scores, targets, mask=None: kl_distillation_loss(scores, targets, 1.5, mask),
    "list_net": list_net_loss,
    "lambda": lambda_loss,
    "lambda@2": lambda scores, labels, mask=None: lambda_loss(scores, labels, mask, cutoff=2),
    "hybrid": lambda scores, targets, mask=None: (
        hybrid_loss(
            scores, teacher_scores=targets, labels=targets, main="ce+ranknet", alpha=0.4, mask=mask
        ).total
    ),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
quick = settings(max_examples=25, deadline=None)

SCORES = [[0.3, -1.2, 2.0], [1.0, 0.5, -0.5]]
TEACHER = [[1.0, 0.0, 3.0], [0.5, 2.5, -1.0]]
GRADES = [[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]]


@st.composite
def draw_batch(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Distinct scores and grades 0-3 for 1-3 queries of 2-6 passages, in double precision."""
    passages = draw(st.integers(2, 6))
    numbers = st.integers(-40, 40).map(lambda n: n / 8)
    row = st.lists(numbers, min_size=passages, max_size=passages, unique=True)
    grades = st.lists(st.integers(0, 3), min_size=passages, max_size=passages)
    queries = draw(st.integers(1, 3))
    return (
        tensor([draw(row) for _ in range(queries)]),
        tensor([draw(grades) for _ in range(queries)]),
    )


def tensor(values: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def softmax(values: Sequence[float], temperature: float = 1.0) -> list[float]:
    exponentials = [math.exp(value / temperature) for value in values]
    return [e / sum(exponentials) for e in exponentials]


def softplus(value: float) -> float:
    return math.log(1 + math.exp(value))


# Hand-computed values, in plain Python


def test_cross_entropy_by_hand() -> None:
    first, second = softmax(SCORES[0]), softmax(SCORES[1])
    by_index = cross_entropy_loss(tensor(SCORES), torch.tensor([2, 0]))
    assert by_index.item() == pytest.approx(-(math.log(first[2]) + math.log(second[0])) / 2)
    multi_hot = cross_entropy_loss(tensor(SCORES), torch.tensor([[1, 0, 1], [0, 1, 0]]))
    expected = -(math.log(first[0]) + math.log(first[2])) / 2 - math.log(second[1])
    assert multi_hot.item() == pytest.approx(expected / 2)


def test_ranknet_by_hand() -> None:
    expected = 0.0
    for scores, teacher in zip(SCORES, TEACHER, strict=True):
        pairs = [
            softplus(scores[j] - scores[i])
            for i, j in itertools.permutations(range(3), 2)
            if teacher[i] > teacher[j]
        ]
        assert len(pairs) == 3
        expected += sum(pairs) / 3 / 2
    assert ranknet_loss(tensor(SCORES), tensor(TEACHER)).item() == pytest.approx(expected)


def test_ranknet_on_grades_makes_no_pair_of_equal_grades() -> None:
    scores = [1.0, 0.5, -0.5]
    expected = (softplus(scores[0] - scores[1]) + softplus(scores[2] - scores[1])) / 2
    found = ranknet_loss(tensor([scores]), tensor([[0, 2, 0]]))
    assert found.item() == pytest.approx(expected)


def test_kl_distillation_by_hand() -> None:
    temperature, expected = 2.0, 0.0
    for scores, teacher in zip(SCORES, TEACHER, strict=True):
        p, q = softmax(teacher, temperature), softmax(scores, temperature)
        expected += temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    found = kl_distillation_loss(tensor(SCORES), tensor(TEACHER), temperature)
    assert found.item() == pytest.approx(expected / 2)


def test_list_net_by_hand() -> None:
    expected = 0.0
    for scores, teacher in zip(SCORES, TEACHER, strict=True):
        p, q = softmax(teacher), softmax(scores)
        expected -= sum(a * math.log(b) for a, b in zip(p, q, strict=True)) / 2
    assert list_net_loss(tensor(SCORES), tensor(TEACHER)).item() == pytest.approx(expected)


@pytest.mark.parametrize("cutoff", [None, 1, 2])
def test_lambda_loss_by_hand(cutoff: int | None) -> None:
    def discount(rank: int) -> float:
        return 1 / math.log2(1 + rank) if rank <= (cutoff or 3) else 0.0

    expected = 0.0
    for scores, grades in zip(SCORES, GRADES, strict=True):
        ranks = [1 + sum(other > score for other in scores) for score in scores]
        best = sorted(grades, reverse=True)
        ideal = sum((2**g - 1) * discount(rank) for rank, g in enumerate(best, start=1))
        for i, j in itertools.permutations(range(3), 2):
            if grades[i] > grades[j]:
                gain = 2 ** grades[i] - 2 ** grades[j]
                change = abs(gain * (discount(ranks[i]) - discount(ranks[j]))) / ideal
                expected += change * softplus(scores[j] - scores[i]) / 2
    found = lambda_loss(tensor(SCORES), tensor(GRADES), cutoff=cutoff)
    assert found.item() == pytest.approx(expected)


def test_hybrid_applies_temperature_squared_once() -> None:
    scores, teacher, labels = [0.3, -1.2, 2.0], [1.0, 0.0, 3.0], torch.tensor([2])
    alpha, temperature = 0.3, 3.0
    p, q = softmax(teacher, temperature), softmax(scores, temperature)
    kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    main = -math.log(softmax(scores)[2])
    found = hybrid_loss(
        tensor([scores]),
        teacher_scores=tensor([teacher]),
        labels=labels,
        alpha=alpha,
        temperature=temperature,
    )
    assert found.total.item() == pytest.approx((1 - alpha) * main + alpha * temperature**2 * kl)
    assert found.distillation.item() == pytest.approx(temperature**2 * kl)


# Second formulations


@quick
@given(draw_batch())
def test_cross_entropy_is_torchs(batch: tuple[Tensor, Tensor]) -> None:
    scores, grades = batch
    positives = grades.argmax(dim=1)
    expected = functional.cross_entropy(scores, positives)
    assert torch.allclose(cross_entropy_loss(scores, positives), expected)
    weights = grades + 1
    expected = functional.cross_entropy(scores, weights / weights.sum(dim=1, keepdim=True))
    assert torch.allclose(cross_entropy_loss(scores, weights), expected)


@quick
@given(draw_batch(), st.sampled_from([0.5, 1.0, 2.0, 7.0]))
def test_kl_is_torchs_kl_div(batch: tuple[Tensor, Tensor], temperature: float) -> None:
    scores, teacher = batch
    expected = temperature**2 * functional.kl_div(
        (scores / temperature).log_softmax(dim=1),
        (teacher / temperature).softmax(dim=1),
        reduction="batchmean",
    )
    assert torch.allclose(kl_distillation_loss(scores, teacher, temperature), expected)


@quick
@given(draw_batch())
def test_ranknet_is_binary_cross_entropy_on_score_differences(
    batch: tuple[Tensor, Tensor],
) -> None:
    scores, grades = batch
    losses = []
    for row, targets in zip(scores, grades, strict=True):
        pairs = [(i, j) for i, j in itertools.permutations(range(len(row)), 2)]
        kept = [(i, j) for i, j in pairs if targets[i] > targets[j]]
        differences = torch.stack([row[i] - row[j] for i, j in kept]) if kept else row[:0]
        wanted = torch.ones_like(differences)
        loss = functional.binary_cross_entropy_with_logits(differences, wanted, reduction="sum")
        losses.append(loss / max(len(kept), 1))
    assert torch.allclose(ranknet_loss(scores, grades), torch.stack(losses).mean())


@quick
@given(draw_batch())
def test_list_net_is_kl_plus_the_targets_entropy(batch: tuple[Tensor, Tensor]) -> None:
    scores, targets = batch
    entropy = torch.distributions.Categorical(logits=targets).entropy().mean()
    expected = kl_distillation_loss(scores, targets, 1.0) + entropy
    assert torch.allclose(list_net_loss(scores, targets), expected)


def test_a_pair_of_passages_weighs_as_much_as_the_ndcg_its_swap_changes() -> None:
    ideal = 7 + 1 / math.log2(3)
    swapped = 1 + 7 / math.log2(3)
    found = lambda_loss(tensor([[0.2, 1.4]]), tensor([[3, 1]]))
    assert found.item() == pytest.approx((1 - swapped / ideal) * softplus(1.2))


# Properties of all losses


@every_loss
@quick
@given(batch=draw_batch(), data=st.data())
def test_order_of_passages_and_queries_never_matters(
    loss: Loss, batch: tuple[Tensor, Tensor], data: st.DataObject
) -> None:
    scores, targets = (values.clone() for values in batch)
    queries = data.draw(st.permutations(range(scores.shape[0])))
    passages = data.draw(st.permutations(range(scores.shape[1])))
    scores.requires_grad_()
    value = loss(scores, targets)
    moved = scores.detach()[queries][:, passages].requires_grad_()
    assert torch.allclose(loss(moved, targets[queries][:, passages]), value)
    (gradient,) = torch.autograd.grad(value, scores)
    (moved_gradient,) = torch.autograd.grad(loss(moved, targets[queries][:, passages]), moved)
    assert torch.allclose(moved_gradient, gradient[queries][:, passages])


@every_loss
@quick
@given(batch=draw_batch(), shift=st.integers(-50, 50))
def test_adding_a_constant_to_a_querys_scores_changes_nothing(
    loss: Loss, batch: tuple[Tensor, Tensor], shift: int
) -> None:
    scores, targets = batch
    shifts = shift * torch.arange(1, len(scores) + 1, dtype=torch.float64)[:, None]
    assert torch.allclose(loss(scores + shifts, targets), loss(scores, targets))


@every_loss
@quick
@given(batch=draw_batch())
def test_no_loss_is_negative(loss: Loss, batch: tuple[Tensor, Tensor]) -> None:
    assert loss(*batch).item() >= -1e-12


@every_loss
@quick
@given(batch=draw_batch(), padding=st.integers(1, 4), filler=st.sampled_from([0.0, 99.0, math.nan]))
def test_padding_changes_nothing(
    loss: Loss, batch: tuple[Tensor, Tensor], padding: int, filler: float
) -> None:
    scores, targets = batch
    pad = torch.full((len(scores), padding), filler, dtype=torch.float64)
    mask = torch.cat([torch.ones_like(scores), torch.zeros_like(pad)], dim=1).bool()
    padded = torch.cat([scores, pad], dim=1).requires_grad_()
    value = loss(padded, torch.cat([targets, pad], dim=1), mask)
    assert torch.allclose(value, loss(scores, targets))
    (gradient,) = torch.autograd.grad(value, padded)
    assert torch.isfinite(gradient).all()
    assert not gradient[:, scores.shape[1] :].any()


@every_loss
def test_queries_of_different_length_are_averaged_one_by_one(loss: Loss) -> None:
    scores, targets = tensor(SCORES), tensor(GRADES)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    expected = (loss(scores[:1], targets[:1]) + loss(scores[1:, :2], targets[1:, :2])) / 2
    assert torch.allclose(loss(scores, targets, mask), expected)


@every_loss
def test_equal_shards_of_a_batch_average_to_the_whole(loss: Loss) -> None:
    scores, targets = tensor([*SCORES, [0.0, 1.0, 2.0], [1.0, 1.5, 1.2]]), tensor([*GRADES] * 2)
    targets[3] = 0
    halves = (loss(scores[:2], targets[:2]) + loss(scores[2:], targets[2:])) / 2
    assert torch.allclose(loss(scores, targets), halves)


@every_loss
def test_a_fully_padded_query_teaches_nothing(loss: Loss) -> None:
    scores = tensor(SCORES).requires_grad_()
    mask = torch.tensor([[True] * 3, [False] * 3])
    value = loss(scores, tensor(GRADES), mask)
    assert torch.allclose(value, loss(scores[:1], tensor(GRADES[:1])) / 2)
    (gradient,) = torch.autograd.grad(value, scores)
    assert not gradient[1].any()
    assert gradient[0].any()


@every_loss
def test_gradients_agree_with_finite_differences(loss: Loss) -> None:
    scores = tensor(SCORES).requires_grad_()
    mask = torch.tensor([[True] * 3, [True, True, False]])
    assert torch.autograd.gradcheck(lambda s: loss(s, tensor(GRADES)), (scores,))
    assert torch.autograd.gradcheck(lambda s: loss(s, tensor(GRADES), mask), (scores,))


@every_loss
def test_targets_get_no_gradient(loss: Loss) -> None:
    targets = tensor(GRADES).requires_grad_()
    loss(tensor(SCORES).requires_grad_(), targets).backward()
    assert targets.grad is None


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_scores_are_computed_in_single_precision(
    loss: Loss, dtype: torch.dtype
) -> None:
    scores = tensor(SCORES).to(dtype).requires_grad_()
    value = loss(scores, tensor(GRADES).to(dtype))
    assert value.dtype == torch.float32
    exact = loss(scores.detach().double(), tensor(GRADES))
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    value.backward()
    assert scores.grad is not None
    assert scores.grad.dtype == dtype


@every_loss
@pytest.mark.parametrize("size", [1e4, 1e30, 1e37])
def test_extreme_scores_give_finite_losses_and_gradients(loss: Loss, size: float) -> None:
    values = torch.tensor([[size, -size, 0.0], [-size, size, size / 2]], requires_grad=True)
    mask = torch.tensor([[True] * 3, [True, True, False]])
    for targets in (torch.tensor(GRADES), torch.tensor(GRADES).flip(1)):
        for value in (loss(values, targets), loss(values, targets, mask)):
            assert torch.isfinite(value)
            (gradient,) = torch.autograd.grad(value, values)
            assert torch.isfinite(gradient).all()


def test_an_extreme_teacher_is_finite_too() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    teacher = torch.tensor([[1e30, -1e30, 0.0]])
    for loss in (ranknet_loss, kl_distillation_loss, list_net_loss):
        value = loss(scores, teacher)
        (gradient,) = torch.autograd.grad(value, scores)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


# Properties of single losses


@quick
@given(draw_batch(), st.sampled_from([0.5, 2.0]))
def test_kl_is_zero_only_where_student_and_teacher_agree(
    batch: tuple[Tensor, Tensor], temperature: float
) -> None:
    scores, _ = batch
    same = kl_distillation_loss(scores.clone().requires_grad_(), scores + 3.0, temperature)
    assert same.item() == pytest.approx(0.0, abs=1e-12)
    other = scores.clone()
    other[:, 0] += 1.0
    assert kl_distillation_loss(other, scores, temperature).item() > 1e-11


def test_kl_gradient_is_temperature_times_the_difference_of_probabilities() -> None:
    scores = tensor(SCORES[:1]).requires_grad_()
    temperature = 2.0
    kl_distillation_loss(scores, tensor(TEACHER[:1]), temperature).backward()
    p, q = softmax(TEACHER[0], temperature), softmax(SCORES[0], temperature)
    assert scores.grad is not None
    assert scores.grad[0].tolist() == pytest.approx(
        [temperature * (b - a) for a, b in zip(p, q, strict=True)]
    )


@pytest.mark.parametrize("loss", [ranknet_loss, lambda_loss, cross_entropy_loss])
def test_nothing_to_learn_is_zero_with_a_gradient_of_zero(loss: Loss) -> None:
    scores = tensor(SCORES).requires_grad_()
    value = loss(scores, torch.zeros(2, 3))
    value.backward()
    assert value.item() == 0.0
    assert scores.grad is not None
    assert not scores.grad.any()


@pytest.mark.parametrize("loss", [ranknet_loss, lambda_loss, list_net_loss])
def test_the_right_order_costs_less_than_the_wrong_one(loss: Loss) -> None:
    grades = tensor([[2, 1, 0]])
    assert loss(tensor([[3, 2, 1]]), grades) < loss(tensor([[1, 2, 3]]), grades)


def test_lambda_loss_starts_learning_from_equal_scores() -> None:
    scores = torch.zeros(1, 4, requires_grad=True)
    lambda_loss(scores, torch.tensor([[0.0, 0.0, 1.0, 3.0]])).backward()
    assert scores.grad is not None
    assert scores.grad[0, 3] < 0 < scores.grad[0, 0]


# The hybrid and its refusals


def make_hybrid(**changes: object) -> HybridLoss:
    arguments: dict[str, object] = {
        "teacher_scores": tensor(TEACHER),
        "labels": torch.tensor([2, 1]),
        **changes,
    }
    return hybrid_loss(tensor(SCORES), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_hybrid_is_the_sum_of_its_parts(alpha: float, temperature: float) -> None:
    scores, teacher = tensor(SCORES), tensor(TEACHER)
    ce = cross_entropy_loss(scores, torch.tensor([2, 1]))
    ranknet = ranknet_loss(scores, teacher)
    kl = kl_distillation_loss(scores, teacher, temperature)
    mains = {"ce": ce, "ranknet": ranknet, "ce+ranknet": (ce + ranknet) / 2}
    for main, value in mains.items():
        found = make_hybrid(main=main, alpha=alpha, temperature=temperature)
        assert torch.allclose(found.total, (1 - alpha) * value + alpha * kl)
        assert torch.equal(found.distillation, kl)
        assert (found.cross_entropy is None) == (main == "ranknet")
        assert (found.ranknet is None) == (main == "ce")


def test_hybrid_can_take_its_pairs_from_labels() -> None:
    grades = tensor(GRADES)
    found = make_hybrid(main="ranknet", ranknet_targets=grades, labels=None)
    assert found.ranknet is not None
    assert torch.equal(found.ranknet, ranknet_loss(tensor(SCORES), grades))
    assert not torch.equal(found.ranknet, ranknet_loss(tensor(SCORES), tensor(TEACHER)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"main": "hinge"}, "main as ce"),
        ({"alpha": 1.1}, "alpha between 0 and 1"),
        ({"alpha": math.nan}, "alpha between 0 and 1"),
        ({"temperature": 0.0}, "a finite temperature above 0"),
        ({"temperature": math.nan}, "a finite temperature above 0"),
        ({"temperature": math.inf}, "a finite temperature above 0"),
        ({"labels": None}, "labels for main 'ce'"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError, match=f"expected {expected}.*, got .*; "):
        make_hybrid(**changes)


@every_loss
def test_shapes_that_do_not_fit_are_refused(loss: Loss) -> None:
    with pytest.raises(ValueError, match=r"expected targets of shape \[2, 3\], got \[2, 2\]"):
        loss(tensor(SCORES), torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"expected mask of shape \[2, 3\], got \[2\]"):
        loss(tensor(SCORES), tensor(GRADES), torch.ones(2).bool())
    with pytest.raises(ValueError, match=r"expected scores of shape \[queries, passages\]"):
        loss(torch.ones(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"expected scores of shape \[queries, passages\]"):
        loss(torch.ones(2, 0), torch.ones(2, 0))


def test_a_cutoff_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="cutoff of 1 or more"):
        lambda_loss(tensor(SCORES), tensor(GRADES), cutoff=0)


@pytest.mark.parametrize("loss", [cross_entropy_loss, lambda_loss])
def test_grades_below_zero_count_as_not_relevant(loss: Loss) -> None:
    junk, zero = tensor([[2, -2, 0], [-1, 3, -1]]), tensor([[2, 0, 0], [0, 3, 0]])
    assert torch.equal(loss(tensor(SCORES), junk), loss(tensor(SCORES), zero))
