"""The Annotate tab in a real browser, behind a login: by keys alone, together, and cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.library import Library
from app.ui import build_page, open_page
from reranker.annotation.item import Reasoning, make_item
from reranker.annotation.judgement import Judgement
from reranker.annotation.judging import Judging
from reranker.annotation.project import Project
from reranker.annotation.store import Store
from reranker.trace import dump_trace
from reranker.types import Evidence, Passage, Query
from tests import test_browser_rank as rank_page
from tests.annotation_cases import SYSTEM, TEXTS, make_case
from tests.test_browser_rank import WAIT_MS, XSS, Visit, find_free_port
from tests.test_browser_share import drop
from tests.test_trace import TRACE

pytestmark = pytest.mark.browser
browser = rank_page.browser
PEOPLE = ("olga", "ann", "bob", "ada", "eve<img src=x onerror=window.hacked=1>")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEAR_ANNOTATIONS", str(tmp_path_factory.mktemp("annotations")))
        logins = [(person, "secret") for person in PEOPLE]
        page = build_page(Library(student="mini"), bool(logins))
        port = find_free_port()
        open_page(page, "127.0.0.1", port, logins)
        yield f"http://127.0.0.1:{port}/"
        page.close()


@pytest.fixture
def judging(url: str) -> Iterator[Judging]:
    """The server's own store, opened a second time."""
    judging = Judging(Store())
    yield judging
    judging.store.close()


def start_project(judging: Judging, project_id: str, items: int = 1, **settings: object) -> None:
    """A project all its own: olga owns it, ann and bob judge, ada adjudicates."""
    project = Project(project_id=project_id, name=project_id, overlap=2, **settings)  # type: ignore[arg-type]
    judging.store.create_project(project, "olga")
    for person, role in (("ann", "annotator"), ("bob", "annotator"), ("ada", "adjudicator")):
        judging.store.set_role(project_id, person, role)  # type: ignore[arg-type]
    judging.store.add_items(project_id, [make_case(n) for n in range(1, items + 1)])


