"""The command line of explanations: questions to one ranking, and to a whole query set.

Takes parsed arguments, writes a table to standard output, progress and the cost that is expected
to standard error. The ranking comes from a trace file, or is made for a query. The model libraries
are loaded only by the functions that run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from reranker.config import DEFAULT_STUDENT
from reranker.errors import InputError
from reranker.explain.analyses import Request, Result, estimate_request, run_request
from reranker.explain.attacks import ATTACKS, DEFENCES
from reranker.explain.attribution import Attribution, AttributionRequest, find_passage
from reranker.explain.counterfactual import EditRequest
from reranker.explain.edits import SPAN_EDITS, Edit
from reranker.explain.faithfulness import FaithfulnessReport, FaithfulnessRequest
from reranker.explain.flip import FlipRequest
from reranker.explain.red_team import RedTeamRequest
from reranker.explain.stability import Stability, StabilityRequest
from reranker.explain.tables import dump_result, tabulate_result
from reranker.explain_set_commands import add_set_questions, list_requests, say, write_table
from reranker.trace import load_trace
from reranker.types import Quantization, Query, RankingTrace, RankSettings

if TYPE_CHECKING:
    from reranker.student.student import Student

Ask = Callable[[argparse.Namespace, RankingTrace], Request]


def add_explain_commands(added: Any) -> None:
    """Adds `explain` to the subparsers of the command line."""
    explain = added.add_parser("explain", help="question a ranking: words, what if, trust")
    actions = explain.add_subparsers(required=True, metavar="QUESTION")
    for name, ask, words in (
        ("words", _ask_words, "which words carried a passage's stage-1 score"),
        ("edit", _ask_edit, "what changes when the query or a passage reads otherwise"),
        ("flip", _ask_flip, "the smallest change that makes the top two change places"),
        ("faithfulness", _ask_faithfulness, "whether quotes exist and scores rest on them"),
        ("stability", _ask_stability, "whether other orders of reading give the same"),
        ("attacks", _ask_attacks, "how far a passage can talk its way up"),
    ):
        parser = actions.add_parser(name, help=words)
        _add_ranking(parser)
        _add_options(parser, name)
        parser.set_defaults(run=run_question, ask=ask)
    add_set_questions(actions)


def _add_ranking(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--trace", type=Path, metavar="FILE", help="a saved ranking")
    source.add_argument("--query", help="rank this first")
    add = parser.add_argument
    add("--corpus", default="everyday-science", help="with --query: name, file, folder or zip")
    add("--depth", type=int, default=20)
    add("--student", help="default: the trace's, else mini")
    add("--quantization", choices=get_args(Quantization), help="default: the trace's")
    add("--json", type=Path, metavar="OUT", help="write the whole result")
    add("--csv", type=Path, metavar="OUT", help="write the table there as well")
    add("--cost", action="store_true", help="only say what it would take")


def _add_options(parser: argparse.ArgumentParser, name: str) -> None:
    add = parser.add_argument
    if name in ("words", "edit", "attacks"):
        add("--doc-id", help="which passage (default: the first)")
    if name == "edit":
        add("--text", help="the passage as it shall read")
        add("--do", choices=sorted(SPAN_EDITS), help="change its cited (else first) sentence")
        add("--new-query", default="", help="the query as it shall read")
    if name == "flip":
        add("--stage", choices=("stage1", "final"), default="stage1")
        add("--budget", type=int, default=600, help="texts stage 1 may score")
    if name == "faithfulness":
        add("--reread", type=int, default=0, help="passages read again without their quotes")
    if name == "stability":
        add("--shuffles", type=int, default=8)
        add("--seeds", type=int, default=1)
    if name == "attacks":
        add("--attacks", nargs="+", default=[a.name for a in ATTACKS])
        add("--defences", nargs="+", default=["served", "drop"],
            help=", ".join(d.name for d in DEFENCES))  # fmt: skip
        add("--stage1-only", action="store_true", help="do not let stage 2 read")


def run_question(options: argparse.Namespace) -> int:
    """One question to one ranking: its cost, its progress, its table."""
    from reranker.explain.workbench import Workbench

    trace, student = _open_ranking(options)
    request = options.ask(options, trace)
    cost = estimate_request(trace, request)
    say(
        f"about {cost.seconds:.0f} s: {cost.scorings} texts scored, {cost.readings} readings of "
        "the list"
    )
    if options.cost:
        return 0
    bench = Workbench(
        student(),
        trace,
        progress=lambda done, total, message: say(f"{done}/{total} {message}"),
    )
    result = run_request(bench, request)
    table = tabulate_result(result)
    write_table(sys.stdout, table, "\t")
    for line in _summarize(result):
        say(line)
    if options.json:
        options.json.write_text(dump_result(result) + "\n", encoding="utf-8")
    if options.csv:
        with options.csv.open("w", encoding="utf-8", newline="") as file:
            write_table(file, table, ",")
    return 0


def _open_ranking(
    options: argparse.Namespace,
) -> tuple[RankingTrace, Callable[[], Student]]:
    """The trace, and how to get its student (a trace's cost is told without loading one)."""
    from reranker.pipeline import rank
    from reranker.student.student import load_student

    if options.trace:
        trace = load_trace(options.trace)
        name = options.student or trace.student.name
        precision = options.quantization or trace.student.quantization
        return trace, lambda: load_student(name, precision)
    student = load_student(options.student or DEFAULT_STUDENT, options.quantization)
    request = list_requests(
        options.corpus, options.depth, [Query(query_id="q", text=options.query)]
    )
    return rank(student, request[0], RankSettings(depth=options.depth)), lambda: student


def _choose_passage(options: argparse.Namespace, trace: RankingTrace) -> str:
    if not trace.final_order:
        raise InputError("expected a ranking of passages, got none; ask another query")
    return str(options.doc_id or trace.final_order[0])


def _ask_words(options: argparse.Namespace, trace: RankingTrace) -> Request:
    return AttributionRequest(doc_id=_choose_passage(options, trace))


def _ask_edit(options: argparse.Namespace, trace: RankingTrace) -> Request:
    passage = find_passage(trace, _choose_passage(options, trace))
    text = options.text or passage.text
    if options.do:
        note = trace.justifications.get(passage.doc_id)
        spans = [(e.start, e.end) for e in note.evidence] if note else []
        start, end = spans[0] if spans else (0, len(passage.text))
        text = SPAN_EDITS[options.do](passage.text, start, end)
    edits: tuple[Edit, ...] = ()
    if text != passage.text:
        edits = (Edit(doc_id=passage.doc_id, text=text, label=options.do or "as edited"),)
    return EditRequest(edits=edits, query=options.new_query)


def _ask_flip(options: argparse.Namespace, trace: RankingTrace) -> Request:
    return FlipRequest(stage=options.stage, max_scorings=options.budget)


def _ask_faithfulness(options: argparse.Namespace, trace: RankingTrace) -> Request:
    return FaithfulnessRequest(reread=options.reread)


def _ask_stability(options: argparse.Namespace, trace: RankingTrace) -> Request:
    seed = trace.settings.seed
    return StabilityRequest(shuffles=options.shuffles, seeds=options.seeds, seed=seed)


def _ask_attacks(options: argparse.Namespace, trace: RankingTrace) -> Request:
    return RedTeamRequest(
        doc_id=_choose_passage(options, trace),
        attacks=tuple(options.attacks),
        defences=tuple(options.defences),
        stage2=not options.stage1_only,
    )


def _summarize(result: Result) -> list[str]:
    """What stands beside the table in a line or two."""
    if isinstance(result, Attribution):
        return [
            f"{m.method}: shares sum to {m.explained:.3f} of {m.wanted:.3f}" for m in result.methods
        ]
    if isinstance(result, FaithfulnessReport):
        return [f"{name}: {value:.3f}" for name, value in result.summarize().items()]
    if isinstance(result, Stability):
        return [
            f"positional bias {result.bias:+.2f}, pairs in the same order {result.pairwise:.0%}, "
            f"same first passage {result.same_top:.0%}"
        ]
    return []
