"""How long comparing takes: 8 runs x 1,000 queries x 100 passages, read from TREC files.

Run it as `python -m benchmarks.compare`. Runs and qrels are made up from a seed, written as files
and read back, so that everything a person waits for is in the figures. Prints Markdown.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe_machine
from reranker.evaluation.contrast import list_contrasts, sort_contrasts
from reranker.evaluation.drilldown import view_query
from reranker.evaluation.failure_views import measure_effect
from reranker.evaluation.run_set import load_run, make_run_set
from reranker.trec import Qrels, read_qrels, write_qrels, write_run

DOCS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the comparison of runs.")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--measures", default="nDCG@10 RR AP")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths, qrels = write_files(Path(folder), options.runs, options.queries, options.depth)
        lines = time_comparison(paths, qrels, options.measures)
    shape = f"{options.runs} runs x {options.queries:,} queries x {options.depth} passages"
    sys.stdout.write(
        f"{shape}; {describe_machine()}\n\n| what | seconds | of the processor |\n|---|---|---|\n"
    )
    sys.stdout.write("".join(f"| {what} | {wall:.2f} | {cpu:.2f} |\n" for what, wall, cpu in lines))


def write_files(folder: Path, runs: int, queries: int, depth: int) -> tuple[list[Path], Path]:
    """Runs that share most of their candidates in different orders, and judgements for them."""
    draw = random.Random(0)
    candidates = {
        f"q{n}": [f"doc{d}" for d in draw.sample(range(DOCS), depth)] for n in range(queries)
    }
    paths = []
    for number in range(runs):
        rankings = {
            query_id: sorted(((d, draw.random()) for d in docs), key=lambda pair: -pair[1])
            for query_id, docs in candidates.items()
        }
        paths.append(folder / f"run{number}.trec")
        write_run(paths[-1], rankings, "made")
    qrels: Qrels = {
        query_id: {d: draw.choice((0, 1, 2, 3)) for d in draw.sample(docs, min(40, depth))}
        for query_id, docs in candidates.items()
    }
    write_qrels(folder / "qrels.txt", qrels)
    return paths, folder / "qrels.txt"


def time_comparison(
    paths: list[Path], qrels_file: Path, measures: str
) -> list[tuple[str, float, float]]:
    """What, seconds and processor seconds of each step, and their sum up to the first picture."""
    found: list[tuple[str, float, float]] = []
    wall, cpu = time.perf_counter(), time.process_time()

    def note(what: str) -> None:
        nonlocal wall, cpu
        now, used = time.perf_counter(), time.process_time()
        found.append((what, now - wall, used - cpu))
        wall, cpu = now, used

    runs = make_run_set([load_run(path) for path in paths], read_qrels(qrels_file))
    note("read runs and qrels, report oddities")
    runs.tabulate(measures)
    note(f"table of {measures} with intervals and tests")
    rows = sort_contrasts(list_contrasts(runs, *runs.names[:2]), "contrast")
    note("queries in contrast order (RBO of all pairs)")
    found.append(("all of these", sum(row[1] for row in found), sum(row[2] for row in found)))
    measure_effect(runs, *runs.names[:2])
    note("what one run did to another")
    view_query(runs, rows[0].query_id)
    note("one query side by side")
    return found


if __name__ == "__main__":
    main()
