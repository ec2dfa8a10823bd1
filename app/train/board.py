"""What the Train tab shows of jobs: a job's id in, every part of the board out.

Takes a folder of jobs. Everything about a job is read from its folder each
time, so a reloaded page, a second browser and a restarted server all see the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.html import render_message, render_note
from app.messages import Message, explain_error
from app.plots import make_plot
from app.rank.events import SKIP
from app.train.facts import describe_start, name_job
from app.train.figures import draw_progress
from app.train.html import (
    render_gain,
    render_job,
    render_jobs,
    render_log,
    render_settings_difference,
)
from app.train.options import list_differences
from app.train.trial import list_queries
from reranker.errors import DearError
from reranker.jobs.job import (
    Job,
    list_jobs,
    read_job,
    read_log,
    resume_job,
    stop_job,
)
from reranker.jobs.kept import delete_job
from reranker.jobs.outcome import is_measured, measure_outcome
from reranker.jobs.trained import has_adapter

NO_JOB = "No job to show yet: start one."
DELETED = "The job {job} is deleted, with its checkpoints and its adapter."


class Board(NamedTuple):
    """The parts that follow a job: what the timer fills."""

    seen: Any = SKIP
    chosen: Any = SKIP
    job: Any = SKIP
    curves: Any = SKIP
    log: Any = SKIP
    stop: Any = SKIP
    resume: Any = SKIP
    gain: Any = SKIP
    offer: Any = SKIP
    download: Any = SKIP
    zipped: Any = SKIP
    jobs: Any = SKIP
    first: Any = SKIP
    second: Any = SKIP
    timer: Any = SKIP
    error: Any = SKIP
    delete: Any = SKIP
    after: Any = SKIP
    query: Any = SKIP


class JobBoard:
    """The events of the board."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Board:
        """The board of a page that was just opened: the job that runs, else the latest."""
        jobs = list_jobs(self.root)
        running = next((job for job in jobs if not job.ended), None)
        latest = running or next(iter(jobs), None)
        return self.show(latest.job_id if latest else None)

    def follow(self, chosen: str | None, seen: Any) -> Board:
        """The board again where something has changed since it was `seen`. What somebody may have
        under their hand stays: the lists of jobs unless there are others, what was said last."""
        mark, names = seen or (None, None)
        if chosen is not None and self._mark(chosen) == mark:
            return Board()
        board = self.show(chosen)._replace(error=SKIP, zipped=SKIP)
        if board.seen is None:
            return board
        if mark and mark[1:3] == board.seen[0][1:3]:
            board = board._replace(query=SKIP)
        lists = SKIP if board.seen[1] == names else gr.update(choices=board.seen[1])
        return board._replace(chosen=lists, first=lists, second=lists)

    def show(self, chosen: str | None) -> Board:
        """Everything the board shows of a job and of all jobs."""
        jobs = list_jobs(self.root)
        job = next((job for job in jobs if job.job_id == chosen), None)
        names = [(f"{name_job(job)}: {job.status}", job.job_id) for job in jobs]
        shared = Board(
            jobs=render_jobs(jobs, chosen),
            chosen=gr.Dropdown(choices=names, value=job.job_id if job else None),
            first=gr.update(choices=names),
            second=gr.update(choices=names),
            timer=gr.Timer(active=any(not job.ended for job in jobs)),
            error="",
        )
        if job is None:
            nothing = gr.Button(interactive=False)
            return shared._replace(
                seen=None, job=render_note(NO_JOB), curves=None, log="", gain="", stop=nothing,
                resume=nothing, delete=nothing, offer=nothing, download=nothing,
                zipped=gr.DownloadButton(visible=False), after=gr.Column(visible=False),
            )  # fmt: skip
        finished = has_adapter(job)
        return shared._replace(
            seen=(self._mark(job.job_id), names),
            job=render_job(job),
            curves=make_plot(draw_progress(job.progress, job.metric)),
            log=render_log(read_log(job.job_id, self.root)),
            stop=gr.Button(interactive=not job.ended),
            resume=gr.Button(interactive=job.ended and job.status != "done"),
            gain=_render_gain(job) if job.ended else "",
            delete=gr.Button(interactive=job.ended),
            offer=gr.Button(interactive=finished),
            download=gr.Button(interactive=finished),
            zipped=gr.DownloadButton(visible=False),
            after=gr.Column(visible=finished),
            query=_suggest(job),
        )

    def stop(self, chosen: str | None) -> Board:
        """Asks the job to finish its step, save and end."""
        return self._act(stop_job, chosen)

    def resume(self, chosen: str | None) -> Board:
        """Goes on from the job's last checkpoint."""
        return self._act(resume_job, chosen)

    def compare_settings(self, first: str | None, second: str | None) -> str:
        """What two jobs were asked to do differently."""
        try:
            one, other = (read_job(str(name or ""), self.root) for name in (first, second))
        except DearError as error:
            return render_message(explain_error(error))
        rows = list_differences(one.settings, other.settings)
        return render_settings_difference(rows, (name_job(one), name_job(other)))

    def delete(self, chosen: str | None) -> Board:
        """Removes a job that has ended with all its files, and shows the latest one left. chosen:
        None where the person thought better of it."""
        if chosen is None:
            return Board()
        try:
            delete_job(chosen, self.root)
        except DearError as error:
            return self.show(chosen)._replace(error=render_message(explain_error(error)))
        told = render_message(Message(text=DELETED.format(job=chosen), tone="done"))
        return self.open()._replace(error=told)

    def _act(self, act: Callable[[str, Path], Job], chosen: str | None) -> Board:
        try:
            act(str(chosen or ""), self.root)
        except DearError as error:
            return self.show(chosen)._replace(error=render_message(explain_error(error)))
        return self.show(chosen)

    def _mark(self, chosen: str) -> list[Any]:
        """What changes whenever the board would: files of all jobs, and the chosen one's state."""
        stamps = [
            (file.parent.name, file.name, file.stat().st_mtime_ns)
            for name in ("state.json", "process.json")
            for file in sorted(self.root.glob(f"*/{name}"))
            if file.is_file()
        ]
        try:
            job = read_job(chosen, self.root)
        except DearError:
            return [str(stamps)]
        progress = job.progress
        told = len(progress.events), len(progress.evaluations), progress.resumes
        return [str(stamps), chosen, job.status, job.step, *told, job.queue_position]


def _suggest(job: Job) -> Any:
    """Queries to try once the job has ended, the one that changed most in the box."""
    try:
        offered = list_queries(job) if job.ended else []
    except DearError:  # told where the gain stands
        offered = []
    return gr.update(choices=offered, value=offered[0] if offered else None)


def _render_gain(job: Job) -> str:
    try:
        if not is_measured(job):
            return ""
        return render_gain(measure_outcome(job), describe_start(job))
    except DearError as error:
        return render_message(explain_error(error))
