"""The rank flow, and what all charts share: drawn is what the trace says, titles bring no tags."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.facts import describe_flow, name_apart
from app.figure_style import LABELLED, SELECTED_COLOR
from app.plots import make_plot
from app.rank.figures import CHARTS, STAGE_COLORS, Chart, draw_distribution, draw_flow
from app.rank.flow_figure import GRIPS
from reranker.config import ASSETS
from reranker.types import Hit, Passage, PassageScore, RankingTrace, TermWeight
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


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.key)
def test_no_passages_make_an_empty_chart(chart: Chart, trace: RankingTrace) -> None:
    empty = replace(trace, hits=(), stage1=(), readings=(), final_order=())
    assert not any(drawn.x for drawn in chart.draw(empty).data)
    assert chart.describe(empty) and chart.tabulate(empty).rows == ()


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.key)
def test_hostile_text_brings_no_tags(chart: Chart, trace: RankingTrace) -> None:
    evil = '<a href="javascript:alert(1)">x</a><img src=x onerror=alert(1)>'
    hits = tuple(
        Hit(
            passage=Passage(doc_id=f"<b>{evil}{n}", text=evil, title=f"{n}{evil}"),
            rank=n,
            bm25_score=2.0,
            terms=(TermWeight(term=evil, weight=2.0), TermWeight(term="<i>", weight=0.0)),
        )
        for n in (1, 2)
    )
    order = tuple(hit.passage.doc_id for hit in hits)
    scores = tuple(PassageScore(doc_id=d, score=1.0, passage_tokens=3) for d in order)
    hostile = replace(trace, hits=hits, stage1=scores, readings=(), final_order=order)
    shown = json.loads(chart.draw(hostile).to_json())
    for drawn in shown["data"]:  # keys, which the page compares and never shows
        drawn.pop("customdata", None)
        drawn.pop("meta", None)
    written = json.dumps(shown)
    assert "<a" not in written and "<img" not in written and "<i>" not in written
    assert "&lt;a" in written


def test_every_point_of_the_flow_names_its_passage(trace: RankingTrace) -> None:
    figure = draw_flow(trace)
    ranks = {hit.passage.doc_id: hit.rank for hit in trace.ranked_hits()}
    (stage2,) = find_trace(figure, "stage2")
    assert dict(zip(stage2.customdata, stage2.y, strict=True)) == ranks
    assert stage2.meta == {"role": "points"}
    for drawn in figure.data:
        if drawn.x:
            assert set(drawn.customdata) <= set(ranks) and len(drawn.customdata) == len(drawn.x)


def test_a_line_answers_to_the_pointer_along_its_way(trace: RankingTrace) -> None:
    first, second = find_trace(draw_flow(trace), "grips")
    own = [
        (x, y) for x, y, d in zip(second.x, second.y, second.customdata, strict=True) if d == "d5"
    ]
    assert len(own) == len(GRIPS)
    assert all(y == pytest.approx(6 - 5 * (x - 1)) for x, y in own)


def test_marks_are_empty_until_something_is_selected(trace: RankingTrace) -> None:
    for draw in (draw_flow, draw_distribution):
        for role in ("hovered", "selected"):
            (mark,) = find_trace(draw(trace), role)
            assert mark.meta == {"role": role} and not mark.x


def test_passages_with_one_title_are_named_by_their_text() -> None:
    trace = make_trace(["Soap cleans.", "Water runs."], title="Cleaning")
    assert name_apart(trace) == {"d0": "Soap cleans.", "d1": "Water runs."}
    assert name_apart(make_trace(["Soap."], title="Cleaning")) == {"d0": "Cleaning"}


def test_the_furthest_move_is_said_in_words(trace: RankingTrace) -> None:
    assert describe_flow(trace).endswith("Furthest: “text 5”, BM25 6 → 1.")


def test_many_passages_have_fewer_titles() -> None:
    trace = make_trace([f"text {n}" for n in range(70)])
    (titles,) = find_trace(draw_flow(trace), "titles")
    assert len(titles.text) == 24 and len(titles.text) <= LABELLED


def test_a_plot_carries_its_toolbars_settings(trace: RankingTrace) -> None:
    plot = json.loads(make_plot(draw_flow(trace)).plot)
    assert plot["config"]["displaylogo"] is False and plot["data"]


def test_the_colours_of_charts_and_styles_are_the_same() -> None:
    css = (ASSETS / "css" / "studio.css").read_text(encoding="utf-8")
    for stage, color in STAGE_COLORS.items():
        assert f"--{stage}: {color.lower()};" in css
    assert f"--selected: {SELECTED_COLOR.lower()};" in css
