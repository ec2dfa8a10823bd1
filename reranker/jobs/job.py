"""Jobs as everybody sees them: listed, read, started, stopped and resumed by their folders.

Takes settings or a job's id, returns `Job` records derived from what lies on disk: nothing is
kept in memory, so any process, today or after a restart, sees the same. Knows no model; the
trainer is another process (see reranker/training/run.py) and is only spoken to by files.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import psutil

from reranker.config import ROOT
from reranker.errors import InputError
from reranker.jobs.folder import JobFolder, read_json, write_json, write_text_whole
from reranker.jobs.process import ProcessIdentity, identify_process, is_running, read_identity
from reranker.jobs.progress import Progress, read_progress
from reranker.jobs.queue import hold_lock
from reranker.jobs.settings import TrainingSettings, check_settings, dump_settings, load_settings

Status = Literal[
    "queued", "preparing", "running", "stopping", "done", "stopped", "failed", "interrupted"
]
ENDED: tuple[Status, ...] = ("done", "stopped", "failed", "interrupted")
STARTING_SECONDS = 30.0
LOG_TAIL_BYTES = 16_384
TRAINER = "reranker.training.run"
_JOB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job as its folder tells it.

    status: "interrupted" means that the trainer is gone without having said why. message: for
    people. queue_position: 1 for the next to run, 0 for a job that does not wait. summary: what
    the trainer measured last ("baseline", "best", "best_step", "steps_done", ...).
    """

    job_id: str
    folder: Path
    status: Status
    message: str
    settings: TrainingSettings
    created: float
    attempts: int
    step: int
    steps: int
    queue_position: int
    summary: dict[str, Any]
    progress: Progress

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def seconds(self) -> float:
        """Seconds spent training and preparing, over all attempts."""
        return float(self.summary.get("seconds", 0.0))

    @property
    def metric(self) -> str:
        """What the best adapter is chosen by: the higher the better for stage 1's nDCG@10, the
        lower for stage 2's loss."""
        return "nDCG@10" if self.settings.stage == "stage1" else "loss"

    @property
    def best(self) -> float | None:
        """The best dev `metric` after training began; None before any evaluation."""
        trained = [e.measures for e in self.progress.evaluations if e.step > 0]
        values = [measures[self.metric] for measures in trained if self.metric in measures]
        choose = max if self.settings.stage == "stage1" else min
        return choose(values, default=None)


def jobs_dir() -> Path:
    """Where jobs live: $DEAR_JOBS, else the user's data folder."""
    configured = os.environ.get("DEAR_JOBS")
    if configured:
        return Path(configured)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "dear-studio" / "jobs"


def list_jobs(root: Path | None = None) -> list[Job]:
    """Every job, the newest first. A folder whose settings cannot be read is left out."""
    root = root or jobs_dir()
    jobs = []
    for folder in sorted(root.glob("*/config.json"), reverse=True):
        if _JOB_ID.fullmatch(folder.parent.name):
            try:
                jobs.append(read_job(folder.parent.name, root))
            except InputError:
                continue
    return jobs


def read_job(job_id: str, root: Path | None = None) -> Job:
    """The job of this id. Raises InputError when there is none or its files are damaged."""
    root = root or jobs_dir()
    folder = _find_folder(job_id, root)
    state, process = read_json(folder.state), read_json(folder.process)
    progress = read_progress(folder.progress)
    status, message = _derive_status(folder, state, process)
    waiting = status == "queued"
    return Job(
        job_id=job_id,
        folder=folder.path,
        status=status,
        message=message,
        settings=load_settings(folder.config),
        created=folder.config.stat().st_mtime,
        attempts=int(process.get("attempt", 0)),
        step=max((s.step for s in progress.steps), default=0),
        steps=int(state.get("steps", 0)),
        queue_position=1 + len(list_waiting(root, float(process.get("asked", 0))))
        if waiting
        else 0,
        summary=read_json(folder.summary),
        progress=progress,
    )


def start_job(settings: TrainingSettings, root: Path | None = None) -> Job:
    """A new job, queued at once. Raises InputError for settings that cannot work."""
    check_settings(settings)
    root = root or jobs_dir()
    folder = create_folder(settings, root)
    _spawn(folder)
    return read_job(folder.path.name, root)


