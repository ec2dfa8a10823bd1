"""The Explain tab in a real browser, with the student that has no weights."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import test_browser_rank as rank_page
from tests.fake_student import FakeReader, FakeStudent
from tests.test_browser_rank import OTHER, QUERY, XSS, Visit, close_visit, open_visit
from tests.test_stability import CopyingReader

# Fixtures of the other file, found here by name.
browser = rank_page.browser
fake_student = rank_page.fake_student
fake_url = rank_page.fake_url
fake_page = rank_page.fake_page

pytestmark = pytest.mark.browser


@pytest.fixture
def asked(fake_page: Visit) -> Iterator[Visit]:
    """A page with a ranking on the Explain tab, its third passage selected on the Rank tab."""
    fake_page.ask(QUERY)
    fake_page.wait_until("done")
    page = fake_page.page
    page.locator(".card").nth(2).locator(".passage").first.click()
    page.get_by_role("tab", name="Explain").click()
    expect(page.locator("#exp-passage input")).to_have_value(
        page.locator("#exp-passage input").input_value()
    )
    expect(page.locator("#exp-subject")).to_contain_text(QUERY)
    yield fake_page


def show_question(page: Page, name: str) -> None:
    page.locator(".exp-tabs").get_by_role("tab", name=name).click()


def wait_until_done(page: Page) -> None:
    expect(page.locator("#exp-status .message.done")).to_be_visible()


def test_an_empty_page_says_what_to_do(fake_page: Visit) -> None:
    page = fake_page.page
    page.get_by_role("tab", name="Explain").click()
    expect(page.locator("#exp-intro")).to_contain_text("Rank something")
    expect(page.locator("#exp-body")).to_have_count(0)
    page.locator("#exp-other > button").click()
    page.locator("#exp-rank").click()
    expect(page.locator("#exp-rank-status [role=alert]")).to_contain_text("Type a query")
    page.locator("#exp-query input, #exp-query textarea").first.fill(OTHER)
    page.locator("#exp-rank").click()
    expect(page.locator("#exp-subject")).to_contain_text(OTHER)
    expect(page.locator("#exp-rank-status .done")).to_contain_text("Ranked")


def test_the_selected_passage_is_explained_and_taken_away(asked: Visit, tmp_path: Path) -> None:
    page = asked.page
    assert page.locator("#exp-passage input").input_value().startswith("3. ")
    expect(page.locator("#exp-words-cost")).to_contain_text("scored by stage 1")
    page.locator("#exp-words").click()
    wait_until_done(page)
    lit = page.locator("#exp-words-result .lit").first
    expect(lit.locator("span[class^=p]").first).to_be_visible()
    expect(page.locator("#exp-words-result")).to_contain_text("leave one sentence out")
    for kind in ("json", "csv"):
        with page.expect_download() as download:
            page.locator(f"#exp-{kind}").click()
        download.value.save_as(tmp_path / f"result.{kind}")
    whole = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert {method["method"] for method in whole["methods"]} >= {"occlusion", "shapley"}
    with (tmp_path / "result.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[0] == "method"
    page.locator("#exp-words").click()
    expect(page.locator("#exp-status")).to_contain_text("analysed on this page already")


def test_a_sentence_is_negated_in_place_and_the_list_ranked_again(asked: Visit) -> None:
    page = asked.page
    show_question(page, "What if")
    text = page.locator("#exp-form-text textarea")
    before = text.input_value()
    page.locator("#exp-change").click()
    expect(page.locator("#exp-status [role=alert]")).to_contain_text("Expected a change")
    page.locator("#exp-do-negate").click()
    expect(text).not_to_have_value(before)
    page.locator("#exp-change").click()
    expect(page.locator("#exp-change-result ins, #exp-change-result del").first).to_be_visible()
    expect(page.locator("#exp-change-result table")).to_contain_text("edited")
    page.locator("#exp-reset").click()
    expect(text).to_have_value(before)
    page.locator("#exp-do-word").click()
    expect(page.locator("#exp-form-error [role=alert]")).to_contain_text("Expected the word")


def test_a_passage_of_one_s_own_stays_text(asked: Visit) -> None:
    page = asked.page
    show_question(page, "What if")
    page.locator("#exp-form-text textarea").fill(f"soap plates greasy clean {XSS}")
    page.locator("#exp-added input").check()
    page.locator("#exp-change").click()
    expect(page.locator("#exp-change-result table")).to_contain_text("own-1")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#exp-change-result img, #exp-change-result script").count() == 0
    expect(page.locator("#exp-change-result .diff").first).to_contain_text("<script>")


def test_an_analysis_stops_when_asked_and_another_can_follow(
    asked: Visit, fake_student: FakeStudent
) -> None:
    page = asked.page
    held = fake_student.reader = FakeReader(hold=True)
    show_question(page, "Stability")
    page.locator("#exp-stability").click()
    assert held.holding.wait(60)
    page.locator("#exp-stop").click()
    expect(page.locator("#exp-status .message.stopped")).to_contain_text("Stopped")
    fake_student.reader = FakeReader()
    page.locator("#exp-stability").click()
    wait_until_done(page)


def test_stability_draws_its_intervals(asked: Visit) -> None:
    page = asked.page
    show_question(page, "Stability")
    expect(page.locator("#exp-stability-cost")).to_contain_text("readings")
    page.locator("#exp-stability").click()
    expect(page.locator("#exp-stability-result")).to_contain_text("changed rank")
    expect(page.locator(".exp-intervals .js-plotly-plot")).to_be_visible()
    expect(page.locator("#exp-stop")).to_be_disabled()


def test_the_agreed_order_becomes_a_ranking_of_its_own(
    asked: Visit, fake_student: FakeStudent
) -> None:
    page = asked.page
    fake_student.reader = CopyingReader()
    show_question(page, "Stability")
    page.locator("#exp-adopt").click()
    expect(page.locator("#exp-adopt-status [role=alert]")).to_contain_text("Shuffle and read")
    page.locator("#exp-stability").click()
    wait_until_done(page)
    page.locator("#exp-adopt").click()
    expect(page.locator("#exp-adopt-status")).to_contain_text("Its order rests on 9 readings")
    expect(page.locator("#exp-subject")).to_contain_text("agreed over 8 shuffled readings")
    expect(page.locator("#exp-ranking input")).to_have_value(re.compile("^2[.].*agreed order"))
    expect(page.locator("#exp-passage input")).to_have_value(re.compile("^1[.] "))
    page.get_by_role("tab", name="Rank").click()
    page.get_by_role("button", name="Earlier and saved rankings").click()
    expect(page.locator("#history-second input")).to_have_value(re.compile("agreed order"))
    page.locator("#history-first input").click()
    page.get_by_role("option", name=re.compile("agreed order")).first.click()
    page.locator("#history-again").click()
    expect(page.locator(".strip")).to_contain_text("agreed over 8 shuffled readings")


def test_faithfulness_and_red_team_answer(asked: Visit) -> None:
    page = asked.page
    show_question(page, "Faithfulness")
    page.locator("#exp-faithfulness").click()
    expect(page.locator("#exp-faithfulness-result")).to_contain_text("comprehensiveness")
    show_question(page, "Red team")
    page.locator("#exp-attacks").click()
    expect(page.locator("#exp-attacks-result")).to_contain_text("query-term stuffing")


def test_a_narrow_window_never_scrolls_sideways(browser: Browser, fake_url: str) -> None:
    visit = open_visit(browser, fake_url, width=390, height=844)
    visit.ask(QUERY)
    visit.wait_until("done")
    page = visit.page
    page.get_by_role("tab", name="Explain").click()
    expect(page.locator("#exp-subject")).to_contain_text(QUERY)
    page.locator("#exp-words").click()
    wait_until_done(page)
    assert not visit.is_scrolled_sideways()
    # Gradio cuts off what is too wide, so the page's own width is looked at as well.
    assert page.evaluate("document.querySelector('main').getBoundingClientRect().right") <= 390
    close_visit(visit, fake_url)
