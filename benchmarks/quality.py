"""nDCG@10 of a student beside BM25, with intervals, as a Markdown table.

    python -m benchmarks.quality [--student mini] [--collections dl19 …] [--out FILE]

everyday-science ships with the project; dl19, dl21, squad-dev and scifact are read from $DEAR_DATA
(default ../shared/data) and left out with a word where they are absent. Stage 1 reranks BM25's top
100, stage 2 reads the best 20 of that; of squad-dev, 150 questions on whose passages settings are
chosen, stage 1 alone is measured.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from benchmarks.machine import describe_machine
from reranker.config import ASSETS, DEFAULT_STUDENT, Profile
from reranker.corpora import load_corpus, load_qrels, load_queries
from reranker.corpora.corpus import make_corpus
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.evaluation.statistics import bootstrap_difference, bootstrap_mean
from reranker.ordering import blend_trace
from reranker.pipeline import rank
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.student.student import Student, load_student
from reranker.training.sources import read_squad
from reranker.trec import Qrels, rank_by_position, read_candidates, read_qrels
from reranker.types import Quantization, Query, RankingTrace, RankSettings

DATA = Path(os.environ.get("DEAR_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
DEPTH, STAGE2_DEPTH = 100, 20
MEASURES = "nDCG@10 Judged@10"
BM25_WEIGHTS, STAGE2_WEIGHTS = (0.1, 0.2, 0.3), (0.1, 0.25, 0.5, 1.0)
NEARNESS_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
FEEDBACK_WEIGHTS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.8)  # of nearness, with feedback
SQUAD, SQUAD_QUESTIONS, SQUAD_SEED = "squad-dev", 150, 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """Requests (query and first-stage hits) with their judgements."""

    name: str
    requests: tuple[RankRequest, ...]
    qrels: Qrels


def load_collection(name: str) -> Collection | None:
    """The collection called `name`, or None where its files are absent."""
    if name in ("dl19", "dl21"):
        file = DATA / "trec" / f"{name}.bm25-top100.jsonl.gz"
        if not file.is_file():
            return None
        lists = read_candidates(file)
        requests = tuple(RankRequest(query=c.query, hits=c.hits) for c in lists)
        return Collection(
            name=name, requests=requests, qrels=read_qrels(DATA / "trec" / f"{name}.qrels.txt")
        )
    if name == SQUAD:
        return load_squad(SQUAD_QUESTIONS) if (DATA / "squad").is_dir() else None
    folder = ASSETS / "corpora" / name if name == "everyday-science" else DATA / "beir" / name
    if not folder.is_dir():
        return None
    qrels = load_qrels(folder)
    retriever = build_retriever(load_corpus(folder))
    queries = [query for query in load_queries(folder) if query.query_id in qrels]
    requests = tuple(RankRequest(query=q, hits=retriever.search(q.text, DEPTH)) for q in queries)
    return Collection(name=name, requests=requests, qrels=qrels)


def load_squad(count: int, depth: int = DEPTH) -> Collection:
    """Questions of SQuAD dev over BM25's best; the passage a question was asked about counts."""
    passages, questions = read_squad(DATA, "dev")
    retriever = build_retriever(make_corpus(passages, corpus_id=SQUAD))
    chosen = random.Random(SQUAD_SEED).sample(questions, count)
    return Collection(
        name=SQUAD,
        requests=tuple(
            RankRequest(
                query=Query(query_id=q.query_id, text=q.text), hits=retriever.search(q.text, depth)
            )
            for q in chosen
        ),
        qrels={q.query_id: {q.doc_id: 1} for q in chosen},
    )


def rank_all(student: Student, collection: Collection, stages: str) -> list[RankingTrace]:
    settings = RankSettings(
        depth=DEPTH,
        stage2_depth=STAGE2_DEPTH,
        stages=stages,  # type: ignore[arg-type]
        final="stage2",
    )
    traces = []
    for number, request in enumerate(collection.requests, start=1):
        traces.append(rank(student, request, settings))
        if number % 10 == 0:
            sys.stderr.write(f"{collection.name}: {number} of {len(collection.requests)}\n")
    return traces


