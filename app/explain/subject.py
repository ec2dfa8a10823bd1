"""Which ranking the Explain tab asks about: chosen, opened, ranked here, or in its agreed order.

Takes the Rank tab's events; every method serves one event of the page. A ranking that comes in
here joins the page's history, where the other tabs find it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.explain.html import render_subject
from app.facts import describe_timings, name_apart, shorten
from app.html import render_message
from app.messages import Message, count, explain_error
from app.rank.events import SKIP, Choices, RankEvents, find_key, make_job
from app.rank.ranking import stream_views
from app.rank.share_events import read_saved
from app.session import Sessions
from reranker.errors import DearError
from reranker.explain.analyses import hash_request
from reranker.explain.stability import Stability, StabilityRequest, adopt_agreement
from reranker.types import RankingTrace

NAME_CHARS = 70
NOT_SHUFFLED = (
    "Expected shuffled readings of this ranking, got none with these numbers. Press “Shuffle and "
    "read again” first."
)


class Subject(NamedTuple):
    """The parts that follow the chosen ranking."""

    ranking: Any = SKIP
    passage: Any = SKIP
    intro: Any = SKIP
    subject: Any = SKIP
    body: Any = SKIP


class SubjectEvents:
    """Library and sessions are those of the Rank tab."""

    def __init__(self, events: RankEvents) -> None:
        self.events, self.library, self.sessions = events, events.library, events.sessions

    def open(self, picked: str, number: int | None, request: gr.Request) -> Subject:
        """The tab was opened: the chosen ranking stays if it is there, else the latest comes; the
        passage selected on the Rank tab is the one asked about."""
        key = find_key(request)
        history = self.sessions.history(key)
        latest = history.entries[-1].number if history.entries else None
        newest_first = number is None or history.find(number) is None or bool(picked)
        return self._show_subject(key, latest if newest_first else number, picked)

    def choose(self, number: int | None, request: gr.Request) -> Subject:
        return self._show_subject(find_key(request), number, "")

    def open_file(self, path: str | None, request: gr.Request) -> tuple[Any, ...]:
        """A saved trace: the emptied control, its error, the subject."""
        if path is None:
            return SKIP, "", *Subject()
        key = find_key(request)
        try:
            trace = read_saved(Path(path))
        except DearError as error:
            return None, render_message(explain_error(error)), *Subject()
        self.sessions.keep_trace(key, trace, saved=True)
        return None, "", *self._show_subject(key, self._find_number(key, trace), "")

    def rank_here(self, query: str, request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        """A query ranked with the Rank tab's settings: what is told beside it, then the subject."""
        key = find_key(request)
        choices = Choices(*values)._replace(query=query)
        stopped = self.sessions.begin_analysis(key)
        try:
            source = self.events.find_source(choices.source, key)
            job = make_job(choices, source)
            for view in stream_views(self.library, job, stopped.is_set):
                if view.over:
                    self.sessions.keep_trace(key, view.trace)
                    number = self._find_number(key, view.trace)
                    told = render_message(view.message)
                    yield told, *self._show_subject(key, number, "")
                elif view.changed != "text":
                    yield render_message(view.message), *Subject()
        except DearError as error:
            yield render_message(explain_error(error)), *Subject()

    def adopt(
        self, number: int | None, shuffles: float, seeds: float, request: gr.Request
    ) -> tuple[Any, ...]:
        """The ranking in the order its shuffled readings agree on, as one of its own: what is told
        beside the button, then the subject. Computes nothing."""
        key = find_key(request)
        trace = find_trace(self.sessions, key, number)
        if trace is None:
            return "", *Subject()
        asked = hash_request(trace, ask_stability(trace, shuffles, seeds))
        found = self.sessions.results(key).find(asked)
        if not isinstance(found, Stability):
            return render_message(Message(text=NOT_SHUFFLED, tone="error")), *Subject()
        try:
            adopted = adopt_agreement(trace, found)
        except DearError as error:
            return render_message(explain_error(error)), *Subject()
        self.sessions.keep_trace(key, adopted)
        told = render_message(Message(text=describe_adoption(trace, adopted), tone="done"))
        return told, *self._show_subject(key, self._find_number(key, adopted), "")

    def _show_subject(self, key: str, number: int | None, picked: str) -> Subject:
        """The choosers and the line about the ranking; nothing to ask where there is none."""
        entries = tuple(reversed(self.sessions.history(key).entries))
        choices = [(entry.name, entry.number) for entry in entries]
        trace = find_trace(self.sessions, key, number)
        if trace is None:
            return Subject(gr.Dropdown(choices=choices, value=None))
        names = name_apart(trace)
        passages = [
            (f"{hit.rank}. {shorten(names[hit.passage.doc_id], NAME_CHARS)}", hit.passage.doc_id)
            for hit in trace.ranked_hits()
        ]
        ids = [doc_id for _, doc_id in passages]
        return Subject(
            ranking=gr.Dropdown(choices=choices, value=number),
            passage=gr.Dropdown(choices=passages, value=picked if picked in ids else ids[0]),
            intro="",
            subject=render_subject(trace),
            body=gr.Column(visible=True),
        )

    def _find_number(self, key: str, trace: RankingTrace) -> int | None:
        entries = self.sessions.history(key).entries
        return next((entry.number for entry in entries if entry.trace == trace), None)


def ask_stability(trace: RankingTrace, shuffles: float, seeds: float) -> StabilityRequest:
    """Shuffles by the ranking's own seed, so that it can be ranked in the agreed order again."""
    return StabilityRequest(shuffles=int(shuffles), seeds=int(seeds), seed=trace.settings.seed)


def describe_adoption(trace: RankingTrace, adopted: RankingTrace) -> str:
    """What became of the ranking, and what asking for this order from the start costs."""
    moved = sum(a != b for a, b in zip(trace.final_order, adopted.final_order, strict=True))
    return (
        f"Adopted as a ranking of its own, chosen above and in this page's rankings on the Rank "
        f"tab: {moved} of {count(len(adopted.final_order), 'place')} changed. Its order rests on "
        f"{1 + len(adopted.shuffled)} readings of the list ({describe_timings(adopted)} s); it is "
        "what ranking with the final order “agreed” gives."
    )


def find_trace(sessions: Sessions, key: str, number: int | None) -> RankingTrace | None:
    """A ranking of the page `key`; None where there is none, or it is empty."""
    entry = sessions.history(key).find(number)
    return entry.trace if entry is not None and entry.trace.hits else None
