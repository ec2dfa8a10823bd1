"""How far a student can be trusted: one command that writes docs/benchmarks/trust.md.

    python -m benchmarks.trust [--student mini] [--queries 40] [--out docs/benchmarks/trust.md]

Faithfulness, stability, injection, precisions and the worth of stage 2 on everyday-science and
SQuAD dev, with 95 % bootstrap intervals over queries. SQuAD and QED are read from $DEAR_DATA
(default ../shared/data) and left out with a word where they are absent. Nothing else should run
beside it: the seconds are part of the result.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.quality import DATA
from benchmarks.reasons import Values, measure_qed
from benchmarks.trust_sets import Found, QuerySet, load_everyday, load_squad_set
from benchmarks.trust_tables import (
    tabulate_agreement,
    tabulate_attacks,
    tabulate_benefit,
    tabulate_faithfulness,
    tabulate_parity,
    tabulate_stability,
    write_verdict,
)
from reranker.config import DEFAULT_STUDENT
from reranker.explain.faithfulness import FaithfulnessReport, FaithfulnessRequest
from reranker.explain.parity import Parity, measure_parity
from reranker.explain.red_team import RedTeam, RedTeamRequest
from reranker.explain.running import analyse
from reranker.explain.stability import Stability, StabilityRequest
from reranker.pipeline import rank
from reranker.student.student import Student, load_student
from reranker.types import Quantization, RankSettings

DEPTH = 10
FEW = 30
"""Queries below which the report says that it is a first look."""
PARTS = ("faithfulness", "stability", "attacks", "parity", "benefit")
QUANTIZATIONS: tuple[Quantization, ...] = ("bf16", "fp32", "int8", "nf4", "fp4")


def measure_set(
    student: Student, queries: QuerySet, parts: Sequence[str], shuffles: int, attacked: int
) -> Found:
    """attacked: how many queries the red team plays; its attacker owns the last passage."""
    settings = RankSettings(depth=DEPTH, final="stage2")
    traces = {}
    for number, request in enumerate(queries.requests, start=1):
        traces[request.query.query_id] = rank(student, request, settings)
        _tell(f"{queries.name}: ranked {number} of {len(queries.requests)}")
    reports: dict[str, FaithfulnessReport] = {}
    stabilities: dict[str, Stability] = {}
    teams: list[RedTeam] = []
    for number, (query_id, trace) in enumerate(traces.items(), start=1):
        if "faithfulness" in parts:
            found = analyse(student, trace, FaithfulnessRequest())
            assert isinstance(found, FaithfulnessReport)
            reports[query_id] = found
        if ("stability" in parts or "benefit" in parts) and shuffles:
            steady = analyse(student, trace, StabilityRequest(shuffles=shuffles))
            assert isinstance(steady, Stability)
            stabilities[query_id] = steady
        if "attacks" in parts and number <= attacked:
            asked = RedTeamRequest(
                doc_id=trace.final_order[-1], defences=("open", "served", "drop")
            )
            team = analyse(student, trace, asked)
            assert isinstance(team, RedTeam)
            teams.append(team)
        _tell(f"{queries.name}: questioned {number} of {len(traces)}")
    return Found(
        queries=queries,
        traces=traces,
        reports=reports,
        stabilities=stabilities,
        teams=tuple(teams),
        parity=_measure_parity(student, queries) if "parity" in parts else None,
        profile=student.profile,
    )


def _measure_parity(student: Student, queries: QuerySet) -> Parity:
    """Stage 1 over deeper lists than the rest: ten passages leave nDCG@10 little to lose."""
    name = student.profile.folder
    return measure_parity(
        lambda quantization: load_student(name, quantization),
        queries.deep_requests,
        queries.qrels,
        QUANTIZATIONS,
        settings=RankSettings(depth=100, stages="1"),
        progress=lambda done, total, message: _tell(f"{queries.name}: {message} {done}/{total}"),
    )


def write_report(
    student: Student, found: Sequence[Found], qed: Values, seconds: float, command: str
) -> str:
    """The whole Markdown file."""
    lines = [
        f"# How far `{student.profile.name}` can be trusted",
        "",
        f"Written by `{command}` in {seconds / 60:.0f} minutes. {describe_machine()}. Student "
        f"{student.profile.name}, {student.quantization}, stage-1 adapter "
        f"{student.info().stage1_adapter_sha256[:8] or 'none'}, stage-2 adapter "
        f"{student.info().stage2_adapter_sha256[:8] or 'none'}. BM25's top {DEPTH} (precisions: "
        "its top 100, stage 1 alone). Brackets are 95 % bootstrap intervals over queries. What "
        "each measure means is said in docs/explain.md.",
        "",
        *_warn_of_few(found),
        *write_verdict(found),
    ]
    for part in (
        tabulate_faithfulness(found),
        tabulate_agreement(found, qed),
        tabulate_stability(found),
        tabulate_attacks(found),
        tabulate_parity(found),
        tabulate_benefit(found),
    ):
        lines += ["", *part]
    return "\n".join(lines) + "\n"


def _warn_of_few(found: Sequence[Found]) -> list[str]:
    fewest = min(len(one.traces) for one in found)
    if fewest >= FEW:
        return []
    return [f"**Only {fewest} queries a set: a first look. Run it with {FEW} or more.**", ""]


def _tell(message: str) -> None:
    sys.stderr.write(message + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--queries", type=int, default=40, help="of each set")
    parser.add_argument("--shuffles", type=int, default=6)
    parser.add_argument("--attacked", type=int, default=10, help="queries the red team plays")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the report here as well")
    options = parser.parse_args()
    started = time.perf_counter()
    student = load_student(options.student)
    sets = [load_everyday(options.queries)]
    squad = load_squad_set(DATA, options.queries, options.seed)
    if squad is None:
        _tell(f"SQuAD left out: no files under {DATA}")
    else:
        sets.append(squad)
    found = [
        measure_set(student, queries, options.parts, options.shuffles, options.attacked)
        for queries in sets
    ]
    qed: Values = {}
    if "faithfulness" in options.parts and (DATA / "qed").is_dir():
        qed = measure_qed(student, options.queries, options.seed)
    command = "python -m benchmarks.trust " + " ".join(sys.argv[1:])
    text = write_report(student, found, qed, time.perf_counter() - started, command.strip())
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
