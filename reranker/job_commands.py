"""The command line of jobs: list, show, stop, resume, delete, push.

Takes parsed arguments, writes to standard output. Knows jobs by their folders only.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from huggingface_hub import get_token

from reranker.jobs.job import jobs_dir, list_jobs, read_job, resume_job, stop_job
from reranker.jobs.kept import delete_job
from reranker.jobs.outcome import Outcome, is_measured, measure_outcome
from reranker.jobs.publish import push_adapter


def add_job_commands(added: Any) -> None:
    """Adds `jobs` to the subparsers of the command line."""
    jobs = added.add_parser("jobs", help="list, show, stop, resume, delete or push training jobs")
    verbs = jobs.add_subparsers(required=True, metavar="ACTION")
    verbs.add_parser("list", help="every job, the newest first").set_defaults(run=run_jobs_list)
    for name, function, words in (
        ("show", run_jobs_show, "one job with its evaluations"),
        ("stop", run_jobs_stop, "finish the step, save, end"),
        ("resume", run_jobs_resume, "go on from the last checkpoint"),
        ("delete", run_jobs_delete, "remove a job's folder"),
    ):
        parser = verbs.add_parser(name, help=words)
        parser.add_argument("job_id", metavar="JOB")
        if name == "stop":
            parser.add_argument("--now", action="store_true", help="kill it, saving nothing more")
        parser.set_defaults(run=function)

    _add_push(verbs)


def _add_push(verbs: Any) -> None:
    parser = verbs.add_parser("push", help="put a job's adapter on the Hugging Face hub")
    parser.add_argument("job_id", metavar="JOB")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="made where it is not there yet")
    parser.add_argument("--public", action="store_true", help="make it a public repository")
    parser.add_argument("--endpoint", help="another hub than $HF_ENDPOINT or huggingface.co")
    parser.set_defaults(run=run_jobs_push)


def run_jobs_list(options: argparse.Namespace) -> int:
    """One line a job."""
    for job in list_jobs():
        best = "" if job.best is None else f"{job.metric} {job.best:.4f}"
        place = f" ({job.queue_position} in line)" if job.queue_position else ""
        _print(
            f"{job.job_id}\t{job.status}{place}\tstep {job.step} of {job.steps}\t{best}\t"
            f"{job.seconds:.0f} s"
        )
    return 0


def run_jobs_show(options: argparse.Namespace) -> int:
    """Everything a job's folder says, as text."""
    job = read_job(options.job_id)
    _print(f"{job.job_id}: {job.status}. {job.message}".rstrip(". ") + ".")
    _print(f"folder\t{job.folder}")
    _print(f"step\t{job.step} of {job.steps}, attempt {job.attempts}")
    for evaluation in job.progress.evaluations:
        shown = ", ".join(f"{n} {value:.4f}" for n, value in evaluation.measures.items())
        _print(f"step {evaluation.step}\t{shown}")
    for event in job.progress.events:
        _print(f"{event.level}\t{event.message}")
    if job.progress.skipped_lines:
        _print(f"warning\t{job.progress.skipped_lines} lines of progress could not be read")
    _print(json.dumps(job.summary, indent=1))
    if job.ended and is_measured(job):
        _print_outcome(measure_outcome(job))
    return 0


def _print_outcome(outcome: Outcome) -> None:
    gain, interval = outcome.difference, outcome.difference.interval
    _print(
        f"gain\t{outcome.metric} {gain.difference:+.4f} [{interval.low:+.4f}, "
        f"{interval.high:+.4f}], p {gain.randomization.p_value:.3f}, {gain.wins} better, "
        f"{gain.ties} unchanged, {gain.losses} worse"
    )
    for change in outcome.changed:
        _print(
            f"{change.query_id}\t{change.before:.4f}\t{change.after:.4f}\t"
            f"{' '.join(change.text.split())}"
        )


def run_jobs_stop(options: argparse.Namespace) -> int:
    """Asks a job to stop."""
    job = stop_job(options.job_id, now=options.now)
    _print(f"{job.job_id}: {job.status}")
    return 0


def run_jobs_resume(options: argparse.Namespace) -> int:
    """Goes on with a job."""
    job = resume_job(options.job_id)
    _print(f"{job.job_id}: {job.status}")
    return 0


def run_jobs_delete(options: argparse.Namespace) -> int:
    """Removes a job that has ended."""
    delete_job(options.job_id, jobs_dir())
    return 0


def run_jobs_push(options: argparse.Namespace) -> int:
    """Uploads an adapter with the token of $HF_TOKEN or of `hf auth login`."""
    _print(
        push_adapter(
            read_job(options.job_id),
            options.repo_id,
            get_token() or "",
            private=not options.public,
            endpoint=options.endpoint,
        )
    )
    return 0


def _print(message: str) -> None:
    sys.stdout.write(message + "\n")
