"""The command line: rank, rerank, evaluate, replay, students, corpora.

Takes arguments, writes results to standard output and progress to standard error. Exit codes:
0 done, 1 the work could not be done (the message says what to do), 2 wrong arguments, 130
stopped. Knows files and the pipeline; imports model libraries only in the commands that rank.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reranker.config import DEFAULT_STUDENT, list_students, load_profile
from reranker.corpora import list_corpora, load_corpus
from reranker.errors import DearError, InputError
from reranker.evaluation.measures import DEFAULT_MEASURES, evaluate_run, parse_measures
from reranker.results import describe_ranking
from reranker.retrieval import build_retriever
from reranker.trace import compare_traces, dump_trace, load_trace
from reranker.trec import rank_by_position, read_candidates, read_qrels, read_run, write_run
from reranker.types import (
    Query,
    RankEvent,
    RankingTrace,
    RankSettings,
    StageProgress,
)

if TYPE_CHECKING:
    from reranker.student.student import Student

WIDTH = 96


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _build_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except DearError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def run_rank(options: argparse.Namespace) -> int:
    """One query over a corpus."""
    corpus = load_corpus(options.corpus)
    retriever = build_retriever(corpus)
    _say(retriever.description)
    started = time.perf_counter()
    hits = retriever.search(options.query, options.depth)
    from reranker.pipeline import RankRequest, rank

    request = RankRequest(
        query=Query(query_id="q1", text=options.query),
        hits=hits,
        corpus_id=corpus.corpus_id,
        corpus_sha256=corpus.sha256,
        bm25_seconds=time.perf_counter() - started,
    )
    trace = rank(_load_student(options), request, _settings(options), on_event=_show_progress)
    if options.trace:
        _write(options.trace, dump_trace(trace))
    if options.trec:
        write_run(options.trec, {"q1": rank_by_position(trace.final_order)}, trace.student.name)
    if options.json:
        _print(json.dumps(describe_ranking(trace), ensure_ascii=False, indent=1))
    else:
        _print(format_ranking(trace))
    return 0


def run_rerank(options: argparse.Namespace) -> int:
    """Candidate lists from a file, query by query."""
    from reranker.pipeline import RankRequest, rank

    if not (options.trec or options.json):
        raise InputError("expected --trec OUT or --json OUT (or both), got neither; name one")
    lists = read_candidates(options.candidates)
    student, settings = _load_student(options), _settings(options)
    rankings, described = {}, []
    for number, candidates in enumerate(lists, start=1):
        _say(f"query {number} of {len(lists)}: {candidates.query.text[:70]}")
        depth = options.depth or len(candidates.hits)
        request = RankRequest(query=candidates.query, hits=candidates.hits)
        trace = rank(student, request, replace(settings, depth=max(1, depth)))
        rankings[candidates.query.query_id] = rank_by_position(trace.final_order)
        described.append(describe_ranking(trace))
    if options.trec:
        write_run(options.trec, rankings, student.profile.name)
    if options.json:
        _write(options.json, json.dumps(described, ensure_ascii=False, indent=1))
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """A run against qrels, one line a measure."""
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
    from reranker.pipeline import RankRequest, rank
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


def format_ranking(trace: RankingTrace) -> str:
    """A ranking as text: one block a passage, with its history, verdict, reason and quote."""
    lines = [
        f"{trace.query.text}",
        f"{trace.student.name}, {trace.student.quantization}; "
        + ", ".join(f"{t.stage} {t.seconds:.2f} s" for t in trace.timings)
        + f"; stage 2 changed {trace.stage2_changes} of {len(trace.hits)} places",
        "",
    ]
    for hit in trace.ranked_hits():
        score = "" if hit.score is None else f"  logit {hit.score:.2f}"
        history = " > ".join(str(r) for r in (hit.rank_bm25, hit.rank_stage1, hit.rank) if r)
        title = hit.passage.title or hit.passage.text[:60]
        lines.append(f"{hit.rank:>3}. {title} ({hit.passage.doc_id})  ranks {history}{score}")
        if justification := hit.justification:
            verdict = (justification.verdict or "no verdict").replace("_", " ")
            note = f"{verdict}: {justification.text}"
            if justification.source == "fallback":
                note = f"[not the student's words] {note}"
            lines.extend(textwrap.wrap(note, WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5))
            for evidence in justification.evidence:
                quote = textwrap.shorten(evidence.text, 2 * WIDTH)
                lines.extend(
                    textwrap.wrap(f"“{quote}”", WIDTH, initial_indent="   | ", subsequent_indent="   | ")
                )
    for defect in trace.defects:
        lines.append(f"defect: {defect.kind} {defect.doc_id} {defect.detail}")
    return "\n".join(lines)


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
        stages=options.stages,
        mode=options.mode.replace("-", "_"),
        final=options.final,
        window_size=options.window_size,
        stride=options.stride,
        grounding=not options.no_grounding,
        seed=options.seed,
    )


def _show_progress(event: RankEvent) -> None:
    if isinstance(event, StageProgress):
        _say(f"{event.stage} {event.done}/{event.total} {event.message}".rstrip())


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


def _print(message: str) -> None:
    sys.stdout.write(message + "\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"expected to write here, got {error.strerror}", where=str(path)) from error


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reranker", description="Rank passages in two stages and say why."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    rank = commands.add_parser("rank", help="one query over a corpus")
    rank.add_argument("--corpus", default="everyday-science", help="name, file, folder or zip")
    rank.add_argument("--query", required=True)
    rank.add_argument("--json", action="store_true", help="print one JSON object")
    rank.add_argument("--trec", type=Path, metavar="OUT", help="write a TREC run")
    rank.add_argument("--trace", type=Path, metavar="OUT", help="write the full trace")
    _add_ranking_options(rank, depth=20)
    rank.set_defaults(run=run_rank)

    rerank = commands.add_parser("rerank", help="candidate lists from a file")
    rerank.add_argument("--candidates", type=Path, required=True, metavar="FILE")
    rerank.add_argument("--trec", type=Path, metavar="OUT", help="write a TREC run")
    rerank.add_argument("--json", type=Path, metavar="OUT", help="write a JSON list of rankings")
    _add_ranking_options(rerank, depth=None)
    rerank.set_defaults(run=run_rerank)

    evaluate = commands.add_parser("evaluate", help="a run against qrels")
    evaluate.add_argument("--run", dest="run_file", type=Path, required=True, metavar="FILE")
    evaluate.add_argument("--qrels", type=Path, required=True, metavar="FILE")
    evaluate.add_argument("--measures", default=DEFAULT_MEASURES)
    evaluate.set_defaults(run=run_evaluate)

    replay = commands.add_parser("replay", help="rank a trace again and compare every rank")
    replay.add_argument("trace", type=Path)
    replay.add_argument("--student", help="another student than the trace names")
    replay.set_defaults(run=run_replay)

    commands.add_parser("students", help="list students").set_defaults(run=run_students)
    commands.add_parser("corpora", help="list corpora").set_defaults(run=run_corpora)
    return parser


def _add_ranking_options(parser: argparse.ArgumentParser, depth: int | None) -> None:
    add = parser.add_argument
    add("--depth", type=int, default=depth, help="candidates to rerank")
    add("--stages", choices=("none", "1", "2", "both"), default="both")
    add("--mode", choices=("reason-first", "rank-first"), default="reason-first")
    add("--final", choices=("stage2", "blend", "stage1"), help="default: the profile's")
    add("--window-size", type=int, help="default: the profile's")
    add("--stride", type=int, help="default: the profile's")
    add("--student", default=DEFAULT_STUDENT, help="profile name or folder")
    add("--quantization", choices=("nf4", "bf16", "fp32"), help="default: the profile's")
    add("--stage1-adapter", metavar="FOLDER", help="another stage-1 adapter ('' for none)")
    add("--stage2-adapter", metavar="FOLDER", help="another stage-2 adapter ('' for none)")
    add("--no-grounding", action="store_true", help="let quotes be checked, not constrained")
    add("--seed", type=int, default=0)