def visit_desk(
    browser: Browser, url: str, person: str, project_id: str, width: int = 1280
) -> Visit:
    """A browser of their own, logged in, with the project's first item on the desk."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, has_touch=True)
    answer = context.request.post(f"{url}login", form={"username": person, "password": "secret"})
    assert answer.ok
    page = context.new_page()
    visit = Visit(page)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.goto(url)
    open_desk(page, project_id)
    return visit


def open_desk(page: Page, project_id: str) -> None:
    page.get_by_role("tab", name="Annotate").click()
    project = page.get_by_label("Project", exact=True).first
    project.wait_for(timeout=WAIT_MS)
    expect(page.locator("#ann-desk .desk, #ann-desk .note").first).to_be_visible()
    if project.input_value() != project_id:
        project.click()
        page.get_by_role("option", name=project_id, exact=True).click()
    desk = page.locator(f".desk[data-project='{project_id}']")
    # An item, or word that none is left.
    expect(desk.locator(".desk-item, [data-notice]:not([hidden])").first).to_be_visible()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def expect_state(page: Page, words: str) -> None:
    expect(page.locator("[data-state]")).to_contain_text(words)


def saved(judging: Judging, project_id: str, person: str) -> list[Judgement]:
    return list(judging.history(project_id, person=person))


def go_to(page: Page, doc_id: str) -> None:
    """To the passage with this text, by the keys a person would press."""
    for _ in range(len(TEXTS)):
        press(page, "k")
    for _ in range(len(TEXTS)):
        if TEXTS[doc_id] in page.locator(".desk-passage.current [data-text]").inner_text():
            return
        press(page, "j")
    raise AssertionError(f"{doc_id} is not on the desk")


def test_a_whole_session_by_keys(browser: Browser, url: str, judging: Judging) -> None:
    start_project(judging, "keys", items=2)
    visit = visit_desk(browser, url, "ann", "keys")
    page = visit.page
    html = page.locator(".desk").inner_html()
    assert "d1" not in re.findall(r"\bd\d\b", html) and SYSTEM not in html and "3.00" not in html
    press(page, "?")
    expect(page.locator("[data-drawer=keys]")).to_contain_text("grade the passage")
    press(page, "Escape")
    expect(page.locator("[data-drawer=keys]")).to_be_hidden()
    go_to(page, "d1")
    expect(page.locator(".desk-passage.current .desk-reason")).to_be_hidden()
    press(page, "3", "w", "Shift+Digit1", ".", "c", ".", "w", "Shift+Digit4")
    press(page, "v", "Shift+ArrowRight", "Shift+ArrowRight", "Enter")
    expect(page.locator(".desk-passage.current [data-chosen]")).to_have_text("“Salt lowers the”")
    press(page, "l")
    page.keyboard.type("Salt keeps water liquid.")
    press(page, "Escape", "o")
    go_to(page, "d2")
    press(page, "1", "c", "b", "o")
    go_to(page, "d3")
    press(page, "2", "0", "o", "Shift+ArrowUp", "t")
    press(page, "z", "z", "f", "/")
    page.keyboard.type("Read twice.")
    press(page, "Escape", "Enter")
    expect(page.locator("[data-progress]")).to_contain_text("1 of 2 judged")
    expect(page.locator(".desk-query")).to_contain_text("roads? 2")
    [judgement] = saved(judging, "keys", "ann")
    answers = judgement.answers
    assert answers.grades == {"d1": 3, "d2": 1, "d3": 0}
    assert answers.order == (("d1",), ("d2",), ("d3",))
    assert (answers.comment, answers.flagged) == ("Read twice.", True)
    reason = answers.find_reason("d1", SYSTEM)
    assert reason is not None and reason.whole.reasons == ("unsupported",)
    assert [step.verdict for step in reason.steps] == ["correct", "wrong"]
    assert reason.steps[1].reasons == ("misses_point",)
    assert [(span.start, span.end) for span in reason.spans] == [(0, 15)]
    assert reason.correction == "Salt keeps water liquid."
    other = answers.find_reason("d2", SYSTEM)
    assert other is not None and (other.whole.verdict, other.evidence) == ("correct", "none")
    # Skip the second, come back to it, undo on it, and look at the first again: all is shown now.
    press(page, "s")
    expect(page.locator("[data-notice]")).to_contain_text("Nothing is left")
    press(page, "g", "n", "1", "z", "[")
    expect(page.locator(".desk-query")).to_contain_text("roads? 1")
    expect(page.locator(".desk-reveal")).to_contain_text("mini, final")
    expect_state(page, "Saved as version 1")
    assert not visit.complaints
    page.context.close()


def find_line(page: Page, name: str) -> Locator:
    """A passage's line in the order, by its name on the desk."""
    named = page.locator("b", has_text=re.compile(f"^{name}$"))
    return page.locator("[data-order] > li").filter(has=named)


def drag(page: Page, name: str, onto: str, *, below: bool) -> None:
    """A line of the order, dragged with the mouse to above or below another one."""
    start, end = (find_line(page, place).bounding_box() for place in (name, onto))
    assert start and end
    x = start["x"] + 40
    page.mouse.move(x, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, (start["y"] + end["y"]) / 2, steps=4)
    page.mouse.move(x, end["y"] + end["height"] * (0.8 if below else 0.2), steps=4)
    page.mouse.up()


def expect_order(page: Page, *lines: str) -> None:
    shown = [re.compile(rf"^{re.escape(line.replace(' ', ''))}") for line in lines]
    expect(page.locator("[data-order] > li")).to_have_text(shown)


