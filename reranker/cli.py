"""The command line: rank, rerank, evaluate, replay, students, corpora.

Takes arguments, writes results to standard output and progress to standard error. Exit codes:
0 done, 1 the work could not be done (the message says what to do), 2 wrong arguments, 130
stopped. Knows files and the pipeline; imports model libraries only in the commands that rank.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reranker.arguments import STANDARD_OUTPUT, Command, build_parser, check_evaluate
from reranker.config import list_students, load_profile
from reranker.corpora import list_corpora, load_corpus, load_queries
from reranker.errors import DearError, InputError
from reranker.evaluate_command import evaluate_systems
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.progress import RankEvent, StageProgress
from reranker.results import describe_ranking, format_ranking
from reranker.retrieval import Retriever, build_retriever
from reranker.trace import compare_traces, dump_trace, load_trace
from reranker.trec import rank_by_position, read_candidates, read_qrels, read_run, write_run
from reranker.types import Query, RankSettings

DEFAULT_DEPTH = 100

if TYPE_CHECKING:
    from reranker.request import RankRequest
    from reranker.student.student import Student


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = build_parser(COMMANDS)
    options = parser.parse_args(arguments)
    if options.run is run_evaluate:
        check_evaluate(parser, options)
    try:
        code = int(options.run(options) or 0)
        sys.stdout.flush()  # here, where a reader that has left can still be answered
        return code
    except DearError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    except BrokenPipeError:
        # `… | head` has left. Python flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run_rank(options: argparse.Namespace) -> int:
    """One query over a corpus."""
    from reranker.pipeline import rank

    _check_folders(options.trace, options.trec)
    corpus = load_corpus(options.corpus)
    retriever = build_retriever(corpus)
    _say(retriever.description)
    request = _retrieve(retriever, Query(query_id="q1", text=options.query), options.depth)
    trace = rank(_load_student(options), request, _settings(options), on_event=_show_progress)
    if options.trace:
        _write(options.trace, dump_trace(trace))
    if options.trec:
        ranking = {"q1": rank_by_position(trace.final_order)}
        with _writing(options.trec):
            write_run(options.trec, ranking, trace.student.name)
    if options.json:
        _print(json.dumps(describe_ranking(trace), ensure_ascii=False, indent=1))
    else:
        _print(format_ranking(trace))
    return 0


def run_rerank(options: argparse.Namespace) -> int:
    """Candidate lists from a file, or BM25's for every query of a corpus, query by query."""
    from reranker.pipeline import rank

    if not (options.trec or options.json):
        raise InputError("expected --trec OUT or --json (or both), got neither; name one")
    _check_folders(options.trec, options.json)
    requests = _read_requests(options)
    student, settings = _load_student(options), _settings(options)
    rankings, described = {}, []
    for number, request in enumerate(requests, start=1):
        _say(f"query {number} of {len(requests)}: {request.query.text[:70]}")
        depth = options.depth or max(1, len(request.hits))
        trace = rank(student, request, replace(settings, depth=depth))
        rankings[request.query.query_id] = rank_by_position(trace.final_order)
        described.append(describe_ranking(trace))
    if options.trec:
        with _writing(options.trec):
            write_run(options.trec, rankings, student.profile.name)
    if options.json:
        text = json.dumps(described, ensure_ascii=False, indent=1)
        _print(text) if options.json == STANDARD_OUTPUT else _write(options.json, text)
    return 0


def _read_requests(options: argparse.Namespace) -> list[RankRequest]:
    from reranker.request import RankRequest

    if options.candidates:
        return [
            RankRequest(query=candidates.query, hits=candidates.hits)
            for candidates in read_candidates(options.candidates)
        ]
    retriever = build_retriever(load_corpus(options.corpus))
    queries = load_queries(options.corpus)
    if not queries:
        raise InputError(
            "expected a corpus with queries.jsonl, got one without; give --candidates FILE",
            where=options.corpus,
        )
    return [_retrieve(retriever, query, options.depth or DEFAULT_DEPTH) for query in queries]


