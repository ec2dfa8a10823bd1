"""The charts in a real browser: one selection everywhere, downloads, narrow windows, hostile text.

Served as in test_browser_rank.py, with the student that has no weights.
"""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect

from reranker.trace import load_trace
from reranker.types import RankingTrace
from tests import test_browser_rank as rank_page
from tests.fake_student import FakeReader, FakeStudent
from tests.test_browser_rank import OTHER, QUERY, XSS, Visit, close_visit, open_visit

# Fixtures of the other file, found here by name.
browser = rank_page.browser
fake_student = rank_page.fake_student
fake_url = rank_page.fake_url
fake_page = rank_page.fake_page

pytestmark = pytest.mark.browser
CHART = ".charts .js-plotly-plot:visible"
# A screen position of one point of a trace of the visible chart.
FIND_POINT = """([name, docId]) => {
  const chart = [...document.querySelectorAll(".charts .js-plotly-plot")]
    .find((found) => found.clientWidth);
  const trace = chart.data.find((found) => found.name === name);
  const at = trace.customdata.indexOf(docId);
  const { xaxis, yaxis } = chart._fullLayout;
  const box = chart.getBoundingClientRect();
  return [
    box.left + xaxis._offset + xaxis.d2p(trace.x[at]),
    box.top + yaxis._offset + yaxis.d2p(trace.y[at]),
  ];
}"""
READ_MARK = """(role) => {
  const chart = [...document.querySelectorAll(".charts .js-plotly-plot")]
    .find((found) => found.clientWidth);
  const mark = chart.data.find(({ meta }) => meta && meta.role === role);
  return mark ? mark.y : (chart.layout.shapes || []).map((shape) => shape.y0 + 0.5);
}"""


@pytest.fixture
def ranked(fake_page: Visit) -> Iterator[Visit]:
    fake_page.ask(QUERY)
    fake_page.wait_until("done")
    fake_page.page.locator(CHART).wait_for()
    yield fake_page


