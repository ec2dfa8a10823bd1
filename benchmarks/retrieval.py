"""Times retrieval over wiki passages: building the index, opening it again, and searching.

Run it as `python -m benchmarks.retrieval`. It reads the wiki passages and SQuAD dev questions
of the real collections ($DEAR_DATA, else ../shared/data) and uses an empty cache folder of its
own, so that the first index is really built and the second really memory-mapped, by a process
that holds nothing yet.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import lzma
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reranker.corpora.corpus import make_corpus
from reranker.retrieval.bm25 import Retriever, RetrieverKind, build_retriever
from reranker.types import Passage

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Time retrieval over wiki passages.")
    parser.add_argument("--passages", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--depth", type=int, default=100, help="hits per query")
    parser.add_argument("--kind", choices=("rank_bm25", "bm25s"), help="default: by corpus size")
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.again:
        measure(arguments.passages, arguments.queries, arguments.depth, arguments.kind)
        return
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "benchmarks.retrieval", "--again", *sys.argv[1:]]
        for title in ("index built", "index opened again"):
            print(f"-- {title}", flush=True)
            subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "DEAR_CACHE": cache})


def measure(passages: int, queries: int, depth: int, kind: RetrieverKind | None) -> None:
    data = Path(os.environ.get("DEAR_DATA") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        sys.exit(f"expected the real collections, got nothing at {data}; set DEAR_DATA")
    corpus = make_corpus(read_passages(data, passages), corpus_id="wiki")
    print(f"{'passages':<28}{len(corpus):>12,}")
    print(f"{'peak memory, corpus only':<28}{read_peak_mib():>8,.0f} MiB")
    begin = time.perf_counter()
    retriever = build_retriever(corpus, kind=kind)
    print(f"{'ready after':<28}{time.perf_counter() - begin:>10.1f} s   {retriever.description}")
    print(f"{'peak memory, ready':<28}{read_peak_mib():>8,.0f} MiB")
    times = time_queries(retriever, read_questions(data, queries), depth)
    slices = statistics.quantiles(times, n=20)
    print(f"{'queries':<28}{len(times):>12,}  depth {depth}")
    print(f"{'per query, p50':<28}{statistics.median(times) * 1000:>9.1f} ms")
    print(f"{'per query, p95':<28}{slices[-1] * 1000:>9.1f} ms")
    print(f"{'per query, slowest':<28}{max(times) * 1000:>9.1f} ms")
    print(f"{'peak memory, all':<28}{read_peak_mib():>8,.0f} MiB")


def time_queries(retriever: Retriever, questions: list[str], depth: int) -> list[float]:
    """Seconds for each question, in order."""
    times = []
    for question in questions:
        begin = time.perf_counter()
        retriever.search(question, depth)
        times.append(time.perf_counter() - begin)
    return times


def read_passages(data: Path, limit: int) -> Iterator[Passage]:
    def read_all() -> Iterator[Passage]:
        for path in sorted((data / "wiki").glob("*.jsonl.xz")):
            with lzma.open(path, "rt", encoding="utf-8") as stream:
                for line in stream:
                    row = json.loads(line)
                    yield Passage(doc_id=row["_id"], title=row["title"], text=row["text"])

    return itertools.islice(read_all(), limit)


def read_questions(data: Path, limit: int) -> list[str]:
    with gzip.open(data / "squad" / "questions.dev.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line)["text"] for line in stream]
    return rows[:: max(1, len(rows) // limit)][:limit]


def read_peak_mib() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
