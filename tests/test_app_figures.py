"""Charts of a ranking: what is drawn says what the trace says, and titles cannot bring tags."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.facts import describe_flow, name_apart
from app.figures import STAGE_COLORS, draw_flow, draw_scores
from app.plots import make_plot
from reranker.config import ASSETS
from reranker.types import Hit, Passage, RankingTrace
from tests.test_app_html import make_trace


def find_trace(figure, name: str):  # type: ignore[no-untyped-def]
    return [trace for trace in figure.data if trace.name == name]


@pytest.fixture
def trace() -> RankingTrace:
    """Six passages; stage 2 brings the last one to the front."""
    made = make_trace([f"text {n}" for n in range(6)])
    return replace(made, final_order=("d5", "d0", "d1", "d2", "d3", "d4"))


def test_every_passage_has_a_place_in_every_column(trace: RankingTrace) -> None:
    figure = draw_flow(trace)
    for column, stage in enumerate(("bm25", "stage1", "stage2")):
        (markers,) = find_trace(figure, stage)
        assert set(markers.x) == {column}
        assert sorted(markers.y) == [1, 2, 3, 4, 5, 6]
        assert markers.marker.color == STAGE_COLORS[stage]
    assert figure.layout.xaxis.ticktext == ("<b>BM25</b>", "<b>Stage 1</b>", "<b>Stage 2</b>")


def test_stages_differ_in_shape_too(trace: RankingTrace) -> None:
    figure = draw_flow(trace)
    shapes = {find_trace(figure, stage)[0].marker.symbol for stage in STAGE_COLORS}
    assert len(shapes) == 3


def test_only_far_moves_are_bold_and_their_direction_is_drawn(trace: RankingTrace) -> None:
    figure = draw_flow(trace)
    first, second = find_trace(figure, "risen")
    assert not first.x
    assert list(second.y) == [6, 1, None]
    assert second.line.color == STAGE_COLORS["stage2"] and second.line.dash is None
    fallen = replace(trace, final_order=("d1", "d2", "d3", "d4", "d5", "d0"))
    _, line = find_trace(draw_flow(fallen), "fallen")
    assert list(line.y) == [1, 6, None] and line.line.dash


def test_columns_follow_the_stages_that_ran(trace: RankingTrace) -> None:
    stage1 = replace(trace, readings=(), final_order=trace.stage1_order, final_source="stage1")
    assert draw_flow(stage1).layout.xaxis.ticktext == ("<b>BM25</b>", "<b>Stage 1</b>")
    pasted = tuple(replace(hit, bm25_score=None) for hit in trace.hits)
    bare = replace(stage1, hits=pasted, stage1=(), final_order=trace.bm25_order)
    assert draw_flow(bare).layout.xaxis.ticktext == ("<b>Given</b>",)
    assert "nothing to compare" in describe_flow(bare)


def test_no_passages_make_an_empty_chart(trace: RankingTrace) -> None:
    empty = replace(trace, hits=(), stage1=(), readings=(), final_order=())
    assert draw_flow(empty).layout.xaxis.ticktext == ()
    assert len(draw_scores(empty).data[0].x) == 0


def test_scores_stand_in_the_present_order_on_an_axis_with_zero(trace: RankingTrace) -> None:
    figure = draw_scores(trace)
    (bars,) = figure.data
    assert list(bars.y) == [1, 2, 3, 4, 5, 6]
    assert bars.x[0] == pytest.approx(-6.005) and bars.text[0] == "-6.00"
    assert figure.layout.xaxis.rangemode == "tozero"
    assert figure.layout.yaxis.autorange == "reversed"


def test_titles_bring_no_tags(trace: RankingTrace) -> None:
    evil = '<a href="javascript:alert(1)">x</a>'
    hits = tuple(
        Hit(passage=Passage(doc_id=h.passage.doc_id, text="t", title=f"{evil}{n}"), rank=h.rank)
        for n, h in enumerate(trace.hits)
    )
    drawn = json.dumps(
        [json.loads(draw(replace(trace, hits=hits)).to_json()) for draw in (draw_flow, draw_scores)]
    )
    assert "<a" not in drawn and "&lt;a" in drawn


def test_passages_with_one_title_are_named_by_their_text() -> None:
    trace = make_trace(["Soap cleans.", "Water runs."], title="Cleaning")
    assert name_apart(trace) == {"d0": "Soap cleans.", "d1": "Water runs."}
    assert name_apart(make_trace(["Soap."], title="Cleaning")) == {"d0": "Cleaning"}


def test_the_furthest_move_is_said_in_words(trace: RankingTrace) -> None:
    assert describe_flow(trace).endswith("Furthest: “text 5”, BM25 6 → 1.")


def test_many_passages_have_fewer_titles() -> None:
    trace = make_trace([f"text {n}" for n in range(70)])
    (titles,) = find_trace(draw_flow(trace), "titles")
    assert len(titles.text) == 24


def test_a_plot_carries_its_toolbars_settings(trace: RankingTrace) -> None:
    plot = json.loads(make_plot(draw_flow(trace)).plot)
    assert plot["config"]["displaylogo"] is False and plot["data"]


def test_the_colours_of_charts_and_styles_are_the_same() -> None:
    css = (ASSETS / "css" / "studio.css").read_text(encoding="utf-8")
    for stage, color in STAGE_COLORS.items():
        assert f"--{stage}: {color.lower()};" in css