def show_chart(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.locator(CHART).wait_for()


def find_card(page: Page, position: int) -> Locator:
    return page.locator(".card").nth(position)


def expect_selected(page: Page, position: int) -> None:
    """One card says that it is chosen, and the line above the charts names it."""
    expect(page.locator(".card.selected")).to_have_count(1)
    expect(find_card(page, position)).to_have_class("card selected")
    expect(page.locator(".pick[aria-pressed=true]")).to_have_count(1)
    expect(page.locator(".selected-name")).to_contain_text(f"{position + 1} ")


def expect_none_selected(page: Page) -> None:
    expect(page.locator(".card.selected, .pick[aria-pressed=true]")).to_have_count(0)
    expect(page.locator(".selected-none")).to_be_visible()


def click_point(page: Page, trace_name: str, doc_id: str) -> None:
    page.locator(".charts").evaluate("panel => panel.scrollIntoView({ block: 'start' })")
    x, y = _find_at_rest(page, trace_name, doc_id)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def _find_at_rest(page: Page, trace_name: str, doc_id: str) -> tuple[float, float]:
    """Where a point is once the page has stopped scrolling to the card selected before."""
    found = None
    while found != (found := page.evaluate(FIND_POINT, [trace_name, doc_id])):
        page.wait_for_timeout(150)
    x, y = found
    return x, y


def wait_for_mark(page: Page, role: str, ranks: list[float]) -> None:
    page.wait_for_function(f"([role, ranks]) => String(({READ_MARK})(role)) === String(ranks)",
                           arg=[role, ranks])  # fmt: skip


def read_trace(page: Page, folder: Path) -> RankingTrace:
    with page.expect_download() as download:
        page.locator("#trace-file").click()
    download.value.save_as(folder / "trace.json")
    return load_trace(folder / "trace.json")


def list_ranks(trace: RankingTrace, position: int) -> list[float]:
    hit = trace.ranked_hits()[position]
    assert hit.rank_stage1 is not None
    return [hit.rank_bm25, hit.rank_stage1, hit.rank]


def test_a_card_is_selected_in_every_chart(ranked: Visit, tmp_path: Path) -> None:
    page = ranked.page
    trace = read_trace(page, tmp_path)
    find_card(page, 2).locator(".passage").first.click()
    expect_selected(page, 2)
    wait_for_mark(page, "selected", list_ranks(trace, 2))
    show_chart(page, "Scores")
    wait_for_mark(page, "selected", [3])
    show_chart(page, "Distribution")
    page.wait_for_function(f"({READ_MARK})('selected').length === 2")
    show_chart(page, "Terms")
    doc_id = trace.final_order[2]
    page.wait_for_function(
        """(docId) => [...document.querySelectorAll(".charts .js-plotly-plot")]
          .find((found) => found.clientWidth).data
          .filter(({ meta, visible }) => meta && visible)
          .every(({ meta }) => meta.doc_id === docId)""",
        arg=doc_id,
    )
    page.keyboard.press("Escape")
    expect_none_selected(page)
    show_chart(page, "Rank flow")
    wait_for_mark(page, "selected", [])


@pytest.mark.parametrize(
    ("chart", "trace_name"),
    [("Rank flow", "stage1"), ("Rank flow", "grips"), ("Scores", "bm25"),
     ("Distribution", "scores")],
)  # fmt: skip
def test_a_point_of_a_chart_selects_its_card_and_shows_it(
    ranked: Visit, chart: str, trace_name: str
) -> None:
    page = ranked.page
    show_chart(page, chart)
    click_point(page, trace_name, ranked.doc_ids()[-1])
    expect_selected(page, 19)
    expect(find_card(page, 19)).to_be_in_viewport()
    click_point(page, trace_name, ranked.doc_ids()[-1])
    expect_none_selected(page)


def test_a_path_lights_up_under_the_pointer(ranked: Visit, tmp_path: Path) -> None:
    page = ranked.page
    trace = read_trace(page, tmp_path)
    page.locator(".charts").evaluate("panel => panel.scrollIntoView({ block: 'start' })")
    x, y = page.evaluate(FIND_POINT, ["grips", trace.final_order[4]])
    page.mouse.move(x, y)
    wait_for_mark(page, "hovered", list_ranks(trace, 4))
    page.mouse.move(5, 5)
    wait_for_mark(page, "hovered", [])
    expect_none_selected(page)


def test_the_keyboard_selects_moves_on_and_clears(ranked: Visit) -> None:
    page = ranked.page
    pick = find_card(page, 1).locator(".pick")
    pick.focus()
    pick.press("Enter")
    expect_selected(page, 1)
    pick.press("Space")
    expect_none_selected(page)
    page.get_by_role("button", name="Select the passage below").press("Enter")
    expect_selected(page, 0)
    page.get_by_role("button", name="Select the passage below").press("Space")
    expect_selected(page, 1)
    page.get_by_role("button", name="Select the passage above").press("Space")
    expect_selected(page, 0)
    page.get_by_role("button", name="Clear the selection").press("Enter")
    expect_none_selected(page)


def test_a_selection_outlives_redraws_and_ends_with_the_next_run(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    fake_student.reader = FakeReader(hold=True)
    page = fake_page.page
    fake_page.ask(QUERY)
    assert fake_student.reader.holding.wait(60)
    expect(page.locator(".card.reading .now")).to_have_count(20)
    chosen = find_card(page, 5).get_attribute("data-doc")
    find_card(page, 5).locator(".pick").click()
    fake_student.reader.release.set()
    fake_page.wait_until("done")
    expect(page.locator(".now")).to_have_count(0)
    position = fake_page.doc_ids().index(chosen or "")
    expect_selected(page, position)
    page.wait_for_function(f"({READ_MARK})('selected').at(-1) === {position + 1}")
    fake_student.reader = FakeReader()
    fake_page.ask(OTHER)
    fake_page.wait_until("done")
    expect_none_selected(page)


def take_away(page: Page, link: Locator) -> Download:
    with page.expect_download() as download:
        link.click()
    return download.value


def test_each_chart_comes_as_pictures_and_as_its_exact_data(ranked: Visit, tmp_path: Path) -> None:
    page = ranked.page
    page.context.set_offline(True)
    for name in ("Rank flow", "Scores", "Distribution", "Terms"):
        page.context.set_offline(False)  # a chart's first drawing may still load its tab
        show_chart(page, name)
        page.context.set_offline(True)
        low = name.lower()
        png = take_away(page, page.get_by_role("button", name=f"Download {low} as PNG"))
        assert png.path().read_bytes().startswith(b"\x89PNG")
        svg = take_away(page, page.get_by_role("button", name=f"Download {low} as SVG"))
        text = "".join(ElementTree.fromstring(svg.path().read_text("utf-8")).itertext())
        assert f"{name}: {QUERY}" in text
        data = take_away(page, page.get_by_role("link", name=f"Download the data of {low} as CSV"))
        assert data.suggested_filename.endswith(f"-{low.removeprefix('rank ')}.csv")
        data.save_as(tmp_path / f"{name}.csv")
    page.context.set_offline(False)
    trace = read_trace(page, tmp_path)
    with (tmp_path / "Scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["bm25_score"]) for row in rows] == [h.bm25_score for h in trace.ranked_hits()]
    assert [float(row["score"]) for row in rows] == [hit.score for hit in trace.ranked_hits()]


def test_charts_have_words_for_those_who_cannot_see_them(ranked: Visit) -> None:
    page = ranked.page
    chart = page.get_by_role("img", name="Chart: Rank flow")
    expect(chart).to_be_visible()
    assert "Furthest" in (chart.get_attribute("aria-label") or "")
    page.locator(".charts summary").first.click()
    expect(page.locator(".chart-table:visible tbody tr")).to_have_count(20)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_fit_a_narrow_window(
    browser: Browser, fake_url: str, fake_student: FakeStudent, theme: str
) -> None:
    fake_student.reader = FakeReader()
    visit = open_visit(browser, f"{fake_url}?__theme={theme}", width=390, height=844)
    visit.ask(QUERY)
    visit.wait_until("done")
    for name in ("Rank flow", "Scores", "Distribution", "Terms"):
        show_chart(visit.page, name)
        box = visit.page.locator(CHART).bounding_box()
        assert box and box["x"] >= 0 and 300 < box["width"] <= 390 - box["x"]
        assert not visit.is_scrolled_sideways()
    find_card(visit.page, 0).locator(".pick").click()
    expect_selected(visit.page, 0)
    # However long its title is.
    visit.page.locator(".selected-name").evaluate("(n) => (n.textContent = 'Title '.repeat(20))")
    assert not visit.is_scrolled_sideways()
    close_visit(visit, fake_url)


def test_a_chart_follows_the_window(ranked: Visit) -> None:
    page = ranked.page
    show_chart(page, "Scores")
    show_chart(page, "Rank flow")
    page.set_viewport_size({"width": 1000, "height": 900})
    show_chart(page, "Scores")
    page.wait_for_function(
        """() => [...document.querySelectorAll(".charts .js-plotly-plot")].filter(
          (chart) => chart.clientWidth).every((chart) => {
            const drawn = chart.querySelector(".main-svg").getBoundingClientRect().width;
            return Math.abs(drawn - chart.clientWidth) < 2;
          })"""
    )


def test_hostile_text_is_inert_in_charts_tables_and_the_selection(fake_page: Visit) -> None:
    page = fake_page.page
    page.get_by_role("button", name="Your own passages").click()
    evil = XSS.replace("window.hacked=1", "window.hacked=2")
    page.get_by_label("Paste candidates").fill(f"soap {evil}\n{evil}\nplain soap")
    page.get_by_label("Query").fill(f"soap {XSS}")
    page.locator("#rank-pasted").click()
    fake_page.wait_until("done")
    find_card(page, 1).locator(".pick").click()
    for name in ("Rank flow", "Scores", "Distribution", "Terms"):
        show_chart(page, name)
        low = name.lower()
        take_away(page, page.get_by_role("button", name=f"Download {low} as SVG"))
    assert page.evaluate("window.hacked") is None
    assert page.locator(".charts :is(img, script, a[href^=javascript])").count() == 0
    assert "<img" in page.locator(".chart-table").first.inner_text() or "<img" in (
        page.locator(".selected-name").inner_text()
    )
