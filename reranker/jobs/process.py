"""Which process is a job's trainer, and whether it still runs.

Takes process ids, returns identities that can be written to disk. A process id alone is used
again by the system; with the time the process began it names one process for ever.
"""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from typing import Any

import psutil

# The clock a start time is counted from may be set a little while a process runs.
CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessIdentity:
    """pid and the time it began, in seconds since 1970."""

    pid: int
    began: float


def identify_process(pid: int | None = None) -> ProcessIdentity:
    """The identity of a running process (this one by default). Raises psutil.NoSuchProcess."""
    pid = os.getpid() if pid is None else pid
    return ProcessIdentity(pid=pid, began=psutil.Process(pid).create_time())


def read_identity(record: dict[str, Any]) -> ProcessIdentity | None:
    """The identity in a JSON object; None where it holds none."""
    pid, began = record.get("pid"), record.get("began")
    if not isinstance(pid, int) or not isinstance(began, int | float):
        return None
    return ProcessIdentity(pid=pid, began=float(began))


def is_running(identity: ProcessIdentity | None) -> bool:
    """Whether exactly this process runs; one that has ended and waits to be reaped does not."""
    if identity is None:
        return False
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.began) <= CLOCK_TOLERANCE_SECONDS
        return same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def measure_memory() -> int:
    """Bytes of memory this process holds now (its resident set)."""
    return int(psutil.Process().memory_info().rss)


def measure_peak_memory() -> int:
    """Bytes this process held at most so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
