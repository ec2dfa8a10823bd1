"""Tables and downloads of the charts: exact values, and nothing hostile gets out of its cell."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from app.rank.chart_panel import show_charts
from app.rank.events import Screen
from app.rank.figures import CHARTS, Chart
from app.rank.html_chart_tools import render_chart_tools, render_selection
from reranker.types import RankingTrace, TermWeight
from tests.test_app_html import XSS, make_trace


class Tools(HTMLParser):
    """Tags, the CSV of the link, and the cells of the table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.csv, self.cells, self.file = "", [], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attributes)
        found = dict(attributes)
        if tag == "a":
            head, _, body = (found["href"] or "").partition(",")
            assert head == "data:text/csv;charset=utf-8"
            self.csv, self.file = unquote(body), found["download"] or ""
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.fixture
def trace() -> RankingTrace:
    made = make_trace([f"text {n}" for n in range(6)], title=XSS, doc_id=XSS)
    hits = tuple(
        replace(
            hit,
            bm25_score=1 / 3 + hit.rank,
            terms=(
                TermWeight(term=XSS, weight=1 / 3 + hit.rank),
                TermWeight(term="=1+1", weight=0.0),
            ),
        )
        for hit in made.hits
    )
    return replace(made, hits=hits, final_order=tuple(reversed(made.final_order)))


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.key)
def test_a_download_holds_the_tables_exact_values(chart: Chart, trace: RankingTrace) -> None:
    tools = Tools(show_charts(trace)[f"{chart.key}_tools"])
    header, *rows = csv.reader(io.StringIO(tools.csv))
    table = chart.tabulate(trace)
    assert len(rows) == len(table.rows) == 6
    assert [name.removeprefix("'") for name in header] == list(table.columns)
    for row, values in zip(rows, table.rows, strict=True):
        for cell, value in zip(row, values, strict=True):
            if isinstance(value, float):
                assert float(cell) == value  # to the last bit
            else:
                assert cell == ("" if value is None else str(value))
    assert tools.file == f"dear-script-alert-1-script-img-src-x-onerror-{chart.key}.csv"


def test_tables_say_what_the_trace_says(trace: RankingTrace) -> None:
    tables = {chart.key: chart.tabulate(trace) for chart in CHARTS}
    ranked = trace.ranked_hits()
    assert [row[3:] for row in tables["flow"].rows] == [
        (hit.rank_bm25, hit.rank_stage1, hit.rank_bm25 - hit.rank) for hit in ranked
    ]
    assert [row[3:] for row in tables["scores"].rows] == [(h.bm25_score, h.score) for h in ranked]
    assert [row[3] for row in tables["distribution"].rows] == [hit.score for hit in ranked]
    weights = {hit.passage.doc_id: hit.terms[0].weight for hit in trace.hits}
    assert [row[4] for row in tables["terms"].rows] == [weights[h.passage.doc_id] for h in ranked]
    for table in tables.values():
        assert [row[1] for row in table.rows] == list(trace.final_order)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.key)
def test_hostile_text_stays_text_below_the_charts(chart: Chart, trace: RankingTrace) -> None:
    tools = Tools(show_charts(trace)[f"{chart.key}_tools"])
    assert not {"script", "img"} & set(tools.tags)
    assert any("<script>" in cell for cell in tools.cells)


def test_a_formula_is_disarmed_in_a_download_too() -> None:
    trace = make_trace(["text"], title="=HYPERLINK(1)")
    tools = Tools(show_charts(trace)["scores_tools"])
    assert "'=HYPERLINK(1)" in tools.csv


def test_every_button_has_a_name() -> None:
    trace = make_trace(["text"])
    chart = CHARTS[0]
    table = chart.tabulate(trace)
    shown = render_selection() + render_chart_tools(
        key="flow", title="Rank flow", heading="h", caption="c", table=table, csv="", file_name="f"
    )
    assert shown.count("<button") == 6
    assert shown.count("aria-label=") >= 6 and "Download rank flow as SVG" in shown


def test_the_panels_parts_have_their_places_on_the_screen(trace: RankingTrace) -> None:
    parts = list(show_charts(trace))
    start = Screen._fields.index(parts[0])
    assert list(Screen._fields[start : start + len(parts)]) == parts