def test_the_order_is_dragged_tied_and_left_partial(
    browser: Browser, url: str, judging: Judging
) -> None:
    start_project(judging, "order")
    visit = visit_desk(browser, url, "ann", "order")
    page = visit.page
    page.locator("[data-order]").scroll_into_view_if_needed()
    press(page, "k", "k", "o", "j", "o", "j", "o")
    expect_order(page, "1. A", "2. B", "3. C")
    places = page.locator(".desk-passage").evaluate_all("cards => cards.map(c => +c.dataset.p)")
    item = judging.store.list_items("order")[0]
    a, b, c = (item.passages[place].doc_id for place in places)
    drag(page, "C", "A", below=False)
    expect_order(page, "1. C", "2. A", "3. B")
    drag(page, "C", "B", below=True)
    expect_order(page, "1. A", "2. B", "3. C")
    # Dropped where it was: nothing changes, and there is nothing more to undo.
    drag(page, "B", "B", below=False)
    expect_order(page, "1. A", "2. B", "3. C")
    press(page, "z")
    expect_order(page, "1. C", "2. A", "3. B")
    # The cursor is where the mouse was: B is tied by its key, and what is dragged past a tie keeps
    # it whole.
    find_line(page, "B").click(position={"x": 30, "y": 8})
    press(page, "t")
    expect_order(page, "1. C", "2. A", "= B")
    drag(page, "C", "B", below=True)
    expect_order(page, "1. A", "= B", "3. C")
    press(page, "Shift+Enter")
    expect_state(page, "Saved as version 1")
    # One out by its button, one out of the tie by dragging: the rest is a partial ranking.
    find_line(page, "B").get_by_label("Take out").click()
    expect_order(page, "1. A", "2. C")
    press(page, "Shift+Enter")
    expect_state(page, "Saved as version 2")
    orders = [judgement.answers.order for judgement in saved(judging, "order", "ann")]
    assert [[set(tier) for tier in order] for order in orders] == [[{a, b}, {c}], [{a}, {c}]]
    assert not visit.complaints
    page.context.close()


def test_two_annotators_and_an_adjudicator(
    browser: Browser, url: str, judging: Judging, tmp_path: Path
) -> None:
    start_project(judging, "together")
    ann = visit_desk(browser, url, "ann", "together")
    bob = visit_desk(browser, url, "bob", "together")
    for visit, grade, verdict in ((ann, "3", "c"), (bob, "1", "w")):
        go_to(visit.page, "d1")
        press(visit.page, grade, verdict, "Enter")
        expect(visit.page.locator("[data-progress]")).to_contain_text("1 of 1 judged")
        expect(visit.page.locator("#ann-mode")).to_be_hidden()
        visit.page.get_by_role("tab", name="Agreement").click()
        visit.page.locator("#ann-measure").click()
        expect(visit.page.locator("#ann-agreement")).to_contain_text("ask one of its owners")
        others = "bob" if visit is ann else "ann"
        assert others not in visit.page.locator("#ann-tabs").inner_text().split()
    ada = visit_desk(browser, url, "ada", "together")
    # Nobody gave ada the item: it went to two people, and she decides between them.
    page = ada.page
    page.get_by_label("Adjudicate").check()
    table = page.locator(".desk-others")
    expect(table).to_contain_text("ann")
    expect(table.locator(".differs")).to_have_count(2)
    go_to(page, "d1")
    press(page, "2", "c", "Shift+Enter")
    expect_state(page, "Saved as version 1")
    page.get_by_role("tab", name="Agreement").click()
    page.locator("#ann-measure").click()
    report = page.locator("#ann-agreement")
    expect(report).to_contain_text("1 items with a disagreement, 0 not decided yet")
    expect(report).to_contain_text("κ, ann – bob")
    page.get_by_role("tab", name="Export").click()
    page.get_by_label("TREC qrels").check()
    page.locator("#ann-export").click()
    link = page.locator("#ann-files a[href*='qrels.txt']").first
    with page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "qrels.txt")
    assert (tmp_path / "qrels.txt").read_text() == "q1 0 d1 2\n"
    page.locator("#ann-train-1").click()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    command = page.locator("#train-command")
    expect(command).to_contain_text("--data stage1.jsonl --format annotations")
    for visit in (ann, bob, ada):
        assert not visit.complaints
        visit.page.context.close()


def test_a_draft_survives_a_reload(browser: Browser, url: str, judging: Judging) -> None:
    start_project(judging, "drafts", items=2)
    visit = visit_desk(browser, url, "ann", "drafts")
    page = visit.page
    go_to(page, "d2")
    press(page, "2", "u", "/")
    page.keyboard.type("half a thou")
    page.reload()
    open_desk(page, "drafts")
    expect_state(page, "Draft restored")
    expect(page.locator("[data-field=comment]")).to_have_value("half a thou")
    assert saved(judging, "drafts", "ann") == []
    press(page, "Shift+Enter")
    expect_state(page, "Saved as version 1")
    page.reload()
    open_desk(page, "drafts")
    expect_state(page, "Saved as version 1")
    [judgement] = saved(judging, "drafts", "ann")
    assert judgement.answers.comment == "half a thou" and judgement.answers.grades == {"d2": 2}
    visit.page.context.close()


