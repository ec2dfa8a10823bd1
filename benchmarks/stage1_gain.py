"""What a quarter of an hour of stage-1 training is worth: TREC DL21 before and after, printed.

    python -m benchmarks.stage1_gain --out FOLDER [--minutes 15] [--threads 2] [--table FILE]

Trains a fresh adapter on the student's untrained base with SQuAD (reranker/training/stage1.py),
then reranks BM25's top 100 of DL21 three times, loaded in 4 bits as a reader would: with the
untrained base as the plain bi-encoder it was pretrained as (cosine of pooled embeddings), with
the untrained base in the student's own form, and with the new adapter in that form. Needs
$DEAR_DATA (see benchmarks/quality.py). An adapter that lies in FOLDER already is only measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.machine import describe_machine
from benchmarks.quality import DATA, DEPTH, load_collection
from reranker.config import DEFAULT_STUDENT, load_profile
from reranker.evaluation.differences import compare_pair
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.evaluation.statistics import bootstrap_mean
from reranker.student.student import Student
from reranker.training import stage1
from reranker.trec import Ranking, sort_ranking

DL21, NDCG = "dl21", "nDCG@10"
PLAIN, FORM, TRAINED = "untrained, plain bi-encoder", "untrained, the student's form", "trained"
QUERIES, NEGATIVES, LEARNING_RATE = 8, 3, 2e-4
"""Of a step: queries in a group, and passages drawn for each."""


def train(options: argparse.Namespace, adapter: Path) -> None:
    """Leaves the adapter and what it was made with in `adapter`."""
    if adapter.is_dir():
        sys.stderr.write(f"{adapter} is there already and is only measured\n")
        return
    stage1.main(
        [
            *("--data", str(DATA), "--out", str(options.out), "--student", options.student),
            *("--minutes", str(options.minutes), "--steps", str(options.steps)),
            *("--queries", str(QUERIES), "--negatives", str(NEGATIVES)),
            *("--learning-rate", str(LEARNING_RATE), "--seed", str(options.seed)),
            *("--save-steps", "20"),
        ]
    )


def measure(student: str, adapter: str, pooled_weight: float | None) -> Mapping[str, float]:
    """nDCG@10 by query on DL21. pooled_weight: None leaves the student's own."""
    collection = load_collection(DL21)
    if collection is None:
        raise SystemExit(f"expected TREC DL21 under {DATA}, found none; set DEAR_DATA")
    profile = load_profile(student)
    form = replace(profile.stage1, adapter=adapter)
    if pooled_weight is not None:
        form = replace(form, pooled_weight=pooled_weight)
    scorer = Student(replace(profile, stage1=form), "nf4").scorer
    run: dict[str, Ranking] = {}
    for request in collection.requests:
        passages = [hit.passage for hit in request.hits[:DEPTH]]
        scored = scorer.score(request.query.text, passages)
        run[request.query.query_id] = sort_ranking([(s.doc_id, s.score) for s in scored])
    return evaluate_run(run, collection.qrels, parse_measures(NDCG)).result(NDCG).values


def write_table(measured: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A row a system, and how the trained one differs from it."""
    lines = [
        f"| DL21 | {NDCG} | trained − this | p | better, same, worse |",
        "|---|---|---|---|---|",
    ]
    for name, values in measured.items():
        i = bootstrap_mean(values)
        cells = [name, f"{i.estimate:.4f} [{i.low:.3f}, {i.high:.3f}]", "", "", ""]
        if name != TRAINED:
            gain = compare_pair(measured[TRAINED], values, names=(TRAINED, name))
            g = gain.interval
            cells[2] = f"{gain.difference:+.4f} [{g.low:+.3f}, {g.high:+.3f}]"
            cells[3] = f"{gain.randomization.p_value:.3f}"
            cells[4] = f"{gain.wins}, {gain.ties}, {gain.losses}"
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--steps", type=int, default=160, help="where the learning rate ends at 0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    adapter: Path = options.out.resolve() / "adapter"
    train(options, adapter)
    done = json.loads((adapter / "training.json").read_text(encoding="utf-8"))["steps_done"]
    measured = {
        PLAIN: measure(options.student, "", 1.0),
        FORM: measure(options.student, "", None),
        TRAINED: measure(options.student, str(adapter), None),
    }
    lines = [
        f"Student {options.student} in NF4, BM25's top {DEPTH}. At most {options.minutes:g} min "
        f"on {options.threads} threads: {done} steps of {QUERIES} queries of SQuAD train, learning "
        f"rate {LEARNING_RATE:g}, seed {options.seed}. Brackets are 95 % bootstrap intervals over "
        "queries, p is of the randomization test.",
        "",
        describe_machine(),
        "",
        *write_table(measured),
    ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.table:
        options.table.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
