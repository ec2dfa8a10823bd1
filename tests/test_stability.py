"""Stability against readers whose bias is known: none, and nothing but the place shown."""

from __future__ import annotations

import random

import pytest

from reranker.errors import InputError
from reranker.explain.stability import (
    Order,
    StabilityRequest,
    agree_on_order,
    gather_readings,
    measure_stability,
    summarize_readings,
)
from tests.explained import make_bench, make_student, make_trace

FINAL = tuple("abcdef")


def read_blindly(order: Order, seed: int) -> Order:
    return FINAL


def read_as_shown(order: Order, seed: int) -> Order:
    return order


def test_a_reader_blind_to_places_has_no_bias() -> None:
    shown, given, agree = gather_readings(
        FINAL, StabilityRequest(shuffles=6, seeds=2), read_blindly
    )
    found = summarize_readings(FINAL, shown, given, seeds_agree=agree)
    assert found.bias == 0.0 and found.pairwise == 1.0 and found.same_top == 1.0
    assert found.seeds_agree is True and found.agreed == FINAL
    assert all(s.low == s.high == s.rank == s.rank_agreed for s in found.spreads)
    assert all(place.deviation == 0.0 for place in found.places)


def test_a_reader_that_copies_its_input_is_all_bias() -> None:
    shown, given, _ = gather_readings(FINAL, StabilityRequest(shuffles=30), read_as_shown)
    found = summarize_readings(FINAL, shown, given)
    assert found.bias == pytest.approx(1.0) and found.pairwise == pytest.approx(0.5, abs=0.05)
    first, last = found.places[0], found.places[-1]
    assert first.deviation < 0 < last.deviation and found.seeds_agree is None
    assert len(set(shown)) > 20


def test_few_readings_measure_the_same_bias_and_chance() -> None:
    shown, given, _ = gather_readings(FINAL, StabilityRequest(shuffles=2), read_as_shown)
    assert summarize_readings(FINAL, shown, given).bias == pytest.approx(1.0)
    turned = summarize_readings(("a", "b"), [("a", "b"), ("b", "a")], [("a", "b"), ("b", "a")])
    assert turned.pairwise == 0.0  # two readings that disagree on the only pair


def test_the_agreed_order_is_the_majority_s() -> None:
    orders = [("a", "b", "c"), ("a", "b", "c"), ("c", "b", "a")]
    assert agree_on_order(orders, ("c", "b", "a")) == ("a", "b", "c")
    # Borda alone says b, a: neighbours are then swapped until no majority objects.
    split = [("a", "b", "c", "d")] * 3 + [("b", "c", "d", "a")] * 2
    assert agree_on_order(split, ("d", "c", "b", "a"))[0] == "a"
    rng = random.Random(1)
    noisy = [tuple(sorted(FINAL, key=lambda d: ord(d) + rng.gauss(0, 1.0))) for _ in range(41)]
    assert agree_on_order(noisy, FINAL[::-1]) == FINAL


def test_the_pipeline_s_stage_2_is_read_in_shuffled_orders() -> None:
    student = make_student()  # ranks by verdict and length, whatever the order
    trace = make_trace(student)
    told: list[int] = []
    bench = make_bench(student, trace, progress=lambda done, total, message: told.append(done))
    found = measure_stability(bench, StabilityRequest(shuffles=4))
    assert found.bias == 0.0 and found.agreed == trace.final_order
    assert told == [1, 2, 3, 4] and found.agreed_readings == 4


def test_what_cannot_be_shuffled_is_refused() -> None:
    student = make_student()
    with pytest.raises(InputError, match="stage 2 has read"):
        measure_stability(make_bench(student, make_trace(student, stages="1")), StabilityRequest())
    with pytest.raises(InputError, match="2 to 50 shuffles"):
        measure_stability(make_bench(student, make_trace(student)), StabilityRequest(shuffles=1))
