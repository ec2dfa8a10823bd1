"""Trained adapters as students: a job's student with the job's adapter in its stage.

Takes jobs, returns profiles that load like any other. That an adapter is offered stands in its
job's folder, so a restarted server offers it again, and a deleted job is offered no more. Knows
no model.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from reranker.config import Profile, load_profile
from reranker.errors import DearError, InputError
from reranker.jobs.folder import JobFolder, write_json
from reranker.jobs.job import Job, read_job

START = "start"
_NAME = re.compile(rf".*\+(?P<job_id>[a-z0-9-]+)-(?P<which>\d+|{START})")


def has_adapter(job: Job) -> bool:
    """Whether the job has ended with an adapter."""
    return job.ended and (job.folder / "adapter").is_dir()


def require_adapter(job: Job) -> Job:
    """The job itself. Raises InputError when it has not ended with an adapter."""
    if not has_adapter(job):
        raise InputError(
            f"expected a job that has ended with an adapter, got {job.job_id!r}, which is "
            f"{job.status}; wait for it, or stop it"
        )
    return job


def make_trained(job: Job) -> Profile:
    """The job's student with the job's adapter. Raises StudentError when the student is gone.

    A job that was resumed has another adapter, and must not be answered by the one in memory:
    the number of attempts is part of the name.
    """
    stage = "stage 1" if job.settings.stage == "stage1" else "stage 2"
    profile = load_profile(job.settings.student)
    title = f"{profile.name}, {stage} trained here ({job.job_id[:15]} {job.job_id[-4:]})"
    adapter = str((job.folder / "adapter").resolve())
    return _set_adapter(profile, job, adapter, f"{job.job_id}-{job.attempts}", title)


def make_start(job: Job) -> Profile:
    """The student as the job began with it: its own adapter, or none in the stage that was
    trained afresh. Raises StudentError when it is gone."""
    profile = load_profile(job.settings.student)
    if job.settings.lora.start == "student":
        return profile
    title = f"{profile.name} without an adapter"
    return _set_adapter(profile, job, "", f"{job.job_id}-{START}", title)


def name_start(job: Job) -> str:
    """What to load the student by as the job began with it."""
    own = job.settings.lora.start == "student"
    return job.settings.student if own else make_start(job).name


def offer_adapter(job: Job) -> Profile:
    """Notes that the job's adapter may be chosen to rank with; the profile it has.

    Raises InputError for a job without an adapter or where it cannot be noted, and StudentError
    when its student is gone.
    """
    profile = make_trained(require_adapter(job))
    try:
        write_json(JobFolder(job.folder).offered, {"offered": time.time()})
    except OSError as error:
        raise InputError(
            f"expected to note this in the job's folder, got {error.strerror}; free some space"
        ) from error
    return profile


def list_offered(root: Path) -> dict[str, Profile]:
    """The profiles of all adapters on offer, by name, the newest job first. What cannot be used
    any more (its student is gone, it is being trained further) is left out."""
    found = {}
    for file in sorted(root.glob("*/offered.json"), reverse=True):
        try:
            profile = make_trained(require_adapter(read_job(file.parent.name, root)))
        except DearError:
            continue
        found[profile.name] = profile
    return found


def find_trained(name: str, root: Path) -> Profile | None:
    """The profile of this name, on offer or not; None where no job has made one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        job = read_job(match["job_id"], root)
        profile = make_start(job) if match["which"] == START else make_trained(require_adapter(job))
    except DearError:
        return None
    return profile if profile.name == name else None


def _set_adapter(profile: Profile, job: Job, adapter: str, which: str, title: str) -> Profile:
    if job.settings.stage == "stage1":
        profile = replace(profile, stage1=replace(profile.stage1, adapter=adapter))
    elif profile.stage2 is not None:
        profile = replace(profile, stage2=replace(profile.stage2, adapter=adapter))
    return replace(profile, name=f"{profile.name}+{which}", title=title)
