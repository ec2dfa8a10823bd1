"""What happens around the Train tab's form: values of controls in, what to show instead out.

Takes the library and a board of jobs. Knows which parts the form has, not where they stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import psutil

from app.html import render_message
from app.library import Library
from app.messages import Message, explain_error
from app.rank.events import SKIP, find_key
from app.session import Sessions
from app.train.adapter import AdapterEvents
from app.train.board import Board, JobBoard
from app.train.config import read_config, write_config
from app.train.html import render_command, render_data, render_loaded, render_memory
from app.train.options import (
    OPTIONS,
    OWN_FILE,
    Form,
    Offer,
    list_formats,
    list_settings,
    read_form,
    write_command,
)
from app.train.trial import TryEvents
from reranker.config import list_students
from reranker.corpora import load_qrels
from reranker.errors import DearError
from reranker.examples.report import inspect_data, require_usable
from reranker.jobs.job import start_job
from reranker.jobs.kept import keep_file
from reranker.jobs.memory import estimate_memory
from reranker.jobs.presets import make_settings
from reranker.jobs.settings import Stage, TrainingSettings

SWITCH = "DEAR_TRAINING"
FORM = ("student", "stage", "preset", "source", "file", "format", "corpus")
"""The controls of the form before its options, in the order `read_values` takes them."""
OFF = (
    "Anyone can open this page, and a training job would take its processor for minutes. Whoever "
    f"runs it can switch training on with {SWITCH}=on; on your own machine it is on."
)
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


class Checked(NamedTuple):
    """The parts that follow the form: what `check` fills."""

    data: Any = SKIP
    error: Any = SKIP
    memory: Any = SKIP
    command: Any = SKIP
    start: Any = SKIP
    config: Any = SKIP


def is_training_on() -> bool:
    """On, except on a Space; $DEAR_TRAINING (on or off) decides otherwise."""
    switch = os.environ.get(SWITCH, "").strip().lower()
    if switch in ("on", "1", "true", "yes"):
        return True
    return not switch and not os.environ.get("SPACE_ID")


class TrainEvents:
    """The tab's events over one library and one folder of jobs."""

    def __init__(self, library: Library, sessions: Sessions, root: Path | None = None) -> None:
        """root: the folder of all jobs, by default the library's."""
        self.library = library
        self.root = root or library.jobs
        self.sessions = sessions
        self.board = JobBoard(self.root)
        self.adapter = AdapterEvents(library, sessions, self.root)
        self.trying = TryEvents(library, self.root)
        students = dict.fromkeys([library.student, *list_students()])
        corpora = [info.corpus_id for info in library.corpora]
        self.offer = Offer(
            students=tuple(students),
            sources=tuple(name for name in corpora if load_qrels(name, allow_paths=False)),
            corpora=tuple(corpora),
        )

    def fill(self, student: str, stage: Stage, preset: str, source: str) -> tuple[Any, ...]:
        """A preset's values: source, format, corpus, then one of each option."""
        name: Any = preset if preset in ("quick", "paper") else "quick"
        values = list_settings(make_settings(name, stage, student))
        updates = [
            gr.update(value=values[option.name], visible=option.stage in ("", stage))
            for option in OPTIONS
        ]
        formats = list_formats(stage)
        if stage == "stage2":
            source = OWN_FILE
        return (
            gr.update(value=source, visible=stage == "stage1"),
            gr.update(choices=formats, value=formats[0][1], visible=source == OWN_FILE),
            gr.update(visible=source == OWN_FILE and stage == "stage1"),
            gr.update(visible=source == OWN_FILE),
            *updates,
        )

    def choose_source(self, source: str, stage: Stage) -> tuple[Any, ...]:
        """Shows what an own file needs: format, corpus, file."""
        own = source == OWN_FILE
        return (
            gr.update(visible=own),
            gr.update(visible=own and stage == "stage1"),
            gr.update(visible=own),
        )

    def check(self, request: gr.Request, *values: Any) -> Checked:
        """Reads the data and says what is in them, what memory a job takes, and its command; the
        settings as a file."""
        form = read_values(values)
        try:
            settings = read_form(form, self.offer)
        except DearError as error:
            return _refuse(error, form)
        command = render_command(write_command(settings))
        file = write_config(settings, self.sessions.folder(find_key(request)))
        config = gr.DownloadButton(value=str(file), interactive=True)
        try:
            report = inspect_data(settings)
        except DearError as error:
            return _refuse(error, form)._replace(command=command, config=config)
        try:
            free = int(psutil.virtual_memory().available)
            memory = render_memory(estimate_memory(settings), free)
        except DearError as error:
            memory = render_message(_explain(error, form))
        blocked = bool(report.problems) or (
            report.leakage.serious and not settings.data.allow_leakage
        )
        start = gr.Button(interactive=not blocked)
        return Checked(render_data(report), "", memory, command, start, config)

    def load_config(self, path: str | None) -> tuple[Any, ...]:
        """A file's settings in the form: what to say of it, then every control. The data are not
        part of it and have to be uploaded again."""
        controls = len(FORM) + len(OPTIONS)
        if path is None:
            return "", *[SKIP] * controls
        try:
            loaded = read_config(Path(path), self.offer)
        except DearError as error:
            return render_message(explain_error(error)), *[SKIP] * controls
        settings, stage = loaded.settings, loaded.settings.stage
        own, first = loaded.source == OWN_FILE, stage == "stage1"
        return (
            render_loaded(loaded.missing, loaded.left_out),
            settings.student,
            stage,
            settings.preset,
            gr.update(value=loaded.source, visible=first),
            gr.update(visible=own),
            gr.update(choices=list_formats(stage), value=settings.data.format, visible=own),
            gr.update(value=settings.data.corpus, visible=own and first),
            *[
                gr.update(value=value, visible=option.stage in ("", stage))
                for option, value in zip(OPTIONS, loaded.options, strict=True)
            ],
        )

    def start(self, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Starts a job: an error beside the button, then the board with the new job."""
        form = read_values(values)
        yield render_message(Message(text="Checking the data…", tone="busy")), *Board()
        try:
            settings = read_form(form, self.offer)
            report = inspect_data(settings)
            require_usable(report, allow_leakage=settings.data.allow_leakage)
            estimate_memory(settings)
            job = start_job(self.keep_upload(settings), self.root)
        except DearError as error:
            yield render_message(_explain(error, form)), *Board()
            return
        yield "", *self.board.show(job.job_id)

    def keep_upload(self, settings: TrainingSettings) -> TrainingSettings:
        """An upload gets a place beside the jobs, which outlives the page's own copy.

        Raises InputError when it cannot be written.
        """
        source = Path(settings.data.train)
        if settings.data.train in self.offer.sources:
            return settings
        kept = keep_file(source, self.root)
        return replace(settings, data=replace(settings.data, train=str(kept)))


def read_values(values: tuple[Any, ...]) -> Form:
    """The controls' values in the order of the tab's `FormControls`."""
    given = dict(zip(FORM, values[: len(FORM)], strict=True))
    names = (option.name for option in OPTIONS)
    options = dict(zip(names, values[len(FORM) :], strict=True))
    return Form(**{**given, "corpus": given["corpus"] or ""}, options=options)


def _explain(error: DearError, form: Form) -> Message:
    """The error without the upload's place on the server."""
    message = explain_error(error)
    if not form.file:
        return message
    text = message.text.replace(form.file, Path(form.file).name)
    return Message(text=text, tone=message.tone)


def _refuse(error: DearError, form: Form) -> Checked:
    shown = render_message(_explain(error, form))
    no = gr.Button(interactive=False)
    return Checked("", shown, "", "", no, gr.DownloadButton(interactive=False))
