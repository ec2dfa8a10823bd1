"""The Rank tab in a real browser.

`real_page` is `python app.py` as a person starts it, with the bundled student. `fake_page` serves
the same page in this process with a student that writes as slowly as a test wants.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app import library as library_module
from app.library import Library
from app.ui import build_page, open_page
from reranker.errors import StudentError
from reranker.trace import load_trace
from tests.fake_student import FakeReader, FakeStudent, make_profile

ROOT = Path(__file__).resolve().parent.parent
QUERY = "how does soap get greasy plates clean"
OTHER = "why does my cell phone lose signal in a lift"
XSS = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'">${window.hacked=1}'
WAIT_MS = 120_000

pytestmark = pytest.mark.browser
expect.set_options(timeout=WAIT_MS)


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_page(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the app ended before it answered"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium: set CHROMIUM to one")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One open page and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def ask(self, query: str) -> None:
        box = self.page.get_by_role("textbox", name="Query")
        box.fill(query)
        box.press("Enter")

    def wait_until(self, tone: str) -> str:
        """Waits for the status line to have this tone, and returns what it says."""
        line = self.page.locator(f"#status .message.{tone}")
        line.wait_for(timeout=WAIT_MS)
        return line.inner_text()

    def ranks(self) -> list[str]:
        return self.page.locator(".card .rank").all_inner_texts()

    def doc_ids(self) -> list[str]:
        return self.page.eval_on_selector_all(".card", "cards => cards.map(c => c.dataset.doc)")

    def is_scrolled_sideways(self) -> bool:
        """Or cut off: what Gradio's page hides at the side scrolls nothing, and cannot be read."""
        return bool(
            self.page.evaluate(
                """Math.max(
                  document.documentElement.scrollWidth,
                  document.querySelector("main").getBoundingClientRect().right,
                ) > window.innerWidth"""
            )
        )


def open_visit(browser: Browser, url: str, width: int = 1280, height: int = 900) -> Visit:
    page = browser.new_page(viewport={"width": width, "height": height})
    visit = Visit(page)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on(
        "console",
        lambda line: visit.complaints.append(line.text) if line.type == "error" else None,
    )
    page.on("request", lambda request: visit.hosts.add(request.url.split("/")[2]))
    page.goto(url)
    page.get_by_label("Query").wait_for(timeout=WAIT_MS)
    return visit


def close_visit(visit: Visit, url: str) -> None:
    hosts = visit.hosts - {url.split("/")[2]}
    visit.page.close()
    assert not visit.complaints
    assert not hosts, "the page asks nothing of other machines"