def test_a_lost_connection_is_told_and_made_good(
    browser: Browser, url: str, judging: Judging
) -> None:
    start_project(judging, "offline", items=2)
    visit = visit_desk(browser, url, "ann", "offline")
    page = visit.page
    go_to(page, "d3")
    press(page, "1")
    page.context.set_offline(True)
    press(page, "Enter")
    expect_state(page, "Not saved")
    expect(page.locator(".desk-query")).to_contain_text("roads? 1")
    assert saved(judging, "offline", "ann") == []
    page.context.set_offline(False)
    expect(page.locator(".desk-query")).to_contain_text("roads? 2")
    [judgement] = saved(judging, "offline", "ann")
    assert judgement.answers.grades == {"d3": 1} and not judgement.conflict
    page.context.close()


def test_two_tabs_on_one_item_keep_both(browser: Browser, url: str, judging: Judging) -> None:
    start_project(judging, "tabs")
    visit = visit_desk(browser, url, "ann", "tabs")
    first, second = visit.page, visit.page.context.new_page()
    second.goto(url)
    open_desk(second, "tabs")
    for page, grade in ((first, "3"), (second, "0")):
        page.bring_to_front()
        go_to(page, "d1")
        press(page, grade, "Shift+Enter")
        expect_state(page, "Saved as version")
    expect(second.locator("[data-notice]")).to_contain_text("Both are kept")
    kept = saved(judging, "tabs", "ann")
    assert [j.answers.grades["d1"] for j in kept] == [3, 0]
    assert [j.conflict for j in kept] == [False, True]
    first.context.close()


def test_hostile_text_stays_text(browser: Browser, url: str, judging: Judging) -> None:
    start_project(judging, "hostile", items=0, guidelines=f"{XSS} [x](javascript:alert(1))")
    eve = PEOPLE[-1]
    judging.store.set_role("hostile", eve, "owner")
    item = make_item(
        Query(query_id="q", text=XSS),
        [Passage(doc_id=XSS, text=XSS, title=XSS), Passage(doc_id="b", text=XSS * 2)],
        reasonings=[
            Reasoning(
                doc_id=XSS, system=XSS, text=XSS, evidence=(Evidence(start=0, end=9, text=XSS[:9]),)
            )
        ],
    )
    judging.store.add_items("hostile", [item])
    visit = visit_desk(browser, url, eve, "hostile")
    page = visit.page
    for _ in range(2):
        press(page, "1", "w", "o", "j")
    press(page, "h", "/")
    page.keyboard.type(XSS)
    press(page, "Escape", "Shift+Enter")
    expect_state(page, "Saved as version 1")
    page.get_by_role("tab", name="Project", exact=True).click()
    expect(page.locator("#ann-people")).to_contain_text("eve<img")
    assert page.locator("#annotate img, .desk img, .desk script, .desk a").count() == 0
    assert page.evaluate("window.hacked") is None
    [judgement] = saved(judging, "hostile", eve)
    assert judgement.answers.comment == XSS
    assert not visit.complaints
    page.context.close()


