"""The trainer process: takes a job's folder, does what its config.json says, and says how it went.

    python -m reranker.training.run FOLDER

Started by reranker/jobs for the page and the command line, or under `accelerate launch` and
torchrun by `python -m reranker train … --out FOLDER`. It waits for its turn before it loads any
model library. Ends with 0 done, 3 stopped, 1 failed; the folder's state.json says why.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.errors import CancelledError, DearError, InputError
from reranker.jobs.checkpoints import find_checkpoint, set_aside
from reranker.jobs.folder import JobFolder, read_json, write_json, write_text_whole
from reranker.jobs.job import list_waiting, register_process
from reranker.jobs.process import identify_process
from reranker.jobs.queue import hold_lock, wait_for_slot
from reranker.jobs.settings import TrainingSettings, load_settings

if TYPE_CHECKING:
    from reranker.training.job_trainer import JobTrainer
    from reranker.training.reporter import Reporter

NICENESS = 10
REGISTER_SECONDS = 10.0
LOCK_SECONDS = 20.0
DONE, FAILED, STOPPED = 0, 1, 3

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the job in the folder named by the one argument; returns the exit code."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.nice(NICENESS)  # ranking comes first
    return run_job(JobFolder(Path(path)), asked_to_stop=listen_for_signals())


def run_job(folder: JobFolder, *, asked_to_stop: Sequence[int] = ()) -> int:
    """One attempt at a job, in this process. Never raises for what a job can meet.

    asked_to_stop: fills when the process is asked to end.
    """
    main_process = os.environ.get("RANK", "0") == "0"

    def is_stopped() -> bool:
        return bool(asked_to_stop) or folder.stop.exists()

    if not main_process:
        return _attempt(folder, is_stopped, main=False)
    # A killed trainer's threads may hold the lock for a moment after it counts as gone.
    with hold_lock(folder.lock, patience_seconds=LOCK_SECONDS) as mine:
        if not mine:
            logger.error("another trainer already works in %s", folder.path)
            return FAILED
        asked = _register(folder)
        root = folder.path.parent
        try:
            with wait_for_slot(
                root, is_first=lambda: not list_waiting(root, asked), is_stopped=is_stopped
            ):
                return _attempt(folder, is_stopped, main=True)
        except CancelledError as error:
            write_json(folder.state, {"status": "stopped", "message": str(error), "steps": 0})
            return STOPPED


def _attempt(folder: JobFolder, is_stopped: Callable[[], bool], *, main: bool) -> int:
    """Loads, trains and closes, with every end told."""
    from reranker.training.failures import explain_training_failure
    from reranker.training.reporter import Reporter

    reporter: Reporter | None = None
    try:
        reporter = Reporter(folder, main=main)
        if main:
            folder.hold_reserve()
        return _train(folder, reporter, is_stopped)
    except (Exception, KeyboardInterrupt) as error:
        logger.error("%s", "".join(traceback.format_exception(error)))
        failure = explain_training_failure(error)
        if main:
            _tell_failure(folder, reporter, failure.kind, failure.message)
        return FAILED


def _tell_failure(folder: JobFolder, reporter: Reporter | None, kind: str, message: str) -> None:
    """Makes room on a full disk, then says what happened; state.json is what must be written."""
    folder.free_reserve()
    if folder.checkpoints.is_dir():
        _, rejected = find_checkpoint(folder.checkpoints)
        for item in rejected:
            shutil.rmtree(folder.checkpoints / item.name, ignore_errors=True)
    steps = reporter.steps if reporter else 0
    state = {"status": "failed", "kind": kind, "message": message, "steps": steps}
    write_json(folder.state, {**state, "updated": time.time()})
    if reporter:
        with _disk_may_be_full():
            reporter.tell(message, level="error")
            reporter.summarize()


def _train(folder: JobFolder, reporter: Reporter, is_stopped: Callable[[], bool]) -> int:
    from reranker.training.adapters import clear_unfinished, save_final
    from reranker.training.card import write_card

    settings = load_settings(folder.config)
    reporter.set_status("preparing", "reads the data and loads the student")
    if reporter.main:
        clear_unfinished(folder)
    trainer = _prepare(settings, reporter, is_stopped)
    checkpoint = _choose_checkpoint(folder, reporter)
    if is_stopped():
        reporter.set_status("stopped", "was stopped before its first step")
        return STOPPED
    reporter.set_status("running")
    trainer.train(resume_from_checkpoint=checkpoint)
    best = save_final(trainer, reporter, trainer.plan.base, trainer.state.global_step)
    ended = _find_reason(trainer)
    reporter.summarize(steps_done=trainer.state.global_step, best_step=best.step or None)
    if reporter.main:
        write_text_whole(folder.card, write_card(folder, settings, read_json(folder.data)))
        shutil.copyfile(folder.card, folder.adapter / folder.card.name)
        folder.free_reserve()
    stopped = ended == "stopped"
    message = "stopped after its step; everything is saved" if stopped else ended or "finished"
    reporter.tell(message, step=trainer.state.global_step)
    reporter.set_status("stopped" if stopped else "done", message)
    return STOPPED if stopped else DONE


def _prepare(
    settings: TrainingSettings, reporter: Reporter, is_stopped: Callable[[], bool]
) -> JobTrainer:
    """Reads and checks the data, notes what they and the machine are, and builds the trainer."""
    import torch

    from reranker.examples.load import load_ranking_data, load_text_data
    from reranker.examples.report import (
        describe_ranking_data,
        describe_text_data,
        require_usable,
    )
    from reranker.training.distill import build_distillation
    from reranker.training.reporter import describe_environment
    from reranker.training.sft import build_sft

    if settings.threads:
        torch.set_num_threads(settings.threads)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if settings.stage == "stage1":
        lists = load_ranking_data(settings.data, settings.seed)
        report = describe_ranking_data(lists, settings)
    else:
        texts = load_text_data(settings.data, settings.seed)
        report = describe_text_data(texts)
    require_usable(report, allow_leakage=settings.data.allow_leakage)
    if reporter.main:
        _require_same_data(reporter.folder, report.hashes)
        write_json(reporter.folder.data, asdict(report))
        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        write_json(
            reporter.folder.environment,
            {**describe_environment(torch.get_num_threads()), "gpu": gpu},
        )
    if settings.stage == "stage1":
        return build_distillation(settings, lists, reporter, is_stopped=is_stopped, world=world)
    return build_sft(settings, texts, reporter, is_stopped=is_stopped, world=world)


def _require_same_data(folder: JobFolder, hashes: dict[str, str]) -> None:
    """A job that goes on with other data would be neither the one nor the other."""
    before = read_json(folder.data).get("hashes", hashes)
    if before != hashes:
        changed = ", ".join(name for name in hashes if before.get(name) != hashes[name])
        raise InputError(
            f"expected the data this job began with, got changed ones ({changed}); put them back, "
            "or start a new job"
        )


def _choose_checkpoint(folder: JobFolder, reporter: Reporter) -> str | None:
    """The newest whole checkpoint; damaged ones are told of and set aside."""
    found, rejected = find_checkpoint(folder.checkpoints)
    resumed = int(read_json(folder.process).get("attempt", 1)) > 1
    step = found.step if found else 0
    if reporter.main:
        for item in rejected:
            told = "the one before is used" if found else "the job begins again"
            reporter.tell(
                f"{item.name} cannot be used ({item.reason}); {told}", step=step, level="warning"
            )
        set_aside(folder.checkpoints, rejected)
        if resumed or found:
            reporter.tell_resume(step)
            reporter.tell(f"goes on after step {step}", step=step)
    return str(found.path) if found else None


def _find_reason(trainer: JobTrainer) -> str:
    from reranker.training.job_trainer import JobCallback

    callbacks: list[Any] = trainer.callback_handler.callbacks
    return next(c.ended_early for c in callbacks if isinstance(c, JobCallback))


def _register(folder: JobFolder) -> float:
    """Waits for whoever started this process to note it, or notes it itself; when it asked."""
    me = identify_process()
    deadline = time.monotonic() + REGISTER_SECONDS
    started_by_other = os.getsid(0) == os.getpid()
    while started_by_other and time.monotonic() < deadline:
        record = read_json(folder.process)
        if record.get("pid") == me.pid:
            return float(record["asked"])
        time.sleep(0.02)
    register_process(folder, me)
    return float(read_json(folder.process)["asked"])


def listen_for_signals() -> list[int]:
    """A list that fills when the process is asked to end: the step is finished and saved."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, frame: received.append(got))
    return received


@contextmanager
def _disk_may_be_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.error("could not be written: %s", error)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DearError as error:
        sys.exit(f"error: {error}")
