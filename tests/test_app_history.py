"""A page's history: bounded, numbered once, and about one page only."""

from __future__ import annotations

from dataclasses import replace

import app.rank.history
from app.rank.history import MAX_ENTRIES, History
from app.session import Sessions
from reranker.types import Query, RankingTrace
from tests.test_trace import TRACE


def make_trace(query: str) -> RankingTrace:
    return replace(TRACE, query=Query(query_id="q", text=query))


def test_the_latest_stay_and_numbers_are_given_once() -> None:
    history = History()
    for n in range(1, MAX_ENTRIES + 4):
        history = history.add(make_trace(f"query {n}"))
    assert [entry.number for entry in history.entries] == list(range(4, MAX_ENTRIES + 4))
    assert history.find(3) is None and history.find(None) is None
    entry = history.find(4)
    assert entry is not None and entry.trace.query.text == "query 4"
    cleared = history.clear()
    assert cleared.entries == ()
    assert cleared.add(TRACE).entries[0].number == MAX_ENTRIES + 4


def test_a_ranking_is_kept_once() -> None:
    once = History().add(TRACE)
    assert once.add(replace(TRACE)) is once


def test_bytes_are_bounded_and_what_is_larger_than_all_is_not_kept(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    size = History().add(TRACE).entries[0].size
    monkeypatch.setattr(app.rank.history, "MAX_BYTES", 2 * size + 100)
    history = History()
    for query in ("one", "two", "three"):
        history = history.add(make_trace(query))
    assert [entry.trace.query.text for entry in history.entries] == ["two", "three"]
    monkeypatch.setattr(app.rank.history, "MAX_BYTES", size // 2)
    assert history.add(make_trace("four")) is history


def test_a_name_tells_rankings_apart() -> None:
    name = History().add(TRACE, saved=True).entries[0].name
    assert name.startswith("1. why do tides")
    assert "saved trace" in name and "mini nf4" in name and "depth 3" in name
    stopped = History().add(replace(TRACE, complete=False)).entries[0]
    assert stopped.name.endswith("not finished")
    assert len(History().add(make_trace("x" * 5000)).entries[0].name) < 200


def test_a_page_sees_its_own_rankings_and_loses_them_when_it_is_closed() -> None:
    sessions = Sessions()
    sessions.keep_trace("here", TRACE)
    assert [e.trace for e in sessions.history("here").entries] == [TRACE]
    assert sessions.history("there").entries == ()
    sessions.clear_history("there")
    assert sessions.history("here").entries
    sessions.forget("here")
    assert sessions.history("here").entries == ()


def test_a_page_that_shows_an_earlier_ranking_takes_no_more_from_its_run() -> None:
    sessions = Sessions()
    sessions.begin_run("page")
    ticket = sessions.start_run("page")
    assert ticket is not None
    sessions.end_run("page")
    assert ticket.replaced.is_set()
    assert sessions.stop_run("page") is False
    sessions.end_run("a page without a run")