def _retrieve(retriever: Retriever, query: Query, depth: int) -> RankRequest:
    from reranker.request import RankRequest

    started = time.perf_counter()
    return RankRequest(
        hits=retriever.search(query.text, depth),
        query=query,
        corpus_id=retriever.corpus.corpus_id,
        corpus_sha256=retriever.corpus.sha256,
        bm25_seconds=time.perf_counter() - started,
    )


def run_evaluate(options: argparse.Namespace) -> int:
    """A run against qrels, one line a measure; or systems over a collection, as a table."""
    if not options.run_file:
        _print(evaluate_systems(options, _say).rstrip("\n"))
        return 0
    evaluation = evaluate_run(
        read_run(options.run_file), read_qrels(options.qrels), parse_measures(options.measures)
    )
    for name, mean in evaluation.means.items():
        _print(f"{name}\t{mean:.4f}")
    if evaluation.missing:
        _say(f"{len(evaluation.missing)} queries of the qrels are missing in the run: counted as 0")
    return 0


def run_replay(options: argparse.Namespace) -> int:
    """Ranks a trace's candidates again; exit code 1 when any rank differs."""
    from reranker.pipeline import rank
    from reranker.request import RankRequest
    from reranker.student.student import load_student

    old = load_trace(options.trace)
    student = load_student(options.student or old.student.name, old.student.quantization)
    request = RankRequest(
        query=old.query,
        hits=old.hits,
        corpus_id=old.corpus_id,
        corpus_sha256=old.corpus_sha256,
    )
    new = rank(student, request, old.settings, on_event=_show_progress)
    comparison = compare_traces(old, new)
    for note in comparison.notes:
        _print(f"note: {note}")
    for doc_id, before, after in comparison.moved:
        _print(f"{doc_id}: rank {before} then, {after} now")
    count = len(old.final_order)
    same = "identical" if comparison.identical else f"{len(comparison.moved)} of {count} differ"
    _print(f"{count} ranks: {same}")
    return 0 if comparison.identical else 1


def run_students(options: argparse.Namespace) -> int:
    """The students that can be named."""
    for name in list_students():
        profile = load_profile(name)
        _print(f"{name}\t{profile.quantization}\t{profile.licence}\t{profile.description}")
    return 0


def run_corpora(options: argparse.Namespace) -> int:
    """The corpora that need no file."""
    for info in list_corpora():
        _print(f"{info.corpus_id}\t{info.title}\t{info.description}")
    return 0


def _load_student(options: argparse.Namespace) -> Student:
    from reranker.student.student import load_student

    return load_student(
        options.student,
        options.quantization,
        stage1_adapter=options.stage1_adapter,
        stage2_adapter=options.stage2_adapter,
    )


def _settings(options: argparse.Namespace) -> RankSettings:
    return RankSettings(
        depth=options.depth or RankSettings().depth,
        stage2_depth=options.stage2_depth,
        stages=options.stages,
        mode=options.mode.replace("-", "_"),
        final=options.final,
        window_size=options.window_size,
        stride=options.stride,
        grounding=not options.no_grounding,
        seed=options.seed,
        shuffles=options.shuffles,
    )


def _show_progress(event: RankEvent) -> None:
    if isinstance(event, StageProgress):
        _say(f"{event.stage} {event.done}/{event.total} {event.message}".rstrip())


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


def _print(message: str) -> None:
    sys.stdout.write(message + "\n")


def _write(path: Path, text: str) -> None:
    with _writing(path):
        path.write_text(text + "\n", encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"expected to write here, got {error.strerror}; choose another place", where=str(path)
        ) from error


def _check_folders(*paths: Path | None) -> None:
    """Raises InputError for a result that could not be written, before any work is done."""
    for path in paths:
        if path and not path.parent.is_dir():
            raise InputError(
                f"expected a folder to write in, got none called {str(path.parent)!r}; make it "
                "or choose another place",
                where=str(path),
            )


COMMANDS: dict[str, Command] = {
    "rank": run_rank,
    "rerank": run_rerank,
    "evaluate": run_evaluate,
    "replay": run_replay,
    "students": run_students,
    "corpora": run_corpora,
}
