"""Agreement of two orders against answers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import InputError
from reranker.evaluation.agreement import compare_orders

ORDERS = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


def test_equal_orders_agree_fully_and_strangers_not_at_all() -> None:
    same = compare_orders("abc", "abc")
    assert (same.rbo, same.shared, same.cutoff, same.common) == (1.0, 3, 3, 3)
    apart = compare_orders("abc", "xyz")
    assert (apart.rbo, apart.shared, apart.common) == (0.0, 0, 0)


def test_rank_biased_overlap_of_a_swap_is_what_a_hand_computes() -> None:
    # Depths 1, 2, 3 agree by 0, 2/2, 3/3, weighed 1, 0.9, 0.81.
    swapped = compare_orders(["a", "b", "c"], ["b", "a", "c"])
    assert swapped.rbo == pytest.approx((0.9 + 0.81) / (1 + 0.9 + 0.81))


def test_a_change_at_the_top_weighs_more_than_one_at_the_bottom() -> None:
    assert compare_orders("abcd", "bacd").rbo < compare_orders("abcd", "abdc").rbo


def test_ranks_name_what_moved_and_what_only_one_order_holds() -> None:
    agreement = compare_orders(["a", "b", "c"], ["c", "a", "z"], cutoff=2)
    assert agreement.ranks == {"a": (1, 2), "b": (2, None), "c": (3, 1), "z": (None, 3)}
    assert (agreement.shared, agreement.common) == (1, 2)


def test_the_cutoff_is_no_deeper_than_the_shorter_order() -> None:
    agreement = compare_orders("abcdefgh", "ab", cutoff=5)
    assert (agreement.cutoff, agreement.shared, agreement.rbo) == (2, 2, 1.0)


@given(ORDERS, ORDERS)
def test_agreement_is_symmetric_and_bounded(first: list[str], second: list[str]) -> None:
    there, back = compare_orders(first, second), compare_orders(second, first)
    assert there.rbo == pytest.approx(back.rbo) and 0 <= there.rbo <= 1.0 + 1e-9
    assert there.shared == back.shared <= there.cutoff
    assert set(there.ranks) == {*first, *second}


@pytest.mark.parametrize(("first", "second"), [("", "ab"), ("ab", ""), ("aa", "ab"), ("ab", "bb")])
def test_orders_that_are_none_are_refused(first: str, second: str) -> None:
    with pytest.raises(InputError, match="expected"):
        compare_orders(first, second)
