"""Batches under a token budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reranker.stage1.batches import plan_batches


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_every_row_comes_once_and_batches_keep_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget)
    assert sorted(p for batch in batches for p in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[p] for p in batch)
        assert padded <= budget or len(batch) == 1


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_the_longest_rows_come_first(lengths: list[int], budget: int) -> None:
    flat = [lengths[p] for batch in plan_batches(lengths, budget) for p in batch]
    assert flat == sorted(flat, reverse=True)


def test_a_plan_by_hand() -> None:
    assert plan_batches([3, 9, 4, 4, 30], 12) == [[4], [1], [2, 3, 0]]
    assert plan_batches([], 12) == []


def test_rows_that_fit_together_are_not_kept_apart() -> None:
    assert len(plan_batches([10] * 10, 100)) == 1
    assert len(plan_batches([10] * 11, 100)) == 2
