"""The command line of training: `train` starts jobs, checks data, estimates memory, asks for
reasoning data.

Takes parsed arguments, writes to standard output. Knows jobs and data; the model libraries are
loaded by the trainer, which is a process of its own unless --out asks for this one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reranker.config import DEFAULT_STUDENT
from reranker.corpora import load_corpus, load_queries
from reranker.endpoint import DEFAULT_KEY_VARIABLE, ChatEndpoint, EndpointSettings
from reranker.errors import InputError
from reranker.examples.generate import ReasoningTask, generate_reasoning
from reranker.examples.report import inspect_data, require_usable
from reranker.jobs.folder import JobFolder
from reranker.jobs.job import Job, create_folder, read_job, start_job
from reranker.jobs.memory import estimate_memory
from reranker.jobs.presets import PRESETS, make_settings
from reranker.jobs.settings import (
    Stage,
    TrainingSettings,
    dump_settings,
    load_settings,
    override_settings,
)
from reranker.retrieval import build_retriever
from reranker.types import Passage

POLL_SECONDS = 1.0
_FOLDER_SECONDS = 60.0
_GIB = 2**30


def add_training_commands(added: Any) -> None:
    """Adds `train` to the subparsers of the command line."""
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
    _add_reasoning(actions)


def _add_reasoning(actions: Any) -> None:
    parser = actions.add_parser(
        "reasoning", help="ask a strong model for chains of thought to learn stage 2 from"
    )
    add = parser.add_argument
    add("--corpus", required=True, help="a corpus with queries")
    add("--base-url", required=True, help="OpenAI-compatible, up to and with /v1")
    add("--model", required=True, help="as the endpoint calls it")
    add("--key-variable", default=DEFAULT_KEY_VARIABLE, help="environment variable with the key")
    add("--out", type=Path, required=True, metavar="FOLDER", help="goes on where it was")
    add("--queries", type=int, default=0, help="the first N queries (default: all)")
    add("--window-size", type=int, default=20, help="candidates in one list")
    add("--student", help="put the candidates in the order of this student's stage 1")
    add("--tries", type=int, default=3, help="answers asked for one list")
    add("--max-tokens", type=int, default=4096, help="of one answer")
    add("--prompt-price", type=float, help="per million tokens, for the cost")
    add("--answer-price", type=float, help="per million tokens, for the cost")
    parser.set_defaults(run=run_reasoning)


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


def run_reasoning(options: argparse.Namespace) -> int:
    """Lists from BM25, perhaps in stage-1 order, and an endpoint's answers about them."""
    retriever = build_retriever(load_corpus(options.corpus))
    queries = load_queries(options.corpus)[: options.queries or None]
    if not queries:
        raise InputError("expected a corpus with queries, got one without", where=options.corpus)
    order = _load_stage1(options.student) if options.student else None

    def make_tasks() -> Iterator[ReasoningTask]:
        for query in queries:
            passages = [hit.passage for hit in retriever.search(query.text, options.window_size)]
            if len(passages) > 1:
                ordered = order(query.text, passages) if order else passages
                yield ReasoningTask(query=query, passages=tuple(ordered))

    endpoint = ChatEndpoint(
        EndpointSettings(
            base_url=options.base_url,
            model=options.model,
            key_variable=options.key_variable,
            prompt_price=options.prompt_price,
            answer_price=options.answer_price,
        )
    )
    report = generate_reasoning(
        make_tasks(),
        endpoint,
        options.out,
        tries=options.tries,
        max_tokens=options.max_tokens,
        on_done=lambda query_id, outcome: _say(f"{query_id}: {outcome}"),
    )
    cost = "unknown" if report.cost is None else f"{report.cost:.4f}"
    _print(f"accepted\t{report.accepted}\nrejected\t{report.rejected}\ncost\t{cost}")
    for reason, count in sorted(report.reasons.items()):
        _print(f"rejected for {reason}\t{count}")
    return 0


def _load_stage1(name: str) -> Callable[[str, list[Passage]], list[Passage]]:
    from reranker.student.student import load_student

    scorer = load_student(name).scorer

    def order(query: str, passages: list[Passage]) -> list[Passage]:
        scores = scorer.score(query, passages)
        ranked = sorted(zip(passages, scores, strict=True), key=lambda pair: -pair[1].score)
        return [passage for passage, _ in ranked]

    return order


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
