"""The command line of explanations over a whole query set: precisions, and what stage 2 is worth.

Takes parsed arguments, writes a table to standard output and progress to standard error. The model
libraries are loaded only by the functions that run.
"""

from __future__ import annotations

import argparse
import csv
import sys
from typing import TYPE_CHECKING, Any, get_args

from reranker.config import DEFAULT_STUDENT
from reranker.corpora import load_corpus, load_qrels, load_queries
from reranker.errors import InputError
from reranker.explain.benefit import choose_rule, judge_benefit, report_rule, sum_by_kind
from reranker.explain.tables import ResultTable
from reranker.retrieval import build_retriever
from reranker.types import Quantization, Query, RankSettings

if TYPE_CHECKING:
    from reranker.request import RankRequest


def add_set_questions(actions: Any) -> None:
    """Adds `parity` and `benefit` to the questions of `explain`."""
    parity = actions.add_parser("parity", help="what a quantisation changes over a query set")
    add = parity.add_argument
    add("--corpus", default="everyday-science", help="a corpus with queries and qrels")
    add("--student", default=DEFAULT_STUDENT)
    add("--quantizations", nargs="+", choices=get_args(Quantization),
        default=["fp32", "bf16", "int8", "nf4", "fp4"], help="the reference first")  # fmt: skip
    add("--stages", choices=("1", "both"), default="1")
    add("--depth", type=int, default=20)
    add("--queries", type=int, help="only the first so many")
    parity.set_defaults(run=run_parity)
    benefit = actions.add_parser("benefit", help="whether stage 2 helps, and when not to listen")
    add = benefit.add_argument
    add("--choose-on", default="everyday-science", help="a corpus to choose the rule on")
    add("--report-on", help="another corpus to report it on (default: every second query)")
    add("--student", default=DEFAULT_STUDENT)
    add("--depth", type=int, default=20)
    add("--queries", type=int, help="only the first so many of each")
    benefit.set_defaults(run=run_benefit)


def run_parity(options: argparse.Namespace) -> int:
    """A line per precision against the first."""
    from reranker.explain.parity import measure_parity
    from reranker.student.student import load_student

    requests, qrels = _open_set(options.corpus, options.depth, options.queries)
    found = measure_parity(
        lambda quantization: load_student(options.student, quantization),
        requests,
        qrels,
        options.quantizations,
        settings=RankSettings(depth=options.depth, stages=options.stages),
        progress=lambda done, total, message: say(f"{done}/{total} {message}"),
    )
    rows = tuple(
        (r.quantization, r.ndcg, r.delta.estimate, r.delta.low, r.delta.high, r.drift,
         r.worst_drift, r.tau, r.same_top, r.memory_bytes, r.seconds)
        for r in found.rows
    )  # fmt: skip
    columns = ("quantization", "nDCG@10", "delta", "low", "high", "drift", "worst_drift", "tau",
               "same_top", "memory_bytes", "seconds")  # fmt: skip
    write_table(sys.stdout, ResultTable(columns=columns, rows=rows), "\t")
    return 0


def run_benefit(options: argparse.Namespace) -> int:
    """Help and harm by kind of question, and a fallback rule on queries it was not chosen on."""
    from reranker.pipeline import rank
    from reranker.student.student import load_student

    student = load_student(options.student)
    sets = []
    for corpus in filter(None, (options.choose_on, options.report_on)):
        requests, qrels = _open_set(corpus, options.depth, options.queries)
        traces = []
        for number, request in enumerate(requests, start=1):
            traces.append(rank(student, request, RankSettings(depth=options.depth, final="stage2")))
            say(f"{corpus}: {number}/{len(requests)}")
        sets.append(judge_benefit(traces, qrels, student.profile))
    chosen, reported = sets if len(sets) == 2 else (sets[0][::2], sets[0][1::2])
    rows = tuple(
        (k.asks or "all", k.queries, k.helped, k.harmed, k.delta.estimate, k.delta.low,
         k.delta.high, k.seconds)
        for k in sum_by_kind(reported)
    )  # fmt: skip
    columns = ("asks", "queries", "helped", "harmed", "delta", "low", "high", "seconds")
    write_table(sys.stdout, ResultTable(columns=columns, rows=rows), "\t")
    report = report_rule(choose_rule(chosen), reported)
    say(
        f"rule: {report.rule.describe()}; falls back on "
        f"{report.fallback:.0%}, nDCG@10 {report.ndcg.estimate:.4f}, against stage 1 "
        f"{report.against_stage1.estimate:+.4f}, against stage 2 "
        f"{report.against_stage2.estimate:+.4f}"
    )
    return 0


def _open_set(corpus: str, depth: int, limit: int | None) -> tuple[list[RankRequest], Any]:
    qrels = load_qrels(corpus)
    queries = [query for query in load_queries(corpus) if query.query_id in qrels][:limit]
    if not queries:
        raise InputError("expected a corpus with judged queries, got none", where=corpus)
    return list_requests(corpus, depth, queries), qrels


def list_requests(corpus: str, depth: int, queries: list[Query]) -> list[RankRequest]:
    """BM25's hits for each query."""
    from reranker.request import RankRequest

    retriever = build_retriever(load_corpus(corpus))
    return [
        RankRequest(
            query=query,
            hits=retriever.search(query.text, depth),
            corpus_id=retriever.corpus.corpus_id,
            corpus_sha256=retriever.corpus.sha256,
        )
        for query in queries
    ]


def write_table(file: Any, table: ResultTable, separator: str) -> None:
    """Values in full, a header first."""
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)


def say(message: str) -> None:
    """A line on standard error."""
    sys.stderr.write(message + "\n")