def test_a_project_is_made_on_the_page(browser: Browser, url: str, judging: Judging) -> None:
    start_project(judging, "before")
    visit = visit_desk(browser, url, "olga", "before")
    page = visit.page
    page.get_by_role("tab", name="Project", exact=True).click()
    page.get_by_role("button", name="A new project").click()
    page.locator("#ann-create").click()
    expect(page.locator("#ann-create-error .error")).to_contain_text(
        "expected name", ignore_case=True
    )
    page.locator("#ann-name textarea, #ann-name input").fill("made here")
    page.locator("#ann-scale textarea").fill("no\n2: yes")
    page.locator("#ann-create").click()
    expect(page.locator("#ann-create-error .error")).to_contain_text("from 0 upward")
    page.locator("#ann-scale textarea").fill("no\n1: rather\nyes")
    page.locator("#ann-reasons textarea").fill("long: too long")
    page.locator("#ann-create").click()
    expect(page.locator("#ann-create-error")).to_contain_text("Created made here")
    page.locator("#ann-source input").click()
    page.get_by_role("option", name="A corpus with queries").click()
    page.locator("#ann-depth input").fill("2")
    page.locator("#ann-add").click()
    expect(page.locator("#ann-items-error")).to_contain_text("Added")
    page.locator("#ann-person input, #ann-person textarea").fill("bob")
    page.locator("#ann-share-more").click()
    expect(page.locator("#ann-people-error .error")).to_contain_text("somebody with a role")
    page.locator("#ann-give").click()
    expect(page.locator("#ann-people")).to_contain_text("bob")
    told = page.locator("#ann-people-error")
    page.locator("#ann-share-more").click()
    expect(told).to_contain_text("10 items given to bob")
    page.locator("#ann-share-back").click()
    expect(told).to_contain_text("10 items taken back from bob")
    page.get_by_role("tab", name="Judge").click()
    expect(page.locator(".desk-passage")).to_have_count(2)
    grades = page.locator(".desk-passage").first.locator("[data-act=grade]")
    expect(grades).to_have_text([re.compile("no"), re.compile("rather"), re.compile("yes")])
    # What is saved becomes the gold answer by a key, and is no scale that can shrink any more.
    press(page, "2", "Shift+G")
    expect_state(page, "Save first")
    press(page, "Shift+Enter")
    expect_state(page, "Saved as version 1")
    press(page, "Shift+G")
    expect_state(page, "A gold item now")
    page.get_by_role("tab", name="Project", exact=True).click()
    page.locator("#ann-share-gold").click()
    expect(told).to_contain_text("1 gold item of 1 given to bob")
    page.locator("#ann-set-scale textarea").fill("no\nyes")
    page.locator("#ann-write").click()
    expect(page.locator("#ann-settings-error .error")).to_contain_text("people have judged")
    page.locator("#ann-set-scale textarea").fill("no\nhalf\nyes")
    page.locator("#ann-set-overlap input").fill("2")
    page.locator("#ann-write").click()
    expect(page.locator("#ann-settings-error")).to_contain_text("Settings saved")
    page.get_by_role("tab", name="Judge").click()
    expect(grades.nth(1)).to_contain_text("half")
    [made] = [v for v in judging.store.list_projects("olga") if v.project.name == "made here"]
    assert made.project.overlap == 2 and [r.name for r in made.project.reasons] == ["long"]
    assert len(judging.store.list_gold(made.project.project_id)) == 1
    page.set_viewport_size({"width": 390, "height": 800})
    expect(page.locator("[data-act=save]")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("[data-act=grade]").first.tap()
    expect(page.locator("[data-act=grade]").first).to_have_attribute("aria-pressed", "true")
    assert not visit.complaints
    page.context.close()


def test_a_ranking_becomes_an_item_by_one_click(
    browser: Browser, url: str, judging: Judging
) -> None:
    start_project(judging, "ranked")
    visit = visit_desk(browser, url, "olga", "ranked")
    page = visit.page
    page.get_by_role("tab", name="Rank", exact=True).click()
    drop(page, dump_trace(TRACE))
    expect(page.locator("#trace-file")).to_be_enabled()
    for _ in range(2):
        page.locator("#annotate-this").click()
        expect(page.locator(".desk-query")).to_have_text(TRACE.query.text)
        expect(page.locator(".desk-passage")).to_have_count(len(TRACE.hits))
        page.get_by_role("tab", name="Rank", exact=True).click()
    assert list(judging.store.list_queries("ranked").values())[1:] == [TRACE.query.text]
    # Somebody who only judges there adds nothing.
    judging.store.set_role("ranked", "ann", "owner")
    judging.store.set_role("ranked", "olga", "annotator")
    page.locator("#annotate-this").click()
    expect(page.locator("#annotate-this-error .error")).to_contain_text("ask one of its owners")
    assert not visit.complaints
    page.context.close()
