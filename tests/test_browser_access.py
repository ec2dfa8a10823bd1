"""What people with a keyboard, a screen reader or little patience for motion meet on the Rank tab.

axe-core looks at the real page, with a student that writes as slowly as a test wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.fake_student import FakeReader, FakeStudent
from tests.test_browser_rank import (  # noqa: F401 - fixtures
    QUERY,
    WAIT_MS,
    Visit,
    browser,
    close_visit,
    fake_student,
    fake_url,
    open_visit,
)

GRAVE = {"serious", "critical"}
WIDTHS = {"desk": (1440, 900), "phone": (390, 844)}

NAME_FOCUSED = """
(() => {
  const e = document.activeElement;
  return (e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.innerText || "").trim();
})()
"""

ORDER = (
    "Skip to the result", "Corpus", "Query", "Run",
    "Examples", "Advanced", "Your own passages", "What the student wrote",
)  # fmt: skip

pytestmark = pytest.mark.browser


def list_findings(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical: the rule and the first places."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['help']}): {node['html'][:160]} {node['failureSummary'][-160:]}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"][:4]
    ]


@pytest.fixture(params=[(width, theme) for width in WIDTHS for theme in ("light", "dark")])
def visit(
    request: pytest.FixtureRequest,
    browser: Browser,  # noqa: F811
    fake_url: str,  # noqa: F811
    fake_student: FakeStudent,  # noqa: F811
) -> Iterator[Visit]:
    """The page at one width in one theme."""
    name, theme = request.param
    width, height = WIDTHS[name]
    fake_student.reader = FakeReader()
    visit = open_visit(browser, f"{fake_url}?__theme={theme}", width, height)
    yield visit
    fake_student.reader.release.set()
    close_visit(visit, fake_url)


def open_drawers(page: Page) -> None:
    """Everything that is folded away, so that it is looked at as well."""
    closed = page.locator("button.label-wrap[aria-expanded=false]:visible")
    while closed.count():
        closed.first.click()
    page.eval_on_selector_all("details", "drawers => drawers.forEach(d => { d.open = true; })")


def test_axe_finds_nothing_serious_before_during_and_after_a_run(
    visit: Visit,
    fake_student: FakeStudent,  # noqa: F811
) -> None:
    page = visit.page
    open_drawers(page)
    assert list_findings(page) == [], "before a run"
    reader = fake_student.reader = FakeReader(pace=0.7)
    visit.ask(QUERY)
    page.locator(".model.live").first.wait_for(timeout=WAIT_MS)
    assert list_findings(page) == [], "during a run"
    reader.pace = 0.0
    visit.wait_until("done")
    open_drawers(page)
    assert list_findings(page) == [], "after a run"
    for tab in page.locator(".charts [role=tab]:visible").all():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        assert list_findings(page) == [], f"chart {tab.inner_text()}"
    visit.ask("xylophone zebra")
    expect(page.locator("#query-error [role=alert]")).to_be_visible()
    assert list_findings(page) == [], "beside an error"


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(
    fake_url: str,  # noqa: F811
    browser: Browser,  # noqa: F811
) -> None:
    visit = open_visit(browser, fake_url)
    page = visit.page
    expect(page.get_by_label("Query")).to_be_focused()
    page.keyboard.type(QUERY)
    page.keyboard.press("Enter")
    visit.wait_until("done")
    page.get_by_role("link", name=ORDER[0]).focus()  # the first thing on the page
    seen = []
    for _ in range(40):
        seen.append(page.evaluate(NAME_FOCUSED))
        page.keyboard.press("Tab")
    places = [next(i for i, name in enumerate(seen) if name.startswith(start)) for start in ORDER]
    assert places == sorted(places)
    close_visit(visit, fake_url)


def test_skip_link_drawers_and_headings_say_what_they_are(
    fake_url: str,  # noqa: F811
    browser: Browser,  # noqa: F811
) -> None:
    visit = open_visit(browser, fake_url)
    page = visit.page
    visit.ask(QUERY)
    visit.wait_until("done")
    skip = page.get_by_role("link", name="Skip to the result")
    skip.focus()
    box = skip.bounding_box()
    assert box and box["height"] > 10, "seen once focused"
    skip.press("Enter")
    assert page.evaluate("document.querySelector(':target').id") == "status"
    drawer = page.locator("button.label-wrap", has_text="Advanced")
    expect(drawer).to_have_attribute("aria-expanded", "false")
    drawer.click()
    expect(drawer).to_have_attribute("aria-expanded", "true")
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(h => Number(h.tagName[1]))")
    assert levels[:3] == [1, 2, 3]
    close_visit(visit, fake_url)


def test_nothing_moves_for_those_who_want_no_motion(
    fake_url: str,  # noqa: F811
    fake_student: FakeStudent,  # noqa: F811
    browser: Browser,  # noqa: F811
) -> None:
    reader = fake_student.reader = FakeReader(pace=0.7)
    visit = open_visit(browser, fake_url)
    visit.page.emulate_media(reduced_motion="reduce")
    visit.ask(QUERY)
    visit.page.locator(".model.live").first.wait_for(timeout=WAIT_MS)
    assert visit.page.evaluate("document.getAnimations().length") == 0
    reader.pace = 0.0
    visit.wait_until("done")
    fake_student.reader = FakeReader()
    close_visit(visit, fake_url)


def test_those_who_wait_are_told_how_many_are_ahead(
    fake_url: str,  # noqa: F811
    fake_student: FakeStudent,  # noqa: F811
    browser: Browser,  # noqa: F811
) -> None:
    reader = fake_student.reader = FakeReader(hold=True)
    visits = [open_visit(browser, fake_url) for _ in range(3)]
    visits[0].ask(QUERY)
    assert reader.holding.wait(60)
    for ahead, visit in enumerate(visits[1:], start=1):
        visit.ask(QUERY)
        line = visit.page.locator("#status [role=status]")
        expect(line).to_contain_text(f"{ahead} ahead of you")
        assert line.is_visible() and line.evaluate("e => getComputedStyle(e).opacity") == "1"
    fake_student.reader = FakeReader(hold=True)
    reader.release.set()
    # The first is done, the second has its turn, so the third has one fewer ahead.
    expect(visits[2].page.locator("#status")).to_contain_text("1 ahead of you, about")
    fake_student.reader.release.set()
    for visit in visits:
        visit.wait_until("done")
        close_visit(visit, fake_url)
    fake_student.reader = FakeReader()