def stop_job(job_id: str, root: Path | None = None, *, now: bool = False) -> Job:
    """Asks a job to finish its step, save and end; `now` kills it, losing what came after the
    last checkpoint. Raises InputError when it does not run."""
    root = root or jobs_dir()
    job = read_job(job_id, root)
    if job.ended:
        raise InputError(f"expected a job that runs, got {job_id!r}, which is {job.status}")
    folder = JobFolder(job.folder)
    write_text_whole(folder.stop, "")
    identity = read_identity(read_json(folder.process))
    if now and identity and is_running(identity):
        psutil.Process(identity.pid).kill()
    return read_job(job_id, root)


def resume_job(job_id: str, root: Path | None = None) -> Job:
    """Goes on from the last whole checkpoint. Raises InputError for a job that runs or is done."""
    root = root or jobs_dir()
    folder = _find_folder(job_id, root)
    with hold_lock(folder.path / "resume.lock") as mine:
        job = read_job(job_id, root)
        if not mine or not job.ended:
            raise InputError(f"expected a job that has ended, got {job_id!r}, which still runs")
        if job.status == "done":
            raise InputError(
                f"expected an unfinished job, got {job_id!r}, which is done; start another from "
                "its settings with more steps"
            )
        folder.stop.unlink(missing_ok=True)
        folder.state.unlink(missing_ok=True)
        _spawn(folder)
    return read_job(job_id, root)


def read_log(job_id: str, root: Path | None = None) -> str:
    """The last lines the trainer wrote to its log."""
    folder = _find_folder(job_id, root or jobs_dir())
    if not folder.log.is_file():
        return ""
    with folder.log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace")


def list_waiting(root: Path, before: float) -> list[str]:
    """Jobs that asked before this time and still wait for their turn."""
    waiting = []
    for file in root.glob("*/process.json"):
        folder = JobFolder(file.parent)
        process = read_json(folder.process)
        if float(process.get("asked", before)) < before:
            if read_json(folder.state).get("status", "queued") == "queued":
                if is_running(read_identity(process)):
                    waiting.append(file.parent.name)
    return sorted(waiting)


def create_folder(settings: TrainingSettings, root: Path, path: Path | None = None) -> JobFolder:
    """A new job's folder with its settings, at `path` or under a new name in `root`."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    student = re.sub(r"[^a-z0-9]+", "-", Path(settings.student).name.lower()).strip("-")[:30]
    name = f"{stamp}-{student or 'student'}-{settings.stage}-{secrets.token_hex(2)}"
    folder = JobFolder(path or root / name)
    try:
        folder.path.mkdir(parents=True, exist_ok=path is not None)
        write_text_whole(folder.config, dump_settings(settings))
    except OSError as error:
        raise InputError(
            f"expected to make a job's folder here, got {error.strerror}; free some space, or set "
            "DEAR_JOBS to another folder",
            where=str(folder.path),
        ) from error
    return folder


def register_process(folder: JobFolder, identity: ProcessIdentity) -> None:
    """Notes which process is the trainer, and that one more attempt has begun."""
    attempt = int(read_json(folder.process).get("attempt", 0)) + 1
    write_json(
        folder.process,
        {
            "pid": identity.pid,
            "began": identity.began,
            "attempt": attempt,
            "asked": time.time(),
        },
    )


def _spawn(folder: JobFolder) -> None:
    """Starts the trainer in a session of its own: it outlives the app that asked for it."""
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", TRAINER, str(folder.path.resolve())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    register_process(folder, identify_process(process.pid))


def _find_folder(job_id: str, root: Path) -> JobFolder:
    folder = JobFolder(root / job_id)
    if not _JOB_ID.fullmatch(job_id) or not folder.config.is_file():
        raise InputError(
            f"expected the id of a job, got {job_id[:80]!r}; `jobs list` shows them all"
        )
    return folder


def _derive_status(
    folder: JobFolder, state: dict[str, Any], process: dict[str, Any]
) -> tuple[Status, str]:
    status = cast(Status, state.get("status", "queued"))
    message = str(state.get("message", ""))
    if status in ENDED:
        return status, message
    if is_running(read_identity(process)):
        if folder.stop.exists():
            return "stopping", "finishes its step and saves"
        return status, message
    if folder.stop.exists():
        return "stopped", "was stopped at once; resume goes on from the last checkpoint"
    if not process and time.time() - folder.config.stat().st_mtime < STARTING_SECONDS:
        return "queued", "is being started"
    return "interrupted", (
        "the trainer ended without a word: it was killed, the memory ran out, or the machine "
        "restarted; resume goes on from the last checkpoint"
    )
