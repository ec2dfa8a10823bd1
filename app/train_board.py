"""What the Train tab shows of jobs: a job's id in, every part of the board out.

Takes the library and a folder of jobs. Everything about a job is read from its folder each
time, so a reloaded page, a second browser and a restarted server all see the same.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.html import render_message
from app.html_train import (
    render_gain,
    render_job,
    render_jobs,
    render_log,
    render_settings_difference,
)
from app.library import Library
from app.messages import Message, explain_error
from app.plots import make_plot
from app.rank_events import SKIP, find_key
from app.session import Sessions
from app.train_facts import describe_start, name_job
from app.train_figures import draw_progress
from app.train_options import list_differences
from reranker.errors import DearError, InputError
from reranker.jobs.job import (
    Job,
    list_jobs,
    read_job,
    read_log,
    resume_job,
    stop_job,
)
from reranker.jobs.outcome import is_measured, measure_outcome

OFFERED = (
    "Offered on the Rank tab as “{title}”, in the Student list under Advanced, until this server "
    "ends. Nothing uses it until somebody chooses it there."
)


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


class JobBoard:
    """The events of the board."""

    def __init__(self, library: Library, sessions: Sessions, root: Path) -> None:
        self.library, self.sessions, self.root = library, sessions, root

    def open(self) -> Board:
        """The board of a page that was just opened: the job that runs, else the latest."""
        jobs = list_jobs(self.root)
        running = next((job for job in jobs if not job.ended), None)
        latest = running or next(iter(jobs), None)
        return self.show(latest.job_id if latest else None)

    def follow(self, chosen: str | None, seen: Any) -> Board:
        """The board again where something has changed since it was `seen`."""
        if chosen is not None and self._mark(chosen) == seen:
            return Board()
        return self.show(chosen)

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
            return shared
        finished = job.ended and (job.folder / "adapter").is_dir()
        return shared._replace(
            seen=self._mark(job.job_id),
            job=render_job(job),
            curves=make_plot(draw_progress(job.progress, job.metric)),
            log=render_log(read_log(job.job_id, self.root)),
            stop=gr.Button(interactive=not job.ended),
            resume=gr.Button(interactive=job.ended and job.status != "done"),
            gain=_render_gain(job) if job.ended else "",
            offer=gr.Button(interactive=finished),
            download=gr.Button(interactive=finished),
            zipped=gr.DownloadButton(visible=False),
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

    def offer(self, chosen: str | None) -> tuple[Any, Any]:
        """Adds the job's adapter to the students of this server: a message, and the Rank tab's
        list of students. Nothing is chosen there."""
        try:
            title = self.library.add_trained(_require_adapter(chosen, self.root))
        except DearError as error:
            return render_message(explain_error(error)), SKIP
        message = Message(text=OFFERED.format(title=title), tone="done")
        return render_message(message), self.list_students()

    def list_students(self) -> Any:
        """The Rank tab's list of students as it is now."""
        profiles = self.library.list_profiles()
        return gr.update(choices=[(profile.title, name) for name, profile in profiles.items()])

    def zip_adapter(self, chosen: str | None, request: gr.Request) -> tuple[Any, Any]:
        """The adapter's folder as one file: an error, and the button that fetches it."""
        try:
            job = _require_adapter(chosen, self.root)
        except DearError as error:
            return render_message(explain_error(error)), SKIP
        path = self.sessions.folder(find_key(request)) / f"{job.job_id}-adapter.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted((job.folder / "adapter").iterdir()):
                archive.write(file, f"{job.job_id}/{file.name}")
        return "", gr.DownloadButton(value=str(path), visible=True)

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
        return [str(stamps), job.status, job.step, *told, job.queue_position]


def _require_adapter(chosen: str | None, root: Path) -> Job:
    job = read_job(str(chosen or ""), root)
    if not job.ended or not (job.folder / "adapter").is_dir():
        raise InputError(
            f"expected a job that has ended with an adapter, got {job.job_id!r}, which is "
            f"{job.status}; wait for it, or stop it"
        )
    return job


def _render_gain(job: Job) -> str:
    try:
        if not is_measured(job):
            return ""
        return render_gain(measure_outcome(job), describe_start(job))
    except DearError as error:
        return render_message(explain_error(error))
