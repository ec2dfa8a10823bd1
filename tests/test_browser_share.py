"""Saved traces, reports, links, history and corpus preview in a real browser.

Served as in test_browser_rank.py. `bare_page` is served by a library that cannot load a student,
so that whatever it shows was computed elsewhere.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app import library as library_module
from app.library import Library
from app.rank import share_events
from app.ui import build_page, open_page
from reranker.errors import StudentError
from reranker.trace import dump_trace
from tests import test_browser_rank as rank_page
from tests.fake_student import FakeReader, FakeStudent, make_profile
from tests.test_app_report import make_hostile_trace
from tests.test_browser_rank import OTHER, QUERY, Visit, close_visit, find_free_port, open_visit
from tests.test_trace import TRACE

# Fixtures of the other file, found here by name.
browser = rank_page.browser
fake_student = rank_page.fake_student
fake_url = rank_page.fake_url
fake_page = rank_page.fake_page

pytestmark = pytest.mark.browser

DROP = """([name, encoded]) => {
  const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  const target = document.querySelector("h1");
  for (const event of ["dragover", "drop"]) {
    target.dispatchEvent(
      new DragEvent(event, { bubbles: true, cancelable: true, dataTransfer: carried })
    );
  }
}"""


def refuse(name: str, quantization: str) -> FakeStudent:
    raise StudentError("expected no student to be needed, got asked for one; show what is there")


@pytest.fixture(scope="module")
def bare_url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library_module, "load_profile", lambda name: make_profile())
        page = build_page(Library(load_student=refuse))  # type: ignore[arg-type]
        port = find_free_port()
        open_page(page, "127.0.0.1", port)
        yield f"http://127.0.0.1:{port}/"
        page.close()


@pytest.fixture
def bare_page(browser: Browser, bare_url: str) -> Iterator[Visit]:
    visit = open_visit(browser, bare_url)
    yield visit
    close_visit(visit, bare_url)


def open_drawer(page: Page, name: str) -> None:
    """Opens a drawer; its contents are on the page only while it is open."""
    button = page.get_by_role("button", name=name)
    if "open" not in (button.get_attribute("class") or "").split():
        button.click()


def drop(page: Page, text: str | bytes, name: str = "mine.json") -> None:
    content = text.encode() if isinstance(text, str) else text
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def save_file(page: Page, button: str, path: Path) -> Path:
    with page.expect_download() as download:
        page.locator(button).click()
    download.value.save_as(path)
    return path


def rank(visit: Visit, query: str) -> list[str]:
    visit.ask(query)
    visit.page.locator("#status .message.busy").wait_for()
    visit.wait_until("done")
    return visit.doc_ids()


def read_cards(page: Page) -> list[str]:
    return page.locator("#cards .card").all_inner_texts()


def test_a_trace_dropped_on_another_page_shows_again_exactly(
    fake_page: Visit, bare_page: Visit, tmp_path: Path
) -> None:
    here, there = fake_page.page, bare_page.page
    rank(fake_page, QUERY)
    saved = save_file(here, "#trace-file", tmp_path / "saved.json")
    drop(there, saved.read_bytes(), "from a friend.json")
    line = there.locator("#status .message.info")
    expect(line).to_contain_text("A saved trace, from a friend.json.")
    expect(line).to_contain_text("by student mini (nf4, cpu). Nothing was computed.")
    assert read_cards(there) == read_cards(here)
    assert there.locator("#strip").inner_text() == here.locator("#strip").inner_text()
    expect(there.locator(".js-plotly-plot").first).to_be_visible()
    expect(there.get_by_label("Query", exact=True)).to_have_value(QUERY)
    again = save_file(there, "#trace-file", tmp_path / "again.json")
    assert again.read_bytes() == saved.read_bytes()


def test_a_bad_file_is_told_beside_its_control_and_loses_nothing(
    fake_page: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = fake_page.page
    rank(fake_page, QUERY)
    before, status = read_cards(page), page.locator("#status").inner_text()
    tampered = json.loads(dump_trace(TRACE))
    tampered["final_order"].reverse()
    tampered["final_source"] = "stage2"
    evil = "<img src=x onerror=window.hacked=1>.json"
    for content, name, words in (
        (b"\x89PNG", "picture.png", "picture.png: expected a trace saved by DeAR Studio"),
        ('{"a": 1}', evil, "expected a trace saved by DeAR Studio"),
        (json.dumps(tampered), "forged.json", "expected final_order to be the order of"),
        (dump_trace(TRACE)[:-9], "half.json", "use the file as it was downloaded"),
    ):
        drop(page, content, name)
        expect(page.locator("#trace-error [role=alert]")).to_contain_text(words)
        expect(page.locator("#trace-error [role=alert]")).to_contain_text("The page is as it was.")
    monkeypatch.setattr(share_events, "MAX_FILE_BYTES", 1000)
    drop(page, dump_trace(TRACE), "large.json")
    expect(page.locator("#trace-error [role=alert]")).to_contain_text("at most 0 MB")
    monkeypatch.undo()
    assert read_cards(page) == before and page.locator("#status").inner_text() == status
    assert page.evaluate("window.hacked") is None
    drop(page, dump_trace(TRACE))
    expect(page.locator("#status")).to_contain_text("A saved trace, mine.json.")
    assert fake_page.doc_ids() == ["a", "c/ü", "b"]


def test_hostile_text_is_inert_in_a_saved_trace_its_report_and_beside_another(
    fake_page: Visit, browser: Browser, tmp_path: Path
) -> None:
    page = fake_page.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    rank(fake_page, QUERY)
    drop(page, dump_trace(make_hostile_trace()))
    expect(page.locator("#status")).to_contain_text("A saved trace")
    assert len(fake_page.ranks()) == 2
    report = save_file(page, "#report-file", tmp_path / "hostile.html")
    open_drawer(page, "Earlier and saved rankings")
    page.locator("#history-beside").click()
    expect(page.locator("#sides ol")).to_have_count(2)
    assert page.locator("#results img, #results script, #share img, #share script").count() == 0
    offline = browser.new_page()
    offline.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    offline.goto(report.as_uri())
    expect(offline.locator("h1")).to_contain_text("<script>alert(1)</script>")
    assert offline.locator("script, img").count() == 0
    offline.close()
    assert not dialogs


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_opens_offline(
    fake_page: Visit, browser: Browser, tmp_path: Path, width: int, scheme: Any
) -> None:
    rank(fake_page, QUERY)
    report = save_file(fake_page.page, "#report-file", tmp_path / "report.html")
    context = browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: complaints.append(line.text))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()] and not complaints
    assert page.locator("h1").inner_text() == QUERY
    cards = page.locator(".card")
    assert [cards.nth(n).get_attribute("data-doc") for n in range(20)] == fake_page.doc_ids()
    assert cards.locator("mark").count() >= 20
    assert page.locator(".flow .path").count() == 20
    assert page.locator(".flow line.risen").first.evaluate(
        "line => getComputedStyle(line).strokeWidth"
    ) == "3px", "the policy lets the style apply"  # fmt: skip
    page.locator(".flow .names a").nth(4).click()
    assert page.locator(".card:target").get_attribute("id") == "card-5"
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    context.close()


def test_a_copied_link_reopens_the_query_and_runs_nothing(
    fake_page: Visit, browser: Browser, fake_url: str
) -> None:
    page = fake_page.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_drawer(page, "Advanced")
    page.get_by_label("Rank first, then reason").check()
    ranked = rank(fake_page, OTHER)
    page.locator("#link button").click()
    expect(page.locator("#link [role=status]")).to_contain_text("Copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{fake_url}?corpus=everyday-science&q=why+does+my+cell+phone")
    other = open_visit(browser, link)
    expect(other.page.locator("#status")).to_contain_text("Nothing runs until you press Run.")
    expect(other.page.get_by_label("Query", exact=True)).to_have_value(OTHER)
    assert other.page.locator(".card").count() == 0
    open_drawer(other.page, "Advanced")
    expect(other.page.get_by_label("Rank first, then reason")).to_be_checked()
    other.page.locator("#run").click()
    other.wait_until("done")
    assert other.doc_ids() == ranked
    close_visit(other, fake_url)


def test_without_a_clipboard_the_link_is_shown(browser: Browser, fake_url: str) -> None:
    visit = open_visit(browser, fake_url)
    # What a page served over plain http finds.
    visit.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    rank(visit, QUERY)
    visit.page.locator("#link button").click()
    expect(visit.page.get_by_label("Link to this ranking")).to_have_value(
        f"{fake_url}?corpus=everyday-science&q=how+does+soap+get+greasy+plates+clean&student=mini"
        "&quantization=nf4&stages=both&mode=reason_first&final=profile&depth=20&window=profile&grounding=on"
    )
    close_visit(visit, fake_url)


def test_a_link_with_foreign_values_is_refused_where_they_belong(
    browser: Browser, fake_url: str
) -> None:
    evil = "<img src=x onerror=window.hacked=1>"
    visit = open_visit(
        browser, f"{fake_url}?corpus=/etc/passwd&q=tides&depth=9999&mode={evil}&__theme=dark"
    )
    page = visit.page
    expect(page.locator("#corpus-error [role=alert]")).to_contain_text("got '/etc/passwd'")
    expect(page.locator("#status")).to_contain_text("This link's depth: expected a whole number")
    expect(page.locator("#status")).to_contain_text(evil)
    expect(page.get_by_label("Query", exact=True)).to_have_value("tides")
    assert page.evaluate("window.hacked") is None and page.locator("#status img").count() == 0
    page.locator("#run").click()
    visit.wait_until("done")
    assert visit.doc_ids(), "the page goes on"
    close_visit(visit, fake_url)


def test_a_pasted_list_has_no_link_and_the_page_says_why(fake_page: Visit) -> None:
    page = fake_page.page
    open_drawer(page, "Your own passages")
    page.get_by_label("Paste candidates").fill("soap floats\nplates break")
    page.get_by_label("Query", exact=True).fill("soap")
    page.locator("#rank-pasted").click()
    fake_page.wait_until("done")
    expect(page.locator("#link")).to_contain_text("these passages are not a corpus of this server")
    expect(page.locator("#link button")).to_be_disabled()


def test_two_rankings_of_a_page_stand_side_by_side_and_no_other_page_sees_them(
    fake_page: Visit, browser: Browser, fake_url: str
) -> None:
    page = fake_page.page
    first = rank(fake_page, QUERY)
    second = rank(fake_page, "soap for greasy plates")
    open_drawer(page, "Earlier and saved rankings")
    page.locator("#history-beside").click()
    columns = page.locator("#sides .columns > div")
    expect(columns).to_have_count(2)
    for column, ids in ((columns.nth(0), first), (columns.nth(1), second)):
        shown = column.locator(".name")
        assert [shown.nth(n).get_attribute("title") for n in range(len(ids))] == ids
    expect(page.locator("#sides .agreement")).to_contain_text("Rank-biased overlap")
    expect(page.locator("#sides .apart")).to_contain_text("soap for greasy plates")
    page.locator("#history-again").click()
    expect(page.locator("#status")).to_contain_text("Shown again from this page.")
    assert fake_page.doc_ids() == first
    expect(page.get_by_label("Query", exact=True)).to_have_value(QUERY)
    other = open_visit(browser, fake_url)
    open_drawer(other.page, "Earlier and saved rankings")
    other.page.locator("#history-again").click()
    expect(other.page.locator("#history-error")).to_contain_text("Choose a ranking first")
    assert other.page.locator(".card").count() == 0
    close_visit(other, fake_url)
    page.locator("#history-clear").click()
    expect(page.locator("#history-error")).to_contain_text("forgotten")
    page.locator("#history-beside").click()
    expect(page.locator("#sides [role=alert]")).to_contain_text("Choose a ranking first")
    assert fake_page.doc_ids() == first, "what is shown stays"


def test_a_saved_trace_ends_the_run_under_way(fake_page: Visit, fake_student: FakeStudent) -> None:
    reader = fake_student.reader = FakeReader(hold=True)
    page = fake_page.page
    fake_page.ask(QUERY)
    assert reader.holding.wait(60)
    drop(page, dump_trace(TRACE))
    expect(page.locator("#status")).to_contain_text("A saved trace, mine.json.")
    expect(page.locator("#stop")).to_be_disabled()
    fake_student.reader = FakeReader()
    other = rank(fake_page, OTHER)
    assert other != ["a", "c/ü", "b"] and not reader.release.is_set()


def test_a_look_into_the_corpus_follows_the_chooser_and_the_words(
    fake_page: Visit, tmp_path: Path
) -> None:
    page = fake_page.page
    open_drawer(page, "Look into the corpus")
    shown = page.locator("#corpus-preview")
    expect(shown).to_contain_text("The first 6 of 314 passages.")
    page.get_by_label("Passages with these words").fill("faraday cage")
    expect(shown).to_contain_text("phone-lift-faraday")
    page.get_by_label("Passages with these words").fill("")
    expect(shown).to_contain_text("The first 6 of 314 passages.")
    hostile = [{"_id": f"z{n}", "title": rank_page.XSS, "text": rank_page.XSS} for n in range(2)]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, hostile)), encoding="utf-8")
    open_drawer(page, "Your own passages")
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "own.jsonl")
    expect(shown).to_contain_text("The first 2 of 2 passages.")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#corpus-preview img, #corpus-preview script").count() == 0


def test_drawers_and_columns_fit_a_narrow_window(browser: Browser, fake_url: str) -> None:
    visit = open_visit(browser, fake_url, width=390, height=844)
    rank(visit, QUERY)
    rank(visit, OTHER)
    for name in ("Look into the corpus", "Earlier and saved rankings"):
        open_drawer(visit.page, name)
    visit.page.locator("#history-beside").click()
    expect(visit.page.locator("#sides ol")).to_have_count(2)
    assert not visit.is_scrolled_sideways()
    close_visit(visit, fake_url)
