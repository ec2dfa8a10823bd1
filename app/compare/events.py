"""Where a comparison of the Compare tab begins: files and choices in, screens out.

Takes the library and the sessions; every method serves one event of the page. A comparison belongs
to one open page. What happens inside one is app/compare/walk.py's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.compare.experiments import (
    gather_experiments,
    is_keeping_on,
    keep_on_server,
    write_experiment,
)
from app.compare.screen import SKIP, CompareScreen, CompareScreens
from app.compare.sources import gather_traces, read_files, tell_apart
from app.compare.systems import make_plan, open_collection, read_collection, stream_evaluation
from app.compare.walk import KEPT
from app.html import render_message
from app.messages import Message, explain_error
from app.rank.events import RankEvents, find_key
from reranker.errors import CancelledError, DearError, InputError
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_archive import list_experiments, open_named
from reranker.progress import Cancelled
from reranker.systems.running import SystemProgress

OWN_FILE = "own file"
PROGRESS_SECONDS = 0.3
"""Between two words on how far an evaluation is: BM25 would tell hundreds in a second."""
WAITING = "Waiting for a turn: one evaluation runs at a time."


class EvaluateControls(NamedTuple):
    """What runs now, in the order `CompareEvents.evaluate` takes it."""

    source: Any
    file: Any
    qrels: Any
    student: Any
    systems: Any
    depth: Any
    stage2_depth: Any
    limit: Any
    keep: Any
    measures: Any


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

    def compare_experiments(
        self, names: Sequence[str] | None, measures: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """The same with experiments saved on this server: the chooser's error, then screens."""
        try:
            yield _tell("Reading…"), *CompareScreen()
            opened = [open_named(name) for name in names or ()]
            material = gather_experiments(opened)
            material = replace(material, runs=tell_apart(material.runs))
            for screen in self.screens.begin(material, measures, find_key(request)):
                yield "", *screen
        except DearError as error:
            yield self._fail(error, request), *CompareScreen()

    def begin_evaluation(self, request: gr.Request) -> tuple[Any, Any, Any]:
        """Before its turn has come: the status, the run button and the stop button."""
        self.sessions.begin_evaluation(find_key(request))
        return _tell(WAITING), gr.Button(interactive=False), gr.Button(interactive=True)

    def evaluate(self, request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Runs systems and compares them. values: those of `EvaluateControls`.

        The status, both buttons and the experiment's file come before the screens.
        """
        key = find_key(request)
        stopped = self.sessions.evaluation(key) or self.sessions.begin_evaluation(key)
        over = (gr.Button(interactive=True), gr.Button(interactive=False), SKIP, *CompareScreen())
        told = 0.0
        try:
            for step in self._run_systems(EvaluateControls(*values), stopped.is_set):
                if isinstance(step, SystemProgress):
                    if time.monotonic() - told > PROGRESS_SECONDS or step.done == step.total:
                        told = time.monotonic()
                        text = f"{step.system}: {step.done} of {step.total} queries"
                        yield _tell(text), SKIP, SKIP, SKIP, *CompareScreen()
                    continue
                yield from self._show_experiment(step, EvaluateControls(*values), key)
        except CancelledError:
            message = Message(text=f"Stopped. {self._kept(key)}", tone="stopped")
            yield render_message(message), *over
        except DearError as error:
            yield self._fail(error, request), *over

    def stop_evaluation(self, request: gr.Request) -> None:
        """Asks the evaluation to end; it says so itself when it has."""
        self.sessions.stop_evaluation(find_key(request))

    def list_saved(self, request: gr.Request) -> tuple[Any, Any]:
        """What can be chosen now: this page's rankings, all of them chosen, and the experiments
        saved on this server. Latest first."""
        entries = tuple(reversed(self.sessions.history(find_key(request)).entries))
        choices = [(entry.name, entry.number) for entry in entries]
        history = gr.Dropdown(
            choices=choices, value=[number for _, number in choices], multiselect=True
        )
        return history, gr.Dropdown(choices=list(list_experiments()), multiselect=True)

    def _run_systems(
        self, choices: EvaluateControls, cancelled: Cancelled
    ) -> Iterator[SystemProgress | Experiment]:
        plan = make_plan(
            choices.systems, choices.student, choices.depth, choices.stage2_depth, choices.limit,
            choices.measures,
        )  # fmt: skip
        if choices.source != OWN_FILE:
            collection = open_collection(self.library, choices.source, plan)
        elif choices.file is None:
            raise InputError("expected a collection, got none; choose a file")
        else:
            qrels = Path(choices.qrels) if choices.qrels else None
            collection = read_collection(Path(choices.file), qrels, plan)
        return stream_evaluation(self.library, collection, plan, cancelled)

    def _show_experiment(
        self, experiment: Experiment, choices: EvaluateControls, key: str
    ) -> Iterator[tuple[Any, ...]]:
        """What was evaluated, as a comparison and as a file."""
        file = write_experiment(experiment, self.sessions.folder(key))
        told = f"{len(experiment.queries)} queries by {len(experiment.systems)} systems."
        if choices.keep and is_keeping_on():
            told += f" Kept on this machine as {keep_on_server(experiment)}."
        status = render_message(Message(text=told, tone="done"))
        offered = gr.DownloadButton(value=file, interactive=True)
        material = gather_experiments([experiment])
        over = (gr.Button(interactive=True), gr.Button(interactive=False))
        for screen in self.screens.begin(material, choices.measures, key):
            yield status, *over, offered, *screen

    def _fail(self, error: DearError, request: gr.Request) -> str:
        return render_message(explain_error(error, kept=self._kept(find_key(request))))

    def _kept(self, key: str) -> str:
        return KEPT if self.sessions.comparison(key) is not None else ""


def _tell(text: str) -> str:
    return render_message(Message(text=text, tone="busy")) if text else ""
