"""The Annotate tab without a browser: who is who, what leaves the server, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.annotate.desk import Desk
from app.annotate.form import apply_form, write_form
from app.annotate.html import ItemView, render_item
from app.annotate.html_agreement import render_agreement
from app.annotate.html_parts import KEYS, describe_seconds, name_place, render_desk, render_keys
from app.annotate.wire import read_wire, write_wire
from app.people import ALONE, find_person, is_annotation_on
from reranker.annotation.answers import PartAnswer, Span
from reranker.annotation.project import Project
from reranker.annotation.report import report_agreement
from reranker.errors import InputError
from tests.annotation_cases import SYSTEM, judge_reason, make_answers, make_case, open_judging, save

XSS = "<img src=x onerror=alert(1)>'\""
EMPTY: dict[str, Any] = {
    "grades": {},
    "reasons": {},
    "order": [],
    "comment": "",
    "flagged": False,
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    judging, _ = open_judging(tmp_path, items=2)
    for person, role in (("ann", "annotator"), ("ada", "adjudicator")):
        judging.store.set_role("salt", person, role)  # type: ignore[arg-type]
    return Desk(str(judging.store.engine.url))


def ask(person: str) -> Any:
    return SimpleNamespace(username=person)


def send(opened: Any, **changes: Any) -> dict[str, Any]:
    letter = {"project": "salt", "item": opened["item"], "answers": EMPTY, "version": 0,
              "save_key": "k", "seconds": 3, "status": "done", "mode": "judge"}  # fmt: skip
    return letter | changes


def test_answers_go_and_come_back_by_place() -> None:
    item = make_case()
    answers = make_answers(
        {"d1": 3, "d3": 0},
        reasons=(
            judge_reason(
                "d1",
                "wrong",
                steps=(
                    PartAnswer(verdict="correct"),
                    PartAnswer(verdict="wrong", reasons=("unsafe",)),
                ),
                evidence="selected",
                spans=(Span(start=0, end=4),),
                correction="So.",
            ),
        ),
        order=(("d1", "d2"), ("d3",)),
        comment="x",
        flagged=True,
    )
    wire = json.loads(json.dumps(write_wire(item, item.reasonings, answers)))
    assert read_wire(item, item.reasonings, wire) == answers
    assert "d1" not in json.dumps(wire) and SYSTEM not in json.dumps(wire)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        {},
        EMPTY | {"grades": {"9": 1}},
        EMPTY | {"grades": {"-1": 1}},
        EMPTY | {"grades": {"0": "high"}},
        EMPTY | {"reasons": {"0": {}}},
        EMPTY | {"order": [[7]]},
        EMPTY | {"comment": 3},
    ],
)
def test_what_is_no_answer_is_refused(sent: Any) -> None:
    item = make_case()
    with pytest.raises(InputError, match="expected answers"):
        read_wire(item, item.reasonings, sent)


def test_half_characters_are_made_whole() -> None:
    item = make_case()
    assert read_wire(item, (), EMPTY | {"comment": "a\ud83d"}).comment == "a?"


def test_a_project_survives_its_form() -> None:
    project = Project(project_id="p", name="P", systems=("a", "b"), overlap=3, blind=False)
    assert apply_form(project, write_form(project)) == project
    blank = Project(project_id="p", name="new")
    form = write_form(blank)._replace(
        name=" Roads ", scale="no\n\n 1: yes\nvery: much", reasons="too long\nx: not: it\nكذب",
        questions=["order", "grade"], systems=["mini"],
    )  # fmt: skip
    made = apply_form(blank, form)
    assert (made.name, made.questions, made.systems) == ("Roads", ("grade", "order"), ("mini",))
    assert [(g.value, g.label) for g in made.scale] == [(0, "no"), (1, "yes"), (2, "very: much")]
    names = [(r.name, r.label) for r in made.reasons]
    assert names == [("too_long", "too long"), ("x", "not: it"), ("كذب", "كذب")]
    assert apply_form(made, write_form(made)) == made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": "only"}, "a scale of 2"),
        ({"scale": "1: no\n2: yes"}, "counted from 0"),
        ({"scale": "a\n" * 60}, "at most 50 lines"),
        ({"reasons": "a: x\na: y"}, "each once"),
        ({"reasons": "a:"}, "expected a label"),
        ({"questions": []}, "at least one question"),
        ({"overlap": None}, "an overlap from 1"),
        ({"name": ""}, "expected name"),
    ],
)
def test_a_form_that_cannot_work_is_refused(changes: dict[str, Any], words: str) -> None:
    project = Project(project_id="p", name="P")
    with pytest.raises(InputError, match=words):
        apply_form(project, write_form(project)._replace(**changes))


def test_owners_make_gold_of_what_they_saved(desk: Desk) -> None:
    opened = desk.open_item({"project": "salt", "go": "next"}, ask("olga"))
    letter = {"project": "salt", "item": opened["item"], "gold": True}
    assert 'data-act="gold" aria-pressed="false"' in opened["html"]
    assert "save it first" in desk.mark_gold(letter, ask("olga"))["error"]
    desk.save(send(opened, answers=EMPTY | {"grades": {"0": 2}}), ask("olga"))
    assert "one of its owners" in desk.mark_gold(letter, ask("ada"))["error"]
    assert desk.mark_gold(letter, ask("olga")) == {"gold": True}
    item = desk.judging.store.get_item("salt", opened["item"])
    assert item.gold is not None and list(item.gold.grades.values()) == [2]
    assert item.gold_by == "olga"
    for person, shown in (("olga", True), ("ann", False)):
        again = desk.open_item({"project": "salt", "go": "next"}, ask(person))
        assert ('data-act="gold"' in again["html"]) is shown
    assert desk.mark_gold(letter | {"gold": False}, ask("olga")) == {"gold": False}
    assert desk.judging.store.list_gold("salt") == ()


def test_a_blind_judge_is_told_nothing_before(desk: Desk) -> None:
    opened = desk.open_item({"project": "salt", "go": "next"}, ask("ann"))
    for secret in ("BM25", "mini", "3.00", ">d1<", '"d1"'):
        assert secret not in opened["html"]
    assert opened["answers"] == EMPTY and opened["version"] == 0
    assert 'aria-pressed="true"' not in opened["html"]
    told = desk.save(send(opened, answers=EMPTY | {"comment": "seen"}), ask("ann"))
    assert (told["version"], told["conflict"]) == (1, False)
    again = desk.open_item({"project": "salt", "go": "here", "item": opened["item"]}, ask("ann"))
    assert "BM25" in again["html"] and "mini, final" in again["html"] and "3.00" in again["html"]


def test_people_see_passages_in_different_orders() -> None:
    project = Project(project_id="p", name="P")
    orders = set()
    for n in range(20):
        view = ItemView(
            project=project, item=make_case(), person=f"p{n}", kind="annotation", reveal=False
        )
        html = render_item(view)
        orders.add(tuple(sorted("012", key=lambda p: html.index(f'data-p="{p}"'))))
    assert len(orders) > 3


def test_the_desk_refuses_in_words(desk: Desk) -> None:
    assert "ask one of its owners" in desk.open_item({"project": "salt"}, ask("eve"))["error"]
    told = desk.open_item({"project": "salt", "mode": "adjudicate"}, ask("ann"))
    assert "adjudicator or owner" in told["error"]
    opened = desk.open_item({"project": "salt", "go": "next"}, ask("ann"))
    for change in (
        {"item": "nothing"},
        {"version": "x"},
        {"seconds": None},
        {"answers": 3},
        {"save_key": ""},
        {"project": 7},
        {"mode": "adjudicate"},
        {"answers": EMPTY | {"grades": {"0": 8}}},
    ):
        assert "error" in desk.save(send(opened, **change), ask("ann")), change
    assert "given to you" in desk.save(send(opened), ask("olga"))["error"]
    assert desk.judging.history("salt") == ()


def test_a_request_without_a_name_gets_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEAR_USER_HEADER", "X-User")
    request = SimpleNamespace(username="ann", headers={"X-User": " ann "})
    assert find_person(request) == "ann"
    nobody = SimpleNamespace(username="ann", headers={})
    assert "log in" in desk.open_item({"project": "salt"}, nobody)["error"]


def test_who_is_who(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAR_USER_HEADER", raising=False)
    app = SimpleNamespace(auth=None, tokens={}, cookie_id="c")
    assert find_person(SimpleNamespace(app=app, cookies={})) == ALONE
    app = SimpleNamespace(auth=object(), tokens={"t": "ann"}, cookie_id="c")
    assert find_person(SimpleNamespace(app=app, cookies={})) == ""
    assert find_person(SimpleNamespace(app=app, cookies={"access-token-c": "t"})) == "ann"
    assert find_person(SimpleNamespace(app=app, cookies={"access-token-unsecure-c": "t"})) == "ann"


def test_a_space_without_logins_keeps_no_judgements(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPACE_ID", "DEAR_USER_HEADER", "DEAR_ANNOTATION"):
        monkeypatch.delenv(name, raising=False)
    assert is_annotation_on()
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert not is_annotation_on() and is_annotation_on(logins=True)
    monkeypatch.setenv("DEAR_USER_HEADER", "X-User")
    assert is_annotation_on()
    monkeypatch.setenv("DEAR_ANNOTATION", "off")
    assert not is_annotation_on(logins=True)


def test_guidelines_load_and_run_nothing() -> None:
    text = f"# Grade\n\n{XSS} ![p](http://evil/x.png) [a](javascript:alert(1)) **bold**"
    html = render_desk(Project(project_id="p", name=XSS, guidelines=text), XSS, "judge")
    assert "<img" not in html and "javascript:" not in html.replace("(javascript:", "")
    assert "<strong>bold</strong>" in html and "<h1>Grade</h1>" in html


def test_reports_escape_names(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    item = make_case()
    for person, grade in ((XSS, 3), ("bob", 0)):
        save(judging, person, item.item_id, make_answers({"d1": grade}))
    report = report_agreement(judging.store.list_items(project_id), judging.history(project_id))
    html = render_agreement(report)
    assert "<img" not in html and "&lt;img" in html


def test_names_times_and_keys() -> None:
    assert [name_place(n) for n in (0, 25, 26, 701)] == ["A", "Z", "AA", "ZZ"]
    assert [describe_seconds(s) for s in (45, 600, 7200)] == ["45 s", "10 min", "2.0 h"]
    assert render_keys().count("<dt>") == len(KEYS)
