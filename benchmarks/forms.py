"""The bi-encoder's forms beside each other: pooled embeddings, late interaction, and mixtures.

    python -m benchmarks.forms [--student mini] [--windows 150] [--out docs/benchmarks/forms.md]

All forms read the same encodings, so they cost the same. Settings are chosen on TREC DL21 and SQuAD
dev, and only these are measured here; both need $DEAR_DATA (default ../shared/data). The bare base
stands beside the adapter.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.quality import DATA, SQUAD_SEED, Collection, load_collection, load_squad
from reranker.config import DEFAULT_STUDENT
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.evaluation.statistics import bootstrap_difference, bootstrap_mean
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.student.student import load_student
from reranker.trec import Run, rank_by_position

MEASURE = "nDCG@10"
POOLED_WEIGHTS = (1.0, 0.5, 0.3, 0.2, 0.1, 0.0)
SQUAD_DEPTH = 20


def measure_forms(
    scorer: BiEncoderScorer, collection: Collection
) -> dict[float, Mapping[str, float]]:
    """Pooled weight -> query_id -> nDCG@10. Passages are encoded once a query, for all forms."""
    profile = scorer.profile
    runs: dict[float, Run] = {weight: {} for weight in POOLED_WEIGHTS}
    for number, request in enumerate(collection.requests, start=1):
        passages = [hit.passage for hit in request.hits]
        for weight in POOLED_WEIGHTS:
            scorer.profile = replace(profile, pooled_weight=weight)
            scores = scorer.score(request.query.text, passages)
            order = sorted(scores, key=lambda score: -score.score)
            runs[weight][request.query.query_id] = rank_by_position([s.doc_id for s in order])
        if number % 10 == 0:
            sys.stderr.write(f"{collection.name}: {number} of {len(collection.requests)}\n")
    scorer.profile = profile
    measures = parse_measures(MEASURE)
    return {
        weight: evaluate_run(run, collection.qrels, measures).result(MEASURE).values
        for weight, run in runs.items()
    }


def describe_form(weight: float) -> str:
    names = {1.0: "pooled embeddings", 0.0: "late interaction"}
    return names.get(weight, f"{weight:g} pooled + {1 - weight:g} late interaction")


def list_rows(name: str, measured: Sequence[dict[float, Mapping[str, float]]]) -> list[str]:
    rows = []
    for weight in POOLED_WEIGHTS:
        cells = []
        for values in measured:
            mean = bootstrap_mean(values[weight])
            against = bootstrap_difference(values[weight], values[0.0])
            cells.append(
                f"{mean.estimate:.4f} [{mean.low:.3f}, {mean.high:.3f}] | "
                f"{against.estimate:+.4f} [{against.low:+.3f}, {against.high:+.3f}]"
            )
        rows.append(f"| {name} | {describe_form(weight)} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--windows", type=int, default=150, help="of SQuAD dev")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    options = parser.parse_args()
    dl21 = load_collection("dl21")
    if dl21 is None:
        raise SystemExit(f"expected trec/ and squad/ under {DATA}; set DEAR_DATA")
    collections = (dl21, replace(load_squad(options.windows, SQUAD_DEPTH), name="SQuAD dev"))
    lines = [
        f"Stage 1 of {options.student} in NF4, {MEASURE} with 95 % bootstrap intervals over "
        f"queries; DL21 over BM25's top 100, {options.windows} SQuAD dev questions over BM25's "
        f"top {SQUAD_DEPTH}, seed {SQUAD_SEED}. Differences are to late interaction.",
        describe_machine(),
        "",
        "| adapter | form | DL21 | difference | SQuAD dev | difference |",
        "|---|---|---|---|---|---|",
    ]
    for name, adapter in (("none", ""), ("shipped", None)):
        student = load_student(options.student, stage1_adapter=adapter)
        scorer = student.scorer
        if not isinstance(scorer, BiEncoderScorer):
            raise SystemExit(f"expected a bi-encoder student, got {options.student}")
        lines += list_rows(name, [measure_forms(scorer, c) for c in collections])
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
