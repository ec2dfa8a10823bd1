"""Charts of scores: exact values, on axes of their own, and every passage is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.facts import describe_distribution, describe_scores
from app.rank.score_figures import SWARM_HEIGHT, draw_distribution, draw_scores, spread_out
from reranker.types import Justification, RankingTrace
from tests.test_app_html import make_trace


@pytest.fixture
def trace() -> RankingTrace:
    """Six passages; stage 2 brings the last one to the front and calls it partial."""
    made = make_trace([f"text {n}" for n in range(6)])
    reading = made.readings[0]
    note = Justification(doc_id="d5", verdict="partial", text="Some of it.")
    reading = replace(reading, justifications=(*reading.justifications, note))
    order = ("d5", "d0", "d1", "d2", "d3", "d4")
    return replace(made, final_order=order, readings=(reading,))


def test_each_stage_has_its_panel_with_the_traces_values(trace: RankingTrace) -> None:
    figure = draw_scores(trace)
    bm25, stage1 = figure.data
    ranked = trace.ranked_hits()
    assert list(bm25.x) == [hit.bm25_score for hit in ranked]
    assert list(stage1.x) == [hit.score for hit in ranked]
    assert list(bm25.y) == list(stage1.y) == [1, 2, 3, 4, 5, 6]
    assert list(bm25.customdata) == list(stage1.customdata) == list(trace.final_order)
    assert bm25.text[0] == f"{ranked[0].bm25_score:.2f}"
    assert (bm25.xaxis, stage1.xaxis) == ("x", "x2")


def test_the_axes_differ_hold_zero_and_do_not_touch(trace: RankingTrace) -> None:
    layout = draw_scores(trace).layout
    for axis, bars in ((layout.xaxis, 0), (layout.xaxis2, 1)):
        low, high = axis.range
        assert low <= 0 <= high
        assert all(low < x < high for x in draw_scores(trace).data[bars].x)
    assert layout.xaxis.title.text != layout.xaxis2.title.text
    assert layout.xaxis.domain[1] < layout.xaxis2.domain[0]
    assert layout.xaxis2.matches is None


def test_only_stages_that_scored_have_a_panel(trace: RankingTrace) -> None:
    bm25 = replace(trace, stage1=(), readings=(), final_order=trace.bm25_order)
    assert [bars.name for bars in draw_scores(bm25).data] == ["bm25"]
    assert "has not scored" in describe_scores(bm25)
    pasted = replace(trace, hits=tuple(replace(hit, bm25_score=None) for hit in trace.hits))
    assert [bars.name for bars in draw_scores(pasted).data] == ["stage1"]
    neither = replace(pasted, stage1=(), readings=(), final_order=pasted.bm25_order)
    assert "no scores yet" in draw_scores(neither).layout.annotations[0].text


def test_many_bars_have_fewer_numbers() -> None:
    trace = make_trace([f"text {n}" for n in range(100)])
    bars, _ = draw_scores(trace).data
    assert len(bars.x) == 100 and sum(map(bool, bars.text)) == 20


def test_every_passage_is_in_the_first_row_at_its_exact_score(trace: RankingTrace) -> None:
    figure = draw_distribution(trace)
    everyone, answers, partial = [drawn for drawn in figure.data if drawn.name == "scores"]
    shown = dict(zip(everyone.customdata, everyone.x, strict=True))
    assert shown == {score.doc_id: score.score for score in trace.stage1}
    assert list(answers.customdata) == ["d0"] and list(partial.customdata) == ["d5"]
    labels = figure.layout.yaxis.ticktext
    assert [label.split()[1] for label in labels[1:]] == ["answers", "partial"]


def test_medians_stand_in_the_rows_and_in_the_words(trace: RankingTrace) -> None:
    everyone = [drawn for drawn in draw_distribution(trace).data if drawn.name == "median"][0]
    scores = sorted(score.score for score in trace.stage1)
    middle = (scores[2] + scores[3]) / 2
    assert list(everyone.x) == [pytest.approx(middle)] * 2
    assert f"median {middle:.2f}." in describe_distribution(trace)


def test_without_stage_1_the_spread_says_why_it_is_empty(trace: RankingTrace) -> None:
    bare = replace(trace, stage1=(), readings=(), final_order=trace.bm25_order)
    figure = draw_distribution(bare)
    assert not figure.data and "not scored" in figure.layout.annotations[0].text


def test_dots_that_would_touch_stand_above_each_other() -> None:
    assert spread_out([0.0, 5.0, 9.0], gap=1.0) == [0, 0, 0]
    low, middle, high = sorted(spread_out([1.0, 1.2, 1.4], gap=1.0))
    assert low < middle == 0 < high


@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=100).map(sorted),
    st.floats(0, 5, allow_subnormal=False),
)
def test_no_two_dots_share_a_place(values: Sequence[float], gap: float) -> None:
    heights = spread_out(values, gap)
    assert all(abs(height) <= SWARM_HEIGHT + 1e-9 for height in heights)
    places: dict[float, float] = {}
    for value, height in zip(values, heights, strict=True):
        level = round(height, 9)
        assert level not in places or (value - places[level] >= gap > 0)
        places[level] = value
