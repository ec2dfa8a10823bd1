"""What happens on the Explain tab: values of controls in, what to show instead out.

Takes the Rank tab's events, whose library and sessions it uses; every method serves one event of
the page. Knows which parts the screen has, not where they stand. Rankings are those of the page's
history, so that one is the same object on every tab.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr

from app.explain.analysing import Analyser
from app.explain.exports import write_result
from app.explain.figures import draw_heat, draw_intervals, draw_places
from app.explain.html import (
    describe_seconds,
    render_attribution,
    render_cost,
    render_counterfactual,
    render_flip,
)
from app.explain.html_trust import render_faithfulness, render_red_team, render_stability
from app.explain.subject import ask_stability, find_trace
from app.html import render_message
from app.messages import Message, explain_error
from app.plots import make_plot
from app.rank.events import SKIP, RankEvents, find_key
from reranker.errors import CancelledError, DearError, InputError
from reranker.explain.analyses import Request, Result, estimate_request, hash_request
from reranker.explain.attribution import Attribution, AttributionRequest, find_passage
from reranker.explain.counterfactual import Counterfactual, EditRequest
from reranker.explain.edits import Edit
from reranker.explain.faithfulness import FaithfulnessReport, FaithfulnessRequest
from reranker.explain.flip import Flip, FlipRequest
from reranker.explain.progress import AnalysisProgress
from reranker.explain.red_team import RedTeam, RedTeamRequest
from reranker.explain.stability import Stability
from reranker.types import RankingTrace

UPDATE_SECONDS = 0.3
NO_RANKING = "Choose a ranking first: rank something on the Rank tab, or below."
KEPT_RESULT = "Kept from before: the same ranking and settings were analysed on this page already."
NAME_CHARS = 70


class ExplainScreen(NamedTuple):
    """The parts an analysis may change: once the components themselves, then what they get."""

    status: Any = SKIP
    stop: Any = SKIP
    json_file: Any = SKIP
    csv_file: Any = SKIP
    words: Any = SKIP
    heat: Any = SKIP
    change: Any = SKIP
    stability: Any = SKIP
    intervals: Any = SKIP
    places: Any = SKIP
    faithfulness: Any = SKIP
    attacks: Any = SKIP


class ExplainEvents:
    """The tab's events; library and sessions are those of the Rank tab."""

    def __init__(self, events: RankEvents) -> None:
        self.sessions = events.sessions
        self.analyser = Analyser(events.library)

    def stop(self, request: gr.Request) -> None:
        """Asks the analysis to end; it says so itself when it has. A word from here could arrive
        after that and would then be wrong."""
        self.sessions.stop_analysis(find_key(request))

    def estimate(
        self,
        number: int | None,
        doc_id: str | None,
        shuffles: float,
        seeds: float,
        reread: float,
        attacks: Sequence[str],
        defences: Sequence[str],
        both: bool,
        request: gr.Request,
    ) -> tuple[str, ...]:
        """What each analysis would take: words, change, flip, stability, faithfulness, attacks."""
        trace = find_trace(self.sessions, find_key(request), number)
        if trace is None or not doc_id:
            return ("",) * 6
        asked: list[Request] = [
            AttributionRequest(doc_id=doc_id),
            EditRequest(),
            FlipRequest(),
            ask_stability(trace, shuffles, seeds),
            FaithfulnessRequest(reread=int(reread)),
            _ask_attacks(doc_id, attacks, defences, both),
        ]
        try:
            return tuple(render_cost(estimate_request(trace, one)) for one in asked)
        except InputError:  # a passage of the ranking before, whose list is just being replaced
            return ("",) * 6

    def explain_words(
        self, number: int | None, doc_id: str | None, request: gr.Request
    ) -> Iterator[ExplainScreen]:
        yield from self._run(number, lambda trace: AttributionRequest(doc_id=doc_id or ""), request)

    def try_change(
        self,
        number: int | None,
        doc_id: str | None,
        query: str,
        text: str,
        added: bool,
        request: gr.Request,
    ) -> Iterator[ExplainScreen]:
        def ask(trace: RankingTrace) -> Request:
            edits: tuple[Edit, ...] = ()
            passage = find_passage(trace, doc_id or "")
            if added:
                edits = (Edit(doc_id=_name_new(trace), text=text, label="a passage of your own"),)
            elif text.strip() != passage.text.strip():
                edits = (Edit(doc_id=passage.doc_id, text=text, label="as edited"),)
            return EditRequest(edits=edits, query=query if query.strip() else "")

        yield from self._run(number, ask, request)

    def find_flip(
        self, number: int | None, stage: Any, budget: float, request: gr.Request
    ) -> Iterator[ExplainScreen]:
        asked = FlipRequest(stage=stage, max_scorings=int(budget))
        yield from self._run(number, lambda trace: asked, request)

    def measure_stability(
        self, number: int | None, shuffles: float, seeds: float, request: gr.Request
    ) -> Iterator[ExplainScreen]:
        yield from self._run(number, lambda trace: ask_stability(trace, shuffles, seeds), request)

    def check_faithfulness(
        self, number: int | None, reread: float, request: gr.Request
    ) -> Iterator[ExplainScreen]:
        asked = FaithfulnessRequest(reread=int(reread))
        yield from self._run(number, lambda trace: asked, request)

    def try_attacks(
        self,
        number: int | None,
        doc_id: str | None,
        attacks: Sequence[str],
        defences: Sequence[str],
        both: bool,
        request: gr.Request,
    ) -> Iterator[ExplainScreen]:
        asked = _ask_attacks(doc_id or "", attacks, defences, both)
        yield from self._run(number, lambda trace: asked, request)

    def _run(
        self, number: int | None, ask: Callable[[RankingTrace], Request], request: gr.Request
    ) -> Iterator[ExplainScreen]:
        """One analysis: what it costs, how far it is, then what it found."""
        key = find_key(request)
        trace = find_trace(self.sessions, key, number)
        if trace is None:
            yield _tell(NO_RANKING, "error")
            return
        stopped = self.sessions.begin_analysis(key)
        try:
            asked = ask(trace)
            kept = self.sessions.results(key).find(hash_request(trace, asked))
            if kept is not None:
                yield self._show(kept, trace, KEPT_RESULT, key)
                return
            seconds = describe_seconds(estimate_request(trace, asked).seconds)
            yield _tell(f"Working: about {seconds}…", "busy", stop=True)
            yield from self._follow(trace, asked, stopped.is_set, key)
        except CancelledError:
            yield _tell("Stopped. What stood here stays.", "stopped")
        except DearError as error:
            yield ExplainScreen(render_message(explain_error(error)), gr.Button(interactive=False))

    def _follow(
        self, trace: RankingTrace, asked: Request, cancelled: Callable[[], bool], key: str
    ) -> Iterator[ExplainScreen]:
        started = shown = time.monotonic()
        for step in self.analyser.stream(trace, asked, cancelled):
            if isinstance(step, AnalysisProgress):
                if time.monotonic() - shown >= UPDATE_SECONDS:
                    shown = time.monotonic()
                    told = f"{step.done} of about {step.total} steps: {step.message}…"
                    yield _tell(told, "busy", stop=True)
                continue
            self.sessions.results(key).keep(hash_request(trace, asked), step)
            yield self._show(step, trace, f"Done in {time.monotonic() - started:.1f} s.", key)

    def _show(self, found: Result, trace: RankingTrace, told: str, key: str) -> ExplainScreen:
        json_file, csv_file = write_result(found, trace, self.sessions.folder(key))
        screen = _tell(told, "done")._replace(
            json_file=gr.DownloadButton(value=json_file, interactive=True),
            csv_file=gr.DownloadButton(value=csv_file, interactive=True),
        )
        if isinstance(found, Attribution):
            return screen._replace(
                words=render_attribution(found),
                heat=make_plot(draw_heat(found.heat)) if found.heat else None,
            )
        if isinstance(found, Counterfactual):
            return screen._replace(change=render_counterfactual(found))
        if isinstance(found, Flip):
            return screen._replace(change=render_flip(found))
        if isinstance(found, Stability):
            return screen._replace(
                stability=render_stability(found),
                intervals=make_plot(draw_intervals(trace, found)),
                places=make_plot(draw_places(found)),
            )
        if isinstance(found, FaithfulnessReport):
            return screen._replace(faithfulness=render_faithfulness(found))
        assert isinstance(found, RedTeam)  # the last of Result
        return screen._replace(attacks=render_red_team(found))

    def find_trace(self, number: int | None, request: gr.Request) -> RankingTrace | None:
        """The chosen ranking of this page."""
        return find_trace(self.sessions, find_key(request), number)


def _ask_attacks(
    doc_id: str, attacks: Sequence[str], defences: Sequence[str], both: bool
) -> RedTeamRequest:
    return RedTeamRequest(
        doc_id=doc_id, attacks=tuple(attacks), defences=tuple(defences or ("served",)), stage2=both
    )


def _name_new(trace: RankingTrace) -> str:
    """A doc_id that no candidate has."""
    taken = set(trace.bm25_order)
    return next(name for n in range(1, len(taken) + 2) if (name := f"own-{n}") not in taken)


def _tell(text: str, tone: Any, *, stop: bool = False) -> ExplainScreen:
    return ExplainScreen(
        status=render_message(Message(text=text, tone=tone)), stop=gr.Button(interactive=stop)
    )
