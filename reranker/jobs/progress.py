"""progress.jsonl: what a job tells while it runs, one JSON object a line, only ever appended.

Takes a path, writes or reads lines. Knows no process. A line torn by a killed trainer or a
full disk is skipped and counted when it is read. After a resume the lines of steps that will be
done again are left out, so that a curve never runs back.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEP, EVALUATION, EVENT, RESUME = "step", "evaluation", "event", "resume"
_KINDS = {STEP, EVALUATION, EVENT, RESUME}


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLine:
    """One optimizer step. parts: the loss and its parts by name, in natural-log units."""

    step: int
    parts: dict[str, float]
    learning_rate: float
    examples_per_second: float
    tokens_per_second: float
    memory_bytes: int
    seconds: float
    eta_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationLine:
    """Dev measures after `step` steps (0: before training) by name, "nDCG@10" among them."""

    step: int
    measures: dict[str, float]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EventLine:
    """Something to tell. level: "info", "warning" or "error"; time: seconds since 1970."""

    step: int
    level: str
    message: str
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What progress.jsonl says; skipped_lines counts those that could not be read."""

    steps: tuple[StepLine, ...] = ()
    evaluations: tuple[EvaluationLine, ...] = ()
    events: tuple[EventLine, ...] = ()
    resumes: int = 0
    skipped_lines: int = 0


class ProgressLog:
    """Appends lines. Each is one write, so that a kill can tear only the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        mend_last_line(path)

    def append(self, kind: str, **fields: Any) -> None:
        """Raises OSError when the disk is full."""
        line = json.dumps({"kind": kind, "time": round(time.time(), 3), **fields})
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)

    def tell(self, message: str, *, step: int = 0, level: str = "info") -> None:
        """Appends an event."""
        self.append(EVENT, step=step, level=level, message=message)


def mend_last_line(path: Path) -> None:
    """A torn last line gets its end, so that the next one does not hang on to it."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def read_progress(path: Path) -> Progress:
    """Everything in the file; an empty Progress when there is none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return Progress()
    steps: list[StepLine] = []
    evaluations: list[EvaluationLine] = []
    events: list[EventLine] = []
    resumes = skipped = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            found = _parse_line(line)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            skipped += 1
            continue
        if isinstance(found, StepLine):
            steps.append(found)
        elif isinstance(found, EvaluationLine):
            evaluations.append(found)
        elif isinstance(found, EventLine):
            events.append(found)
        else:
            resumes += 1
            steps = [s for s in steps if s.step <= found]
            evaluations = [e for e in evaluations if e.step <= found]
    # An evaluation at the step of a checkpoint may have been made again after a resume.
    evaluations = list({e.step: e for e in evaluations}.values())
    return Progress(
        steps=tuple(steps),
        evaluations=tuple(evaluations),
        events=tuple(events),
        resumes=resumes,
        skipped_lines=skipped,
    )


def _parse_line(line: bytes) -> StepLine | EvaluationLine | EventLine | int:
    """A line as its record; the step gone back to for a resume. Raises what JSON and a missing
    or ill-typed field raise."""
    record = json.loads(line)
    kind, step = record["kind"], int(record["step"])
    if kind not in _KINDS:
        raise ValueError(kind)
    if kind == RESUME:
        return step
    if kind == EVENT:
        return EventLine(
            step=step,
            level=str(record["level"]),
            message=str(record["message"]),
            time=float(record["time"]),
        )
    if kind == EVALUATION:
        return EvaluationLine(
            step=step, measures=_numbers(record["measures"]), seconds=float(record["seconds"])
        )
    return StepLine(
        step=step,
        parts=_numbers(record["parts"]),
        learning_rate=float(record["learning_rate"]),
        examples_per_second=float(record["examples_per_second"]),
        tokens_per_second=float(record["tokens_per_second"]),
        memory_bytes=int(record["memory_bytes"]),
        seconds=float(record["seconds"]),
        eta_seconds=float(record["eta_seconds"]),
    )


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    numbers = {str(name): float(value) for name, value in record.items()}
    if not all(math.isfinite(value) for value in numbers.values()):
        raise ValueError("not finite")
    return numbers
