"""What a ranking takes beside other work: threads that wait as the page has them wait, and as the
library of threads does by itself.

    python -m benchmarks.contention [--rankings 4] [--out FILE]

One process a setting and a turn, in turns, each ranking the same queries; beside it nothing, or
one process that keeps a core busy, as a browser may. Quoted as the medians of the turns, each
without its first ranking, which warms up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import app  # noqa: F401  (sets how threads wait, unless the environment says so already)
from benchmarks.machine import describe_machine
from benchmarks.quality import load_collection
from reranker.pipeline import rank
from reranker.student.student import load_student
from reranker.types import RankSettings

DEPTH = 20
OWN_WAIT = "300000"
"""GNU libgomp's spins before a thread sleeps, where nothing is set and cores are not too few."""
SETTINGS = {"as the page sets it": None, "as the library has it": OWN_WAIT}


def time_rankings(count: int) -> list[float]:
    """Seconds of each of `count` rankings after a first one."""
    student, collection = load_student(), load_collection("everyday-science")
    assert collection is not None
    seconds = []
    for request in collection.requests[: count + 1]:
        started = time.perf_counter()
        rank(student, request, RankSettings(depth=DEPTH, final="stage2"))
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


@contextmanager
def busy_core(busy: bool) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def measure(count: int, turns: int) -> Iterator[str]:
    for busy in (False, True):
        medians: dict[str, list[float]] = {name: [] for name in SETTINGS}
        for _ in range(turns):
            for name, spins in SETTINGS.items():
                with busy_core(busy):
                    medians[name].append(_run(count, spins))
        ours, other = (statistics.median(medians[name]) for name in SETTINGS)
        place = "one busy core" if busy else "nothing"
        yield f"| {place} | {ours:.1f} s | {other:.1f} s | {other / ours:.2f} |"


def _run(count: int, spins: str | None) -> float:
    command = [sys.executable, "-m", "benchmarks.contention", "--child", "--rankings", str(count)]
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    if spins is not None:
        environment["GOMP_SPINCOUNT"] = spins
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rankings", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="write the table here as well")
    options = parser.parse_args()
    if options.child:
        sys.stdout.write(json.dumps(time_rankings(options.rankings)))
        return
    lines = [
        f"A ranking of {DEPTH} passages by both stages, seconds; {options.turns} turns of "
        f"{options.rankings} rankings. `python -m benchmarks.contention`",
        describe_machine(),
        "",
        f"| beside | {' | '.join(SETTINGS)} | ratio |",
        "|---|---|---|---|",
        *measure(options.rankings, options.turns),
    ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