@pytest.fixture(scope="module")
def real_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/"
    log = (tmp_path_factory.mktemp("app") / "app.log").open("wb")
    command = [sys.executable, "app.py", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_for_page(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


@pytest.fixture
def real_page(browser: Browser, real_url: str) -> Iterator[Visit]:
    visit = open_visit(browser, real_url)
    yield visit
    close_visit(visit, real_url)


@pytest.fixture(scope="module")
def fake_student() -> FakeStudent:
    return FakeStudent()


@pytest.fixture(scope="module")
def fake_url(fake_student: FakeStudent) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library_module, "load_profile", lambda name: make_profile())
        library = Library(load_student=lambda name, quantization: fake_student)  # type: ignore[arg-type,return-value]
        page = build_page(library)
        port = find_free_port()
        open_page(page, "127.0.0.1", port)
        library.warm_up()
        yield f"http://127.0.0.1:{port}/"
        page.close()


@pytest.fixture
def fake_page(browser: Browser, fake_url: str, fake_student: FakeStudent) -> Iterator[Visit]:
    fake_student.reader = FakeReader()
    visit = open_visit(browser, fake_url)
    yield visit
    fake_student.reader.release.set()
    close_visit(visit, fake_url)


def test_a_query_becomes_a_ranking_that_can_be_taken_away(real_page: Visit, tmp_path: Path) -> None:
    page = real_page.page
    page.locator(".state.done").wait_for(timeout=2 * WAIT_MS)
    real_page.ask(QUERY)
    assert "Ranked 20 passages" in real_page.wait_until("done")
    assert real_page.ranks() == [str(n) for n in range(1, 21)]
    assert page.locator(".card").first.locator(".place.stage1").count() == 1
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    assert "20 in, 20 out" in page.locator("#strip").inner_text()
    with page.expect_download() as download:
        page.locator("#trace-file").click()
    download.value.save_as(tmp_path / "trace.json")
    trace = load_trace(tmp_path / "trace.json")
    assert list(trace.final_order) == real_page.doc_ids()
    assert trace.query.text == QUERY and trace.complete


def test_a_narrow_window_never_scrolls_sideways(browser: Browser, real_url: str) -> None:
    visit = open_visit(browser, real_url, width=390, height=844)
    assert not visit.is_scrolled_sideways()
    visit.ask(QUERY)
    visit.wait_until("done")
    assert len(visit.ranks()) == 20
    assert not visit.is_scrolled_sideways()
    chart = visit.page.locator(".js-plotly-plot").first.bounding_box()
    card = visit.page.locator(".card").first.bounding_box()
    assert chart and card and chart["y"] < card["y"]
    close_visit(visit, real_url)


def test_reasons_stream_into_their_cards_without_markers(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    # Slower than a first ranking's charts are drawn: what is written meanwhile comes in one go,
    # and words after which nothing follows would not be shown until the student goes on.
    fake_student.reader = FakeReader(pace=0.8, hold=True)
    page = fake_page.page
    fake_page.ask(QUERY)
    live = page.locator(".card.reading .model.live")
    live.first.wait_for(timeout=WAIT_MS)
    assert page.locator(".card.reading").count() == 20
    expect(live.first).to_contain_text("Water")
    assert "<|" not in page.locator("#cards").inner_text()
    assert page.locator("#stop").is_enabled()
    fake_student.reader.release.set()
    assert "Stage 2 changed" in fake_page.wait_until("done")
    assert page.locator(".card mark").count() >= 20
    assert page.locator(".model.live").count() == 0
    assert not page.locator("#stop").is_enabled()


def test_an_opened_drawer_stays_open_when_the_cards_are_drawn_again(fake_page: Visit) -> None:
    page = fake_page.page
    fake_page.ask(QUERY)
    fake_page.wait_until("done")
    drawer = page.locator(".card").nth(3).locator("details")
    key = drawer.get_attribute("data-key")
    drawer.locator("summary").click()
    page.locator("#run").click()
    fake_page.wait_until("busy")
    fake_page.wait_until("done")
    opened = page.locator("details[open]")
    expect(opened).to_have_count(1)
    assert opened.get_attribute("data-key") == key


def test_stop_keeps_what_was_found_and_the_page_goes_on(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    fake_student.reader = FakeReader(hold=True)
    page = fake_page.page
    fake_page.ask(QUERY)
    assert fake_student.reader.holding.wait(60)
    page.locator(".card .place.stage1").first.wait_for(timeout=WAIT_MS)
    page.locator("#stop").click()
    assert fake_page.wait_until("stopped") == "Stopped. Stage 1's order is shown."
    assert len(fake_page.ranks()) == 20
    assert page.locator("#trace-file").is_enabled()
    fake_student.reader = FakeReader()
    fake_page.ask(OTHER)
    fake_page.wait_until("done")


def test_a_second_run_takes_the_place_of_the_first(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    first = fake_student.reader = FakeReader(hold=True)
    fake_page.ask(QUERY)
    assert first.holding.wait(60)
    fake_student.reader = FakeReader()
    fake_page.ask(OTHER)
    fake_page.wait_until("done")
    assert not first.release.is_set()
    assert "phone-lift-faraday" in fake_page.doc_ids()
    assert "soap-micelles" not in fake_page.doc_ids()


def test_a_run_whose_turn_comes_late_is_the_latest_and_nothing_of_the_earlier(
    fake_page: Visit, fake_student: FakeStudent, browser: Browser, fake_url: str
) -> None:
    blocking = fake_student.reader = FakeReader(hold=True)
    other = open_visit(browser, fake_url)
    other.ask(QUERY)
    assert blocking.holding.wait(60)
    fake_page.ask("why is the sky blue")
    expect(fake_page.page.locator("#status")).to_contain_text("1 ahead of you")
    # On a busy machine a press reads its box late: it is let go before the box is filled anew.
    with fake_page.page.expect_request(lambda request: OTHER in (request.post_data or "")):
        fake_page.ask(OTHER)  # instead, while it still waits
    fake_page.ask(" ")  # begins nothing, and ends nothing
    expect(fake_page.page.locator("#query-error")).to_contain_text("Type a query")
    fake_student.reader = FakeReader()
    blocking.release.set()
    other.wait_until("done")
    close_visit(other, fake_url)
    fake_page.wait_until("done")
    expect(fake_page.page.locator(".asked")).to_have_text(f"Ranked for {OTHER}")
    assert "phone-lift-faraday" in fake_page.doc_ids()


def test_a_refused_query_beside_a_running_one_is_not_told_again(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    first = fake_student.reader = FakeReader(hold=True)
    page = fake_page.page
    fake_page.ask(QUERY)
    assert first.holding.wait(60)
    fake_page.ask("x" * 2001)
    expect(page.locator("#query-error [role=alert]")).to_contain_text("too long")
    fake_page.ask("xylophone zebra")
    expect(page.locator("#query-error [role=alert]")).to_contain_text("Try other words")
    expect(page.locator("#stop")).to_be_disabled()
    assert "too long" not in page.locator("#query-error").inner_text()
    expect(page.locator(".asked")).to_have_text(f"Ranked for {QUERY}")


def test_a_page_reloaded_mid_run_begins_afresh_and_ends_its_run(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    first = fake_student.reader = FakeReader(hold=True)
    page = fake_page.page
    fake_page.ask(QUERY)
    assert first.holding.wait(60)
    page.locator(".card .place.stage1").first.wait_for()
    page.reload()
    page.locator(".state.done").wait_for()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#stop")).to_be_disabled()
    fake_student.reader = FakeReader()
    fake_page.ask(OTHER)
    fake_page.wait_until("done")  # the run of the page that is gone holds up nobody
    assert "phone-lift-faraday" in fake_page.doc_ids() and not first.release.is_set()
    # What Gradio says of the requests that the reload broke off.
    broken = ("AbortError", "Connection errored out", "ERR_INCOMPLETE", "Failed to fetch")
    fake_page.complaints[:] = [
        said for said in fake_page.complaints if not any(word in said for word in broken)
    ]


def test_stop_ends_a_run_whose_weights_are_still_loading(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    with fake_student.lock:  # as while its weights load
        fake_page.ask(QUERY)
        fake_page.page.locator(".card").first.wait_for()
        fake_page.page.locator("#stop").click()
        told = fake_page.wait_until("stopped")
    assert told == "Stopped. The order before stage 1 is shown."
    assert len(fake_page.ranks()) == 20
    fake_page.ask(OTHER)
    fake_page.wait_until("done")


def test_a_stage_that_fails_leaves_the_one_before_it(
    fake_page: Visit, fake_student: FakeStudent
) -> None:
    fake_student.reader = FakeReader(failure=StudentError("expected weights, got none"))
    fake_page.ask(QUERY)
    text = fake_page.wait_until("error")
    assert "expected weights, got none" in text and "Stage 1's order is shown." in text
    assert len(fake_page.ranks()) == 20


def test_an_unusable_query_is_told_beside_its_box_and_loses_nothing(fake_page: Visit) -> None:
    page = fake_page.page
    page.locator("#run").click()
    expect(page.locator("#query-error [role=alert]")).to_contain_text("Type a query")
    expect(page.locator("#stop")).to_have_text("Stop")
    fake_page.ask(QUERY)
    fake_page.wait_until("done")
    expect(page.locator("#query-error [role=alert]")).to_have_count(0)
    fake_page.ask("xylophone zebra")
    expect(page.locator("#query-error [role=alert]")).to_contain_text("Try other words")
    assert len(fake_page.ranks()) == 20


def test_an_example_runs_and_the_keyboard_reaches_it(fake_page: Visit) -> None:
    button = fake_page.page.locator(".example button").last
    query = button.inner_text()
    button.focus()
    button.press("Enter")
    fake_page.wait_until("done")
    assert fake_page.page.get_by_label("Query").input_value() == query
    expect(button).to_be_hidden()


def test_pasted_text_is_ranked_as_it_is_and_stays_text(fake_page: Visit) -> None:
    page = fake_page.page
    page.get_by_role("button", name="Your own passages").click()
    page.locator("#rank-pasted").click()
    expect(page.locator("#own-error [role=alert]")).to_be_visible()
    page.get_by_label("Paste candidates").fill(f"soap {XSS}\nplates {XSS}\nclean")
    page.get_by_label("Query").fill(f"soap {XSS}")
    page.locator("#rank-pasted").click()
    fake_page.wait_until("done")
    assert fake_page.ranks() == ["1", "2", "3"]
    assert "<script>" in page.locator(".card .passage").first.inner_text()
    assert "given" in page.locator(".card .places").first.inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("#cards img, #cards script, #strip img").count() == 0
    expect(page.locator("#corpus-line")).to_contain_text("no retrieval")


def write_hostile_zip(path: Path) -> None:
    """A collection whose every field would run a script if it were taken for HTML."""
    key = XSS.replace(" ", "/")  # just as harmful, and allowed in an id
    passages = [{"_id": f"{n}{key}", "title": XSS, "text": f"soap {n} {XSS}"} for n in range(3)]
    files = {
        "corpus.jsonl": "\n".join(map(json.dumps, passages)),
        "about.json": json.dumps(
            {"title": XSS, "description": XSS, "licence": XSS, "example_queries": [f"soap {XSS}"]}
        ),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def test_scripts_in_every_field_stay_text(
    fake_page: Visit, fake_student: FakeStudent, tmp_path: Path
) -> None:
    page = fake_page.page
    note = XSS.replace("{", "{{").replace("}", "}}")
    fake_student.reader = FakeReader(note=note)
    write_hostile_zip(tmp_path / "<img src=x onerror=window.hacked=1>.zip")
    page.get_by_role("button", name="Your own passages").click()
    page.get_by_role("button", name="Look into the corpus").click()
    page.locator("#upload input[type=file]").set_input_files(next(tmp_path.glob("*.zip")))
    expect(page.locator("#corpus-line")).to_contain_text("3 passages")
    expect(page.locator("#corpus-line")).to_contain_text("<script>")
    assert "<script>" in page.get_by_label("Corpus").input_value()
    expect(page.locator("#corpus-preview")).to_contain_text("<script>")
    page.get_by_label("Corpus").click()  # its list of choices
    expect(page.get_by_role("option").last).to_contain_text("<script>")
    page.keyboard.press("Escape")
    page.locator(".example button").first.click()
    fake_page.wait_until("done")
    expect(page.locator(".card .model").first).to_contain_text("<script>")
    page.locator(".card .pick").first.click()
    page.get_by_role("button", name="Earlier and saved rankings").click()
    expect(page.locator("#history-first input")).to_have_value(re.compile("<img"))
    fake_student.reader = FakeReader(failure=StudentError(f"expected weights, got {XSS}"))
    page.locator("#run").click()
    assert "<script>" in fake_page.wait_until("error")
    assert page.evaluate("window.hacked") is None
    parts = "#status, #corpus-line, #corpus-preview, .examples, #results, #share"
    assert page.locator(f":is({parts}) :is(img, script)").count() == 0


def test_an_uploaded_corpus_belongs_to_its_page_only(
    fake_page: Visit, browser: Browser, fake_url: str, tmp_path: Path
) -> None:
    page = fake_page.page
    page.get_by_role("button", name="Your own passages").click()
    (tmp_path / "notes.pdf.jsonl").write_text('{"_id": "a"}\n', encoding="utf-8")
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "notes.pdf.jsonl")
    expect(page.locator("#own-error [role=alert]")).to_contain_text("notes.pdf.jsonl:1")
    expect(page.locator("#corpus-line")).to_contain_text("314 passages")
    page.locator("#upload").get_by_label("Clear").click()
    (tmp_path / "zebras.txt").write_text("Zebras run.\n\nOkapis hide.\n", encoding="utf-8")
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "zebras.txt")
    expect(page.locator("#corpus-line")).to_contain_text("2 passages")
    fake_page.ask("zebras")
    fake_page.wait_until("done")
    assert fake_page.doc_ids() == ["p1"]
    other = open_visit(browser, fake_url)
    other.ask("zebras")
    expect(other.page.locator("#query-error [role=alert]")).to_contain_text("No passage")
    close_visit(other, fake_url)
