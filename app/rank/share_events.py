"""What happens when a ranking is shown again, compared, or reopened by a link.

Takes the Rank tab's events, whose library, sessions and screen it uses; every method serves one
event of the page. Nothing here loads a student: what is shown was ranked before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app import messages
from app.html import render_message
from app.messages import Message, Tone, explain_error, join_sentences
from app.rank.advanced import make_stages
from app.rank.events import SKIP, Choices, RankEvents, Screen, find_key
from app.rank.history import MAX_BYTES
from app.rank.html_share import render_side_by_side
from app.rank.links import WORDS, Address, Refusal, find_address, read_link
from app.rank.offers import show_history
from app.rank.origin import describe_origin
from reranker.errors import InputError, TraceError
from reranker.evaluation.agreement import compare_orders
from reranker.trace import read_trace
from reranker.types import RankingTrace

MAX_FILE_BYTES = MAX_BYTES
MAX_HITS = 1_000
MAX_READINGS = 1_000
"""What a page can show of a trace; the command line takes larger ones."""


class Link(NamedTuple):
    """What a link may fill: the line that says so, an error's place beside each of two controls,
    and the controls."""

    status: Any = SKIP
    query_error: Any = SKIP
    corpus_error: Any = SKIP


class ShareEvents:
    """Events around rankings that exist already, for the page whose events are given."""

    def __init__(self, events: RankEvents) -> None:
        self.events = events
        self.library, self.sessions = events.library, events.sessions

    def show_file(self, path: str | None, request: gr.Request) -> tuple[Any, ...]:
        """A trace file as it was ranked: the emptied control, its error, the panel, the choices,
        the screen. What the page shows stays when the file cannot be used."""
        if path is None:
            return SKIP, "", SKIP, *_fill_nothing(), *Screen()
        try:
            trace = read_saved(Path(path))
        except TraceError as error:
            wrong = render_message(explain_error(error, kept="The page is as it was."))
            return None, wrong, gr.Accordion(open=True), *_fill_nothing(), *Screen()
        key = find_key(request)
        self.sessions.keep_trace(key, trace, saved=True)
        shown = self._show(trace, f"A saved trace, {Path(path).name}.", key)
        return None, "", gr.Accordion(open=False), *shown

    def show_again(self, number: int | None, request: gr.Request) -> tuple[Any, ...]:
        """A ranking of this page's history: an error by the chooser, the choices, the screen."""
        key = find_key(request)
        entry = self.sessions.history(key).find(number)
        if entry is None:
            return _tell(messages.NOT_KEPT), *_fill_nothing(), *Screen()
        return "", *self._show(entry.trace, "Shown again from this page.", key)

    def list_newer(
        self, first: int | None, second: int | None, request: gr.Request
    ) -> tuple[Any, Any]:
        """Both choosers, where another tab has made a ranking since they were filled; else what is
        chosen stays."""
        history = self.sessions.history(find_key(request))
        latest = history.entries[-1].number if history.entries else 0
        return show_history(history) if latest > max(first or 0, second or 0) else (SKIP, SKIP)

    def compare(self, first: int | None, second: int | None, request: gr.Request) -> Any:
        """Two rankings of this page's history side by side, or why that cannot be."""
        history = self.sessions.history(find_key(request))
        one, other = history.find(first), history.find(second)
        if one is None or other is None:
            return _tell(messages.NOT_KEPT)
        if one is other:
            return _tell(messages.SAME_TWICE)
        orders = [[h.passage for h in entry.trace.ranked_hits()] for entry in (one, other)]
        try:
            agreement = compare_orders(*orders)
        except InputError as error:
            return render_message(explain_error(error))
        return render_side_by_side(one, other, agreement)

    def clear(self, request: gr.Request) -> tuple[Any, ...]:
        """Forgets this page's rankings: both choosers, the error, the comparison."""
        key = find_key(request)
        self.sessions.clear_history(key)
        return *show_history(self.sessions.history(key)), _tell(messages.CLEARED, "done"), ""

    def follow_link(self, request: gr.Request) -> tuple[Any, ...]:
        """Fills the controls from the page's address, and says so; nothing runs."""
        address, refusals = read_link(dict(request.query_params), self.library)
        if address is None:
            return *Link(), *_fill_nothing()
        return *explain_link(refusals), *self._fill(address)

    def _show(self, trace: RankingTrace, origin: str, key: str) -> tuple[Any, ...]:
        run_id = self.sessions.end_run(key)
        text = join_sentences(origin, describe_origin(trace), messages.NOTHING_COMPUTED)
        screen = self.events.show_trace(trace, Message(text=text), key, run_id)
        try:
            choices = self._fill(find_address(trace, self.library))
        except InputError:  # another corpus or student: only the query can be asked here
            choices = _fill_nothing()._replace(query=trace.query.text)
        return *choices, *screen

    def _fill(self, address: Address) -> Choices:
        profile = self.library.list_profiles()[address.student]
        return Choices(
            source=address.corpus,
            query=address.q or SKIP,
            student=address.student,
            quantization=address.quantization,
            stages=make_stages(profile, address.stages, update=True),
            mode=address.mode,
            final=address.final,
            depth=address.depth,
            window=address.window,
            grounding=address.grounding,
        )


def _tell(text: str, tone: Tone = "error") -> str:
    return render_message(Message(text=text, tone=tone))


def _fill_nothing() -> Choices:
    return Choices(*[SKIP] * len(Choices._fields))


def read_saved(path: Path) -> RankingTrace:
    """A trace file that a page can show. Raises TraceError."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise TraceError(
            f"{path.name}: expected at most {MAX_FILE_BYTES // 2**20} MB, got "
            f"{size / 2**20:.0f} MB; replay it on the command line"
        )
    trace = read_trace(path.read_bytes(), path.name)
    for what, given, limit in (
        ("candidates", len(trace.hits), MAX_HITS),
        ("windows", len(trace.readings), MAX_READINGS),
    ):
        if given > limit:
            raise TraceError(
                f"{path.name}: expected at most {limit:,} {what}, got {given:,}; replay it on the "
                "command line"
            )
    if not trace.hits:
        raise TraceError(f"{path.name}: expected a ranking of passages, got none; rank again")
    return trace


def explain_link(refusals: tuple[Refusal, ...]) -> Link:
    """What a link did, with every refused value beside the control it concerns."""
    shown = {"q": "query_error", "corpus": "corpus_error"}
    link, rest = Link(), []
    for refusal in refusals:
        text = f"This link's {WORDS[refusal.name]}: {refusal.why}; the page keeps its own."
        if refusal.name in shown:
            error = render_message(Message(text=text, tone="error"))
            link = link._replace(**{shown[refusal.name]: error})
        else:
            rest.append(render_message(Message(text=text, tone="error")))
    told = Message(text=messages.LINK_PARTLY if refusals else messages.LINK_FILLED)
    return link._replace(status="".join([render_message(told), *rest]))
