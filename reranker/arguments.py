"""The arguments of the command line: what can be asked for, and what is refused at once.

Takes the functions that run the commands, returns a parser. Knows no file, student or corpus;
argparse ends the program with exit code 2 where an argument cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from reranker.annotate_commands import add_annotate_commands
from reranker.config import DEFAULT_STUDENT
from reranker.endpoint import DEFAULT_KEY_VARIABLE
from reranker.evaluation.measures import DEFAULT_MEASURES
from reranker.explain_commands import add_explain_commands
from reranker.job_commands import add_job_commands
from reranker.train_commands import add_training_commands
from reranker.types import FinalOrder, Quantization, RankSettings

MAX_COUNT = 1_000_000
STANDARD_OUTPUT = Path("-")

Command = Callable[[argparse.Namespace], int]


def build_parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser; the options of each command carry its function as `run`."""
    parser = argparse.ArgumentParser(
        prog="python -m reranker", description="Rank passages in two stages and say why."
    )
    added = parser.add_subparsers(required=True, metavar="COMMAND")

    rank = added.add_parser("rank", help="one query over a corpus")
    rank.add_argument("--corpus", default="everyday-science", help="name, file, folder or zip")
    rank.add_argument("--query", type=_text, required=True)
    rank.add_argument("--json", action="store_true", help="print one JSON object")
    rank.add_argument("--trec", type=Path, metavar="OUT", help="write a TREC run")
    rank.add_argument("--trace", type=Path, metavar="OUT", help="write the full trace")
    _add_ranking_options(rank, depth=20)
    rank.set_defaults(run=commands["rank"])

    rerank = added.add_parser("rerank", help="candidate lists, or all queries of a corpus")
    source = rerank.add_mutually_exclusive_group(required=True)
    source.add_argument("--candidates", type=Path, metavar="FILE", help="jsonl or RankGPT json")
    source.add_argument("--corpus", help="a corpus with queries, first ranked by BM25")
    rerank.add_argument("--trec", type=Path, metavar="OUT", help="write a TREC run")
    rerank.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=STANDARD_OUTPUT,
        metavar="OUT",
        help="write a JSON list of rankings, to standard output without OUT",
    )
    _add_ranking_options(rerank, depth=None)
    rerank.set_defaults(run=commands["rerank"])

    _add_evaluate(added.add_parser("evaluate", help="a run, or systems over a collection"))
    added.choices["evaluate"].set_defaults(run=commands["evaluate"])

    replay = added.add_parser("replay", help="rank a trace again and compare every rank")
    replay.add_argument("trace", type=Path)
    replay.add_argument("--student", help="another student than the trace names")
    replay.set_defaults(run=commands["replay"])

    add_training_commands(added)
    add_job_commands(added)
    add_explain_commands(added)
    add_annotate_commands(added)

    added.add_parser("students", help="list students").set_defaults(run=commands["students"])
    added.add_parser("corpora", help="list corpora").set_defaults(run=commands["corpora"])
    return parser


def _add_ranking_options(parser: argparse.ArgumentParser, depth: int | None) -> None:
    add = parser.add_argument
    add("--depth", type=_count, default=depth, help="candidates to rerank")
    add("--stage2-depth", type=_count, help="how many of the best stage 2 reads (default: all)")
    add("--stages", choices=("none", "1", "2", "both"), default="both")
    add("--mode", choices=("reason-first", "rank-first"), default="reason-first")
    add("--final", choices=get_args(FinalOrder), help="default: the profile's; agreed: what "
        "shuffled readings agree on")  # fmt: skip
    add("--shuffles", type=_count, default=RankSettings().shuffles,
        help="how often --final agreed reads the list again")  # fmt: skip
    add("--window-size", type=_count, help="default: the profile's")
    add("--stride", type=_count, help="default: the profile's")
    add("--student", default=DEFAULT_STUDENT, help="profile name or folder")
    add("--quantization", choices=get_args(Quantization), help="default: the profile's")
    add("--stage1-adapter", metavar="FOLDER", help="another stage-1 adapter ('' for none)")
    add("--stage2-adapter", metavar="FOLDER", help="another stage-2 adapter ('' for none)")
    add("--no-grounding", action="store_true", help="let quotes be checked, not constrained")
    add("--seed", type=_seed, default=0)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--run", dest="run_file", type=Path, metavar="FILE", help="a TREC run")
    what.add_argument(
        "--collection",
        metavar="NAME",
        help="dl19, dl20, scifact, trec-covid, nfcorpus, touche, dbpedia, news, robust04, signal, "
        "novel-eval, nq; a candidate file, a BEIR folder or zip, a TREC run, a file of questions",
    )
    what.add_argument("--open", type=Path, metavar="FOLDER", help="a saved experiment again")
    add("--corpus", help="a corpus with queries and qrels, or the texts for --collection")
    add("--queries", type=Path, metavar="FILE", help="query_id, tab, text; or jsonl")
    add("--qrels", type=Path, metavar="FILE", help="TREC's or BEIR's; needed with --run")
    add("--split", help="which qrels of a BEIR folder (default: test, dev, train)")
    add("--measures", default=DEFAULT_MEASURES)
    add("--systems", nargs="+", metavar="SYSTEM", help="bm25 mini:stage1 monot5:PATH ...")
    add("--baseline", default="", help="a system (default: the first)")
    add("--depth", type=_count, default=100, help="candidates a query")
    add("--limit", type=_count, metavar="N", help="only the first N queries")
    add("--stage2-depth", type=_count, help="how many of the best stage 2 reads (default: all)")
    add("--quantization", choices=get_args(Quantization), help="of students")
    add("--precision", choices=get_args(Quantization), default="bf16", help="of other models")
    add("--endpoint", metavar="URL", help="an OpenAI-compatible server for rankgpt:MODEL")
    add("--key-variable", default=DEFAULT_KEY_VARIABLE, help="which variable holds its key")
    add("--window-size", type=_count, default=20, help="of rankgpt")
    add("--stride", type=_count, default=10, help="of rankgpt")
    add("--format", choices=("markdown", "csv", "latex"), default="markdown")
    add("--out", type=Path, metavar="FOLDER", help="save the experiment in a new folder")


def check_evaluate(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the program with exit code 2 where options of `evaluate` need one another."""
    if not (options.run_file or options.collection or options.open):
        if not options.corpus:
            parser.error("one of the arguments --run --collection --corpus --open is required")
        options.collection, options.corpus = options.corpus, None
    if options.run_file and not options.qrels:
        parser.error("the following arguments are required: --qrels")
    if options.collection and not options.systems:
        parser.error("the following arguments are required: --systems")
    if options.stride > options.window_size:
        parser.error("expected a --stride of at most --window-size")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:10]) <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def _text(text: str) -> str:
    # Bytes of the command line that are no text arrive as lone surrogates.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise argparse.ArgumentTypeError("expected text in the terminal's encoding")
    return text
