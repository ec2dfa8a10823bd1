"""Runs and passages of one page: nothing crosses from one page to another, or from run to run."""

from __future__ import annotations

import pytest

from app.library import Source
from app.session import Sessions
from reranker.corpora import parse_pasted


def make_source(text: str, key: str) -> Source:
    return Source(key=key, corpus=parse_pasted(text), retriever=None)


def test_a_later_run_takes_the_page_from_an_earlier_one() -> None:
    sessions = Sessions()
    first = sessions.begin_run("page", ("soap",))
    ticket = sessions.start_run("page")
    assert ticket is not None and not ticket.is_cancelled()
    assert (ticket.run_id, ticket.asked) == (first, ("soap",))
    second = sessions.begin_run("page", ("tides",))
    assert ticket.replaced.is_set() and ticket.is_cancelled()
    later = sessions.start_run("page")
    assert later is not None and (later.run_id, later.asked) == (second, ("tides",))


def test_a_turn_asked_for_by_an_earlier_run_is_the_latest_one_s() -> None:
    sessions = Sessions()
    sessions.begin_run("page", ("soap",))
    latest = sessions.begin_run("page", ("tides",))
    ticket = sessions.start_run("page")
    assert ticket is not None and (ticket.run_id, ticket.asked) == (latest, ("tides",))
    assert sessions.start_run("page") is None, "the second turn finds nothing left to do"


def test_a_run_starts_once() -> None:
    sessions = Sessions()
    assert sessions.start_run("page") is None
    sessions.begin_run("page")
    assert sessions.start_run("page") is not None
    assert sessions.start_run("page") is None


def test_stop_reaches_only_the_page_it_was_pressed_on() -> None:
    sessions = Sessions()
    sessions.begin_run("here")
    sessions.begin_run("there")
    here, there = sessions.start_run("here"), sessions.start_run("there")
    assert here is not None and there is not None
    assert sessions.stop_run("here") is True
    assert here.stopped.is_set() and not here.replaced.is_set()
    assert not there.is_cancelled()


def test_a_run_stopped_while_it_waits_never_starts() -> None:
    sessions = Sessions()
    sessions.begin_run("page")
    assert sessions.stop_run("page") is False
    assert sessions.start_run("page") is None
    assert sessions.stop_run("a page without a run") is False


def test_a_pages_own_passages_are_its_own_and_the_latest_of_a_kind() -> None:
    sessions = Sessions()
    first, second = make_source("a b\nc d", "pasted:1"), make_source("e f\ng h", "pasted:2")
    upload = make_source("i j\nk l", "upload:1")
    for source in (first, upload, second):
        sessions.add_source("here", source)
    assert sessions.list_sources("here") == (upload, second)
    assert sessions.find_source("here", "pasted:2") is second
    assert sessions.find_source("there", "pasted:2") is None
    assert sessions.list_sources("there") == ()


def test_a_closed_page_leaves_nothing_behind() -> None:
    sessions = Sessions()
    sessions.begin_run("page")
    ticket = sessions.start_run("page")
    folder = sessions.folder("page")
    (folder / "trace.json").write_text("{}", encoding="utf-8")
    assert sessions.folder("page") == folder
    sessions.forget("page")
    assert ticket is not None and ticket.replaced.is_set()
    assert not folder.exists()
    assert sessions.find_source("page", "pasted:1") is None
    sessions.forget("page")


@pytest.mark.parametrize("key", ["here", "there"])
def test_folders_differ_by_page(key: str) -> None:
    sessions = Sessions()
    assert sessions.folder(key) != sessions.folder("another")
