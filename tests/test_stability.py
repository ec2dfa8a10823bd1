"""Stability against readers whose bias is known: none, and nothing but the place shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from reranker.errors import InputError
from reranker.explain.counterfactual import EditRequest, estimate_edit
from reranker.explain.stability import (
    Order,
    StabilityRequest,
    adopt_agreement,
    gather_readings,
    measure_stability,
    summarize_readings,
)
from reranker.pipeline import rank
from reranker.request import RankRequest
from reranker.stage2.reader import WindowView
from reranker.trace import compare_traces, dump_trace, read_trace
from reranker.types import ShuffledReading, WindowReading
from tests.explained import TEXTS, make_bench, make_student, make_trace
from tests.fake_student import FakeReader

FINAL = tuple("abcdef")


def read_blindly(order: Order, seed: int) -> ShuffledReading:
    return ShuffledReading(shown=order, given=FINAL)


def read_as_shown(order: Order, seed: int) -> ShuffledReading:
    return ShuffledReading(shown=order, given=order, seconds=0.5)


@dataclass(kw_only=True)
class CopyingReader(FakeReader):
    """Gives every window back as it was shown."""

    def read(self, view: WindowView, **options: Any) -> WindowReading:
        found = super().read(view, **options)
        return replace(found, permutation=tuple(range(view.window.size)))


def test_a_reader_blind_to_places_has_no_bias() -> None:
    readings, agree = gather_readings(FINAL, StabilityRequest(shuffles=6, seeds=2), read_blindly)
    found = summarize_readings(FINAL, readings, seeds_agree=agree)
    assert found.bias == 0.0 and found.pairwise == 1.0 and found.same_top == 1.0
    assert found.seeds_agree is True and found.agreed == FINAL
    assert all(s.low == s.high == s.rank == s.rank_agreed for s in found.spreads)
    assert all(place.deviation == 0.0 for place in found.places)


def test_a_reader_that_copies_its_input_is_all_bias() -> None:
    readings, _ = gather_readings(FINAL, StabilityRequest(shuffles=30), read_as_shown)
    found = summarize_readings(FINAL, readings)
    assert found.bias == pytest.approx(1.0) and found.pairwise == pytest.approx(0.5, abs=0.05)
    first, last = found.places[0], found.places[-1]
    assert first.deviation < 0 < last.deviation and found.seeds_agree is None
    assert len({reading.shown for reading in readings}) > 20 and found.seconds == 15.0


def test_few_readings_measure_the_same_bias_and_chance() -> None:
    readings, _ = gather_readings(FINAL, StabilityRequest(shuffles=2), read_as_shown)
    assert summarize_readings(FINAL, readings).bias == pytest.approx(1.0)
    turned = [read_as_shown(order, 0) for order in (("a", "b"), ("b", "a"))]
    # Two readings that disagree on the only pair.
    assert summarize_readings(("a", "b"), turned).pairwise == 0.0


def test_adopting_is_ranking_by_the_agreed_order() -> None:
    student = make_student(reader=CopyingReader())
    trace = make_trace(student, TEXTS, seed=3)
    asked = StabilityRequest(shuffles=5, seed=3)
    found = measure_stability(make_bench(student, trace), asked)
    adopted = adopt_agreement(trace, found)
    assert adopted.final_order == found.agreed != trace.final_order
    assert (adopted.final_source, adopted.settings.shuffles) == ("agreed", 5)
    assert [t.stage for t in adopted.timings] == ["bm25", "stage1", "stage2", "shuffles"]
    # What was recorded before is still there, and the file is taken back.
    assert adopted.readings == trace.readings and adopted.stage2_order == trace.stage2_order
    assert read_trace(dump_trace(adopted)) == adopted
    request = RankRequest(query=trace.query, hits=trace.hits)
    again = rank(student, request, adopted.settings)
    assert compare_traces(adopted, again).identical and again.final_source == "agreed"
    assert [r.given for r in again.shuffled] == [r.given for r in adopted.shuffled]
    assert estimate_edit(adopted, EditRequest()).readings == 6


def test_readings_that_ranking_would_not_make_are_not_adopted() -> None:
    student = make_student(reader=CopyingReader())
    trace = make_trace(student, TEXTS)
    other_seed = measure_stability(make_bench(student, trace), StabilityRequest(shuffles=3, seed=9))
    several = measure_stability(make_bench(student, trace), StabilityRequest(shuffles=3, seeds=2))
    for found in (other_seed, several):
        with pytest.raises(InputError, match="one reading of every shuffle"):
            adopt_agreement(trace, found)
    foreign = trace.with_stage(student=replace(trace.student, quantization="bf16"))
    remade = measure_stability(make_bench(student, foreign), StabilityRequest(shuffles=3))
    assert remade.remade
    with pytest.raises(InputError, match="rank its query again"):
        adopt_agreement(foreign, remade)


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
