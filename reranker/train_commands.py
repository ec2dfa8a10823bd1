"""The command line of training: `train` starts, checks and estimates, `jobs` looks after them.

Takes parsed arguments, writes to standard output. Knows jobs and data; the model libraries are
loaded by the trainer, which is a process of its own unless --out asks for this one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from reranker.config import DEFAULT_STUDENT
from reranker.errors import InputError
from reranker.examples.report import inspect_data, require_usable
from reranker.jobs.folder import JobFolder
from reranker.jobs.job import (
    Job,
    create_folder,
    delete_job,
    list_jobs,
    read_job,
    resume_job,
    start_job,
    stop_job,
)
from reranker.jobs.memory import estimate_memory
from reranker.jobs.presets import PRESETS, make_settings
from reranker.jobs.settings import (
    Stage,
    TrainingSettings,
    dump_settings,
    load_settings,
    override_settings,
)

POLL_SECONDS = 1.0
_FOLDER_SECONDS = 60.0
_GIB = 2**30


def add_training_commands(added: Any) -> None:
    """Adds `train` and `jobs` to the subparsers of the command line."""
    train = added.add_parser("train", help="fine-tune a stage, check its data, estimate its memory")
    actions = train.add_subparsers(required=True, metavar="ACTION")
    for stage in ("stage1", "stage2"):
        parser = actions.add_parser(stage, help=f"start a {stage} job")
        _add_settings(parser)
        parser.add_argument("--wait", action="store_true", help="show progress until it ends")
        parser.add_argument(
            "--out",
            type=Path,
            metavar="FOLDER",
            help="train in this process and into this folder (for torchrun, accelerate launch)",
        )
        parser.set_defaults(run=run_train, stage=stage)
    for name, function, words in (
        ("check", run_check, "read the data and say what is in them"),
        ("estimate", run_estimate, "how much memory a job will need"),
        ("config", run_config, "print the settings as JSON, to edit and pass as --config"),
    ):
        parser = actions.add_parser(name, help=words)
        parser.add_argument("stage", choices=("stage1", "stage2"))
        _add_settings(parser)
        parser.set_defaults(run=function)

    jobs = added.add_parser("jobs", help="list, show, stop, resume or delete training jobs")
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


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument("--preset", choices=PRESETS, help="where to begin without --config")
    parser.add_argument("--student", help=f"default: the config's, else {DEFAULT_STUDENT}")
    parser.add_argument("--data", metavar="NAME", help="corpus, or .jsonl file, to train on")
    parser.add_argument("--format", help="beir, tevatron, annotations, dear-cot or prompts")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting, such as schedule.steps=200; may be repeated",
    )


def run_train(options: argparse.Namespace) -> int:
    """Starts a job; with --out, trains here."""
    settings = _read_settings(options)
    if options.out:
        return _train_here(settings, options.out)
    require_usable(inspect_data(settings), allow_leakage=settings.data.allow_leakage)
    job = start_job(settings)
    _print(job.job_id)
    return _wait(job) if options.wait else 0


def run_check(options: argparse.Namespace) -> int:
    """Statistics, preview, problems and leakage; exit code 1 when a job would be refused."""
    settings = _read_settings(options)
    report = inspect_data(settings)
    for name, figure in report.statistics.items():
        _print(f"{name}\t{figure:g}")
    for row in report.preview:
        _print("")
        for name, text in row.items():
            _print(f"{name}: {text}")
    for problem in report.problems:
        _print(f"problem: {problem}")
    if report.problem_count > len(report.problems):
        _print(f"problem: and {report.problem_count - len(report.problems)} more")
    for warning in report.warnings:
        _print(f"warning: {warning}")
    require_usable(report, allow_leakage=settings.data.allow_leakage)
    return 0


def run_estimate(options: argparse.Namespace) -> int:
    """The memory a job will need at its peak, part by part."""
    estimate = estimate_memory(_read_settings(options))
    for name, size in estimate.parts.items():
        _print(f"{name}\t{size / _GIB:.2f} GiB")
    _print(f"total\t{estimate.total / _GIB:.2f} GiB")
    return 0


def run_config(options: argparse.Namespace) -> int:
    """The settings that the other options name."""
    sys.stdout.write(dump_settings(_read_settings(options)))
    return 0


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
    return 0


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
    delete_job(options.job_id)
    return 0


def _read_settings(options: argparse.Namespace) -> TrainingSettings:
    stage: Stage = options.stage
    changes: dict[str, str] = {"stage": stage}
    if options.config:
        settings = load_settings(options.config)
        if options.preset:
            raise InputError("expected --config or --preset, got both; give one")
    else:
        settings = make_settings(options.preset or "quick", stage)
    for name, value in (
        ("student", options.student),
        ("data.train", options.data),
        ("data.format", options.format),
    ):
        if value:
            changes[name] = value
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"expected --set NAME=VALUE, got {text!r}; write schedule.steps=200")
        changes[name] = value
    return override_settings(settings, changes)


def _train_here(settings: TrainingSettings, out: Path) -> int:
    """Trains in this process. Of several under a launcher the first makes the folder."""
    from reranker.training.run import listen_for_signals, run_job

    folder = JobFolder(out)
    if os.environ.get("RANK", "0") == "0":
        if not folder.config.is_file():
            create_folder(settings, out.parent, out)
        elif load_settings(folder.config) != settings:
            raise InputError(
                "expected a new folder, or one with a job of the same settings to go on with, got "
                "another job's; choose another folder",
                where=str(out),
            )
        folder.stop.unlink(missing_ok=True)
    deadline = time.monotonic() + _FOLDER_SECONDS
    while not folder.config.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    return run_job(folder, asked_to_stop=listen_for_signals())


def _wait(job: Job) -> int:
    """Shows what happens until the job ends; stopping this leaves the job running."""
    shown_steps = shown_evaluations = shown_events = 0
    while True:
        job = read_job(job.job_id)
        progress = job.progress
        for event in progress.events[shown_events:]:
            _say(f"{event.level}: {event.message}")
        for line in progress.steps[shown_steps:]:
            parts = " ".join(f"{name} {value:.4f}" for name, value in line.parts.items())
            _say(f"step {line.step} of {job.steps}: {parts}, {line.eta_seconds:.0f} s left")
        for evaluation in progress.evaluations[shown_evaluations:]:
            shown = " ".join(f"{n} {value:.4f}" for n, value in evaluation.measures.items())
            _say(f"dev after step {evaluation.step}: {shown}")
        shown_steps, shown_events = len(progress.steps), len(progress.events)
        shown_evaluations = len(progress.evaluations)
        if job.ended:
            _print(f"{job.status}: {job.message}")
            _print(str(job.folder / "adapter"))
            return 0 if job.status == "done" else 1
        time.sleep(POLL_SECONDS)


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


def _print(message: str) -> None:
    sys.stdout.write(message + "\n")
