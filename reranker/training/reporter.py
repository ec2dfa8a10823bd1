"""What a trainer writes into its job's folder: state, progress, evaluations, summary.

Takes figures, writes files. Only the first process of a distributed run writes; the others'
reporters do nothing. Knows no model.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from typing import Any

from reranker.jobs.folder import JobFolder, read_json, write_json
from reranker.jobs.job import Status
from reranker.jobs.progress import EVALUATION, RESUME, STEP, ProgressLog

_LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "safetensors", "numpy")


class Reporter:
    """One attempt's words. `main` is False for all but the first process."""

    def __init__(self, folder: JobFolder, *, main: bool = True) -> None:
        self.folder, self.main = folder, main
        self.steps = 0
        self._began = time.monotonic()
        self._seconds_before = 0.0
        self._log: ProgressLog | None = None
        if main:
            self._log = ProgressLog(folder.progress)
            self._seconds_before = float(read_json(folder.summary).get("seconds", 0.0))

    @property
    def seconds(self) -> float:
        """Seconds of all attempts together."""
        return self._seconds_before + time.monotonic() - self._began

    def set_status(self, status: Status, message: str = "", **more: Any) -> None:
        """Replaces state.json."""
        if self.main:
            record = {"status": status, "message": message, "steps": self.steps, **more}
            write_json(self.folder.state, {**record, "updated": time.time()})

    def tell(self, message: str, *, step: int = 0, level: str = "info") -> None:
        if self._log:
            self._log.tell(message, step=step, level=level)

    def tell_step(self, step: int, **figures: Any) -> None:
        if self._log:
            self._log.append(STEP, step=step, **figures)

    def tell_resume(self, step: int) -> None:
        """What was told of later steps no longer counts."""
        if self._log:
            self._log.append(RESUME, step=step)

    def tell_evaluation(
        self, step: int, measures: dict[str, float], seconds: float, detail: dict[str, Any]
    ) -> None:
        """A line of progress, and the values of each query in evaluations/step-<n>.json."""
        if self._log:
            self.folder.evaluations.mkdir(exist_ok=True)
            record = {"step": step, "measures": measures, **detail}
            write_json(self.folder.evaluations / f"step-{step}.json", record)
            self._log.append(EVALUATION, step=step, measures=measures, seconds=seconds)

    def keep_queries(self, texts: dict[str, str]) -> None:
        """What each dev query asks, by its id, for whoever reads its values."""
        if self.main:
            self.folder.evaluations.mkdir(exist_ok=True)
            write_json(self.folder.queries, texts)

    def summarize(self, **figures: Any) -> None:
        """Adds figures to summary.json."""
        if self.main:
            summary = read_json(self.folder.summary)
            write_json(self.folder.summary, {**summary, **figures, "seconds": self.seconds})


def describe_environment(threads: int) -> dict[str, Any]:
    """What the machine and the libraries are; nothing of the user's environment."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