def measure(collection: Collection, student: Student, stages: str) -> list[str]:
    """The table's rows for one collection."""
    started = time.perf_counter()
    traces = rank_all(student, collection, stages)
    seconds = time.perf_counter() - started
    rows: list[str] = []
    values: dict[str, Mapping[str, float]] = {}
    for system, order in _list_orders(student.profile, stages).items():
        run = {t.query.query_id: rank_by_position(order(t)) for t in traces}
        evaluation = evaluate_run(run, collection.qrels, parse_measures(MEASURES))
        result = evaluation.result("nDCG@10")
        values[system] = result.values
        interval = bootstrap_mean(values[system])
        gain = bootstrap_difference(values[system], values["BM25"])
        rows.append(
            f"| {collection.name} | {system} | {result.mean:.4f} [{interval.low:.3f}, "
            f"{interval.high:.3f}] | {gain.estimate:+.4f} [{gain.low:+.3f}, {gain.high:+.3f}] | "
            f"{evaluation.means['Judged@10']:.3f} |"
        )
    rows.append(_describe_run(collection, traces, seconds, stages))
    return rows


def _describe_run(
    collection: Collection, traces: list[RankingTrace], seconds: float, stages: str
) -> str:
    defects = sum(len(trace.defects) for trace in traces)
    notes = [j for trace in traces for j in trace.justifications.values()]
    verbatim = sum(bool(j.evidence) and j.source == "model" for j in notes)
    changed = sum(trace.stage2_changes > 0 for trace in traces)
    words = f"{len(traces)} queries, {seconds / len(traces):.2f} s a query"
    if stages == "both":
        words += (
            f"; stage 2 changed {changed} rankings, {defects} defects, "
            f"{verbatim} of {len(notes)} justifications the student's own with a verbatim quote"
        )
    return f"| {collection.name} | | {words} | | |"


def _list_orders(
    profile: Profile, stages: str
) -> dict[str, Callable[[RankingTrace], Sequence[str]]]:
    """What is measured: the stages, and blends with each weight tried beside the profile's own."""
    bm25, nearness = profile.bm25_weight, profile.nearness_weight

    def blend(
        lexical: float = bm25, near: float = 0.0, listwise: float = 0.0, feedback: bool = False
    ) -> Callable[[RankingTrace], Sequence[str]]:
        tried = replace(
            profile,
            bm25_weight=lexical,
            nearness_weight=near,
            feedback=feedback,
            stage2_weight=listwise,
        )
        return lambda trace: blend_trace(trace, trace.final_order, tried)

    orders: dict[str, Callable[[RankingTrace], Sequence[str]]] = {
        "BM25": lambda trace: trace.bm25_order,
        "stage 1": lambda trace: trace.stage1_order,
    }
    for weight in BM25_WEIGHTS:
        orders[f"stage 1 + {weight} BM25"] = blend(lexical=weight)
    for weight in NEARNESS_WEIGHTS:
        orders[f"stage 1 + {bm25} BM25 + {weight} nearness"] = blend(near=weight)
    orders["stage 1 with feedback"] = blend(lexical=0.0, feedback=True)
    for weight in FEEDBACK_WEIGHTS:
        orders[name_blend(bm25, weight, feedback=True)] = blend(near=weight, feedback=True)
    if stages == "both":
        orders["stage 2"] = lambda trace: trace.final_order
        for weight in STAGE2_WEIGHTS:
            name = name_blend(bm25, nearness, feedback=profile.feedback)
            orders[f"{name} + {weight} stage 2"] = blend(
                near=nearness, listwise=weight, feedback=profile.feedback
            )
    return orders


def name_blend(bm25: float, nearness: float, *, feedback: bool) -> str:
    """What the table calls a blend of stage 1 with these weights."""
    return (
        f"stage 1{' with feedback' if feedback else ''} + {bm25:g} BM25"
        f"{f' + {nearness:g} nearness' if nearness else ''}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--quantization", choices=get_args(Quantization))
    parser.add_argument("--stages", choices=("1", "both"), default="both")
    parser.add_argument("--stage1-adapter", help="another adapter ('' for none)")
    parser.add_argument(
        "--collections", nargs="+", default=["everyday-science", "dl21", SQUAD, "dl19", "scifact"]
    )
    parser.add_argument("--out", type=Path, help="write the table here as well")
    options = parser.parse_args()
    student = load_student(
        options.student, options.quantization, stage1_adapter=options.stage1_adapter
    )
    lines = [
        f"Student {student.profile.name}, {student.quantization}; BM25 top {DEPTH}, stage 2 reads "
        f"{STAGE2_DEPTH}; 95 % bootstrap intervals over queries.",
        describe_machine(),
        "",
        "| collection | system | nDCG@10 | against BM25 | Judged@10 |",
        "|---|---|---|---|---|",
    ]
    for name in options.collections:
        collection = load_collection(name)
        if collection is None:
            sys.stderr.write(f"{name} left out: no files under {DATA}\n")
            continue
        lines += measure(collection, student, "1" if name == SQUAD else options.stages)
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
