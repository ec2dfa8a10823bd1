"""Where a comparison of the Compare tab begins: files and choices in, screens out.

Takes the library and the sessions; every method serves one event of the page. A comparison belongs
to one open page. What happens inside one is app/compare_walk.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare_example import ExampleProgress, stream_example
from app.compare_screen import CompareScreen, CompareScreens
from app.compare_sources import gather_traces, read_files
from app.compare_walk import KEPT
from app.html import render_message
from app.messages import Message, explain_error
from app.rank_events import RankEvents, find_key
from reranker.errors import CancelledError, DearError

STOPPING = "Stopping after this query…"


class CompareEvents:
    """The tab's events; library and sessions are those of the Rank tab."""

    def __init__(self, events: RankEvents) -> None:
        self.library, self.sessions = events.library, events.sessions
        self.screens = CompareScreens(events.sessions)

    def compare_files(
        self,
        runs: Sequence[str] | None,
        qrels: str | None,
        texts: str | None,
        measures: str,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """The files' error, then screens: what was read, and then the comparison."""
        try:
            yield _tell("Reading…"), *CompareScreen()
            material = read_files(
                [Path(path) for path in runs or ()],
                Path(qrels) if qrels else None,
                Path(texts) if texts else None,
            )
            for screen in self.screens.begin(material, measures, find_key(request)):
                yield "", *screen
        except DearError as error:
            yield self._fail(error, request), *CompareScreen()

    def compare_history(
        self, numbers: Sequence[int] | None, measures: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """The same with rankings of this page: the chooser's error, then screens."""
        key = find_key(request)
        history = self.sessions.history(key)
        chosen = [entry for number in numbers or () if (entry := history.find(number))]
        try:
            material = gather_traces([entry.trace for entry in chosen])
            for screen in self.screens.begin(material, measures, key):
                yield "", *screen
        except DearError as error:
            yield self._fail(error, request), *CompareScreen()

    def compare_example(self, measures: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """The example's status and stop button, then screens."""
        key = find_key(request)
        stopped = self.sessions.begin_example(key)
        try:
            for step in stream_example(self.library, stopped.is_set):
                if isinstance(step, ExampleProgress):
                    text = f"Stage 1: {step.done} of {step.total} queries ranked…"
                    yield _tell(text), gr.Button(interactive=True), *CompareScreen()
                    continue
                for screen in self.screens.begin(step, measures, key):
                    yield _tell(""), gr.Button(interactive=False), *screen
        except CancelledError:
            told = render_message(Message(text=f"Stopped. {self._kept(key)}", tone="stopped"))
            yield told, gr.Button(interactive=False), *CompareScreen()
        except DearError as error:
            yield self._fail(error, request), gr.Button(interactive=False), *CompareScreen()

    def stop_example(self, request: gr.Request) -> str:
        """Asks the example to end; it says so itself when it has."""
        self.sessions.stop_example(find_key(request))
        return _tell(STOPPING)

    def list_history(self, request: gr.Request) -> Any:
        """This page's rankings as choices, the latest first, all of them chosen."""
        entries = tuple(reversed(self.sessions.history(find_key(request)).entries))
        choices = [(entry.name, entry.number) for entry in entries]
        return gr.Dropdown(choices=choices, value=[number for _, number in choices])

    def _fail(self, error: DearError, request: gr.Request) -> str:
        return render_message(explain_error(error, kept=self._kept(find_key(request))))

    def _kept(self, key: str) -> str:
        return KEPT if self.sessions.comparison(key) is not None else ""


def _tell(text: str) -> str:
    return render_message(Message(text=text, tone="busy")) if text else ""
