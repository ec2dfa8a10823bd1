"""Which process is a job's trainer, and whether it still runs.

Takes process ids, returns identities that can be written to disk. A process id alone is used
again by the system; with the time the process began it names one process for ever.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_LIBC = ctypes.CDLL(None) if os.name == "posix" else None
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessIdentity:
    """pid and when it began, as the system counts it: no setting of a clock changes it."""

    pid: int
    began: str


def identify_process(pid: int | None = None) -> ProcessIdentity:
    """The identity of a running process (this one by default). Raises psutil.NoSuchProcess."""
    pid = os.getpid() if pid is None else pid
    return ProcessIdentity(pid=pid, began=_read_start(pid))


def _read_start(pid: int) -> str:
    """Linux: which boot, and the clock ticks from it to the start. Elsewhere the start time,
    which those systems keep as it was."""
    if not _BOOT_ID.is_file():
        return str(psutil.Process(pid).create_time())
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
    # The name, in brackets, may hold spaces; the start is the 22nd field of all.
    ticks = text.rpartition(")")[2].split()[19]
    return f"{_BOOT_ID.read_text().strip()}+{ticks}"


def read_identity(record: dict[str, Any]) -> ProcessIdentity | None:
    """The identity in a JSON object; None where it holds none."""
    pid, began = record.get("pid"), record.get("began")
    if not isinstance(pid, int) or not isinstance(began, str):
        return None
    return ProcessIdentity(pid=pid, began=began)


def is_running(identity: ProcessIdentity | None) -> bool:
    """Whether exactly this process runs; one that has ended and waits to be reaped does not."""
    if identity is None:
        return False
    try:
        if _read_start(identity.pid) != identity.began:
            return False
        status = psutil.Process(identity.pid).status()
        return status not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def measure_memory() -> int:
    """Bytes of memory this process holds now (its resident set)."""
    return int(psutil.Process().memory_info().rss)


def release_free_memory() -> None:
    """Gives pages that were freed back to the system. With tensors of another size at every step
    glibc's heap otherwise grows to half as much again."""
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


def measure_peak_memory() -> int:
    """Bytes this process held at most so far.

    Linux carries getrusage's figure over from the process that started this one; that of /proc
    is its own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
