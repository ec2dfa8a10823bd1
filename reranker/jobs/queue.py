"""One heavy job at a time: a lock the system lets go of when its holder dies.

Takes the folder of all jobs, gives the right to run. Knows no model. Whoever waits is a
process of its own that has loaded nothing yet; the order is that of asking.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from reranker.errors import CancelledError, InputError

POLL_SECONDS = 0.5


def count_slots() -> int:
    """How many heavy jobs may run at once: $DEAR_JOB_SLOTS, else 1. Raises InputError."""
    text = os.environ.get("DEAR_JOB_SLOTS", "1")
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise InputError(f"expected DEAR_JOB_SLOTS from 1 to 64, got {text!r}; change it")
    return int(text)


@contextmanager
def hold_lock(path: Path, *, patience_seconds: float = 0.0) -> Iterator[bool]:
    """Tries for the lock file; yields whether it was got. The kernel frees it at exit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    with path.open("a") as file:
        while not (mine := _try_lock(file)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 10)
        yield mine


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def wait_for_slot(
    root: Path, *, is_first: Callable[[], bool], is_stopped: Callable[[], bool]
) -> Iterator[None]:
    """Waits until a slot is free and nobody asked before, and holds it.

    is_first: whether no job that asked earlier still waits. Raises CancelledError when stopped.
    """
    slots = [root / f"slot-{number}.lock" for number in range(count_slots())]
    while True:
        if is_stopped():
            raise CancelledError("the job was stopped while it waited for its turn")
        if is_first():
            for slot in slots:
                with hold_lock(slot) as mine:
                    if mine:
                        yield
                        return
        time.sleep(POLL_SECONDS)
