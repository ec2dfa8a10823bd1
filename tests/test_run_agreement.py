"""Rank-biased overlap and Kendall's tau against hand-made orders and ir_measures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures.providers.compat_provider import rbo

from reranker.errors import InputError
from reranker.evaluation.run_agreement import compare_runs, measure_rbo, measure_tau
from reranker.trec import rank_by_position

ORDERS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)


def test_rbo_by_hand() -> None:
    # Overlap at depths 1, 2, 3: 0, 2/2, 2/3; weights 1, 0.9, 0.81.
    found = measure_rbo(rank_by_position("abc"), rank_by_position("bax"))
    assert found == pytest.approx((0 + 0.9 + 0.81 * 2 / 3) / (1 + 0.9 + 0.81))


@given(ORDERS, ORDERS)
def test_rbo_is_ir_measures(first: list[str], second: list[str]) -> None:
    a, b = rank_by_position(first), rank_by_position(second)
    expected = rbo(first, second, 0.9, min(len(first), len(second)))
    assert measure_rbo(a, b) == pytest.approx(expected)
    assert measure_rbo(b, a) == pytest.approx(expected)
    assert measure_rbo(a, a) == pytest.approx(1.0)


def test_tau_by_hand() -> None:
    a = rank_by_position("abcd")
    assert measure_tau(a, rank_by_position("abcd")) == pytest.approx(1.0)
    assert measure_tau(a, rank_by_position("dcba")) == pytest.approx(-1.0)
    assert measure_tau(a, rank_by_position("bacd")) == pytest.approx((5 - 1) / 6)
    assert measure_tau(a, rank_by_position("xbya")) == pytest.approx(-1.0)  # only a and b
    assert measure_tau(a, rank_by_position("xya")) is None


def test_two_runs() -> None:
    first = {"q1": rank_by_position("ab"), "q2": rank_by_position("a"), "q3": ()}
    second = {
        "q2": rank_by_position("a"),
        "q1": rank_by_position("ba"),
        "q3": rank_by_position("a"),
    }
    found = compare_runs(first, second)
    assert list(found.rbo) == ["q1", "q2"]
    assert found.mean_rbo == pytest.approx((0.9 / 1.9 + 1) / 2)
    assert found.tau == {"q1": -1.0} and found.mean_tau == -1.0
    assert compare_runs({"q2": first["q2"]}, second).mean_tau is None
    with pytest.raises(InputError, match="queries in common, got none for 'x' and 'y'"):
        compare_runs({"q1": first["q1"]}, {"q9": first["q1"]}, names=("x", "y"))
