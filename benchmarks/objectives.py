"""The paper's ablation at small scale: hybrid, CE, RankNet and KL on the same data and steps.

    python -m benchmarks.objectives --out FOLDER [--steps 20] [--seeds 0 1 2] [--table FILE]

Every run is a stage-1 job (reranker/training/run.py) from the student's untrained base, on
questions of SQuAD train; runs differ in objective and seed only. Measured twice: on questions of
SQuAD dev, whose articles nobody trained on, and on TREC DL21, another kind of text. Needs
$DEAR_DATA (see benchmarks/quality.py). A run that is finished is not made again, and one that was
cut off goes on, so the command may be stopped and started at any time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch

from benchmarks.machine import describe_machine
from benchmarks.quality import DATA, load_collection
from reranker.config import DEFAULT_STUDENT
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.evaluation.statistics import bootstrap_difference, bootstrap_mean
from reranker.jobs.folder import JobFolder, read_json, write_json
from reranker.jobs.job import create_folder, read_job
from reranker.jobs.settings import (
    BASE,
    DataSettings,
    LoraSettings,
    ObjectiveSettings,
    ScheduleSettings,
    TeacherSettings,
    TrainingSettings,
)
from reranker.student.student import load_student
from reranker.training.run import DONE, run_job
from reranker.training.sources import read_squad
from reranker.trec import Ranking, sort_ranking

OBJECTIVES: dict[str, ObjectiveSettings] = {
    "hybrid": ObjectiveSettings(main="ce+ranknet", alpha=0.1, temperature=2.0),
    "CE only": ObjectiveSettings(main="ce", alpha=0.0),
    "RankNet only": ObjectiveSettings(main="ranknet", alpha=0.0),
    "KL only": ObjectiveSettings(main="ce", alpha=1.0, temperature=2.0),
}
NDCG = "nDCG@10"
DL21, DL21_DEPTH = "dl21", 20
"""The quality table reranks 100; 20 let a dozen runs be measured in half an hour of one core."""
DEV_DEPTH = 10
ARTICLES, QUESTIONS, DEV_QUESTIONS = 60, 60, 30
BEFORE = "untrained"

Values = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """nDCG@10 by query of one adapter, on SQuAD dev and on DL21."""

    squad: Values
    dl21: Values


def prepare_data(folder: Path) -> DataSettings:
    """SQuAD as two BEIR corpora, for training and for measuring; the same questions every time."""
    random_ = random.Random(0)
    for split in ("train", "dev"):
        passages, questions = read_squad(DATA, split)
        if split == "train":
            titles = sorted({passage.title for passage in passages})
            kept = set(random_.sample(titles, ARTICLES))
            passages = [passage for passage in passages if passage.title in kept]
        doc_ids = {passage.doc_id for passage in passages}
        count = QUESTIONS if split == "train" else DEV_QUESTIONS
        asked = random_.sample([q for q in questions if q.doc_id in doc_ids], count)
        place = folder / f"squad-{split}"
        (place / "qrels").mkdir(parents=True, exist_ok=True)
        _write_rows(
            place / "corpus.jsonl",
            [{"_id": p.doc_id, "title": p.title, "text": p.text} for p in passages],
        )
        _write_rows(place / "queries.jsonl", [{"_id": q.query_id, "text": q.text} for q in asked])
        rows = ["query-id\tcorpus-id\tscore", *(f"{q.query_id}\t{q.doc_id}\t1" for q in asked)]
        (place / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return DataSettings(
        format="beir", train=str(folder / "squad-train"), dev=str(folder / "squad-dev")
    )


def _write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make_run_settings(
    options: argparse.Namespace, data: DataSettings, objective: str, seed: int
) -> TrainingSettings:
    """One run: everything but objective and seed is the same for all."""
    return TrainingSettings(
        student=options.student,
        data=data,
        teacher=TeacherSettings(weights=BASE, bm25_weight=0.3),
        objective=OBJECTIVES[objective],
        lora=LoraSettings(rank=16, alpha=32, dropout=0.0, start="fresh"),
        schedule=ScheduleSettings(
            steps=options.steps,
            batch=3,
            learning_rate=options.learning_rate,
            save_steps=10,
            eval_steps=options.steps,
        ),
        quantization="nf4",
        max_passage_tokens=96,
        threads=options.threads,
        seed=seed,
    )


def measure_run(options: argparse.Namespace, settings: TrainingSettings, folder: Path) -> Measured:
    """Trains where that is not done yet, and measures on DL21 where that is not done yet."""
    place = JobFolder(folder)
    if not place.config.is_file():
        create_folder(settings, folder.parent, folder)
    if read_json(place.state).get("status") != "done" and run_job(place) != DONE:
        job = read_job(folder.name, folder.parent)
        raise SystemExit(f"{folder.name} {job.status}: {job.message}")
    after = read_json(place.evaluations / f"step-{options.steps}.json")["values"]
    return Measured(squad=after, dl21=_keep_dl21(options, folder, str(place.adapter)))


def _keep_dl21(options: argparse.Namespace, folder: Path, adapter: str) -> Values:
    file = folder / f"{DL21}.json"
    if not file.is_file():
        write_json(file, measure_dl21(options.student, adapter))
    return {query_id: float(value) for query_id, value in read_json(file).items()}


def measure_dl21(student: str, adapter: str) -> Values:
    """nDCG@10 by query of stage 1 over BM25's top DL21_DEPTH, loaded as it is served."""
    collection = load_collection(DL21)
    if collection is None:
        raise SystemExit(f"expected TREC DL21 under {DATA}, found none; set DEAR_DATA")
    scorer = load_student(student, "nf4", stage1_adapter=adapter).scorer
    run: dict[str, Ranking] = {}
    for request in collection.requests:
        passages = [hit.passage for hit in request.hits[:DL21_DEPTH]]
        scored = scorer.score(request.query.text, passages)
        run[request.query.query_id] = sort_ranking([(s.doc_id, s.score) for s in scored])
    return evaluate_run(run, collection.qrels, parse_measures(NDCG)).result(NDCG).values


def average(values: Sequence[Values]) -> dict[str, float]:
    """The mean over seeds, query by query."""
    return {query_id: mean(one[query_id] for one in values) for query_id in values[0]}


def write_table(measured: Mapping[str, Sequence[Measured]]) -> list[str]:
    """Rows of Markdown: a system a row, with the mean over seeds."""
    lines = [
        "| objective | SQuAD dev | each seed | gain | against hybrid | DL21 | each seed | gain "
        "| against hybrid |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in measured.items():
        cells = [name]
        for side in ("squad", "dl21"):
            seeds = [getattr(run, side) for run in runs]
            here = average(seeds)
            base, hybrid = (
                average([getattr(run, side) for run in measured[other]])
                for other in (BEFORE, "hybrid")
            )
            i = bootstrap_mean(here)
            cells.append(f"{i.estimate:.4f} [{i.low:.3f}, {i.high:.3f}]")
            cells.append(", ".join(f"{mean(one.values()):.4f}" for one in seeds))
            cells.append("" if name == BEFORE else _write_difference(here, base))
            cells.append("" if name in (BEFORE, "hybrid") else _write_difference(here, hybrid))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _write_difference(one: Values, other: Values) -> str:
    gain = bootstrap_difference(one, other)
    return f"{gain.estimate:+.4f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="data and jobs")
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    out: Path = options.out.resolve()
    data = prepare_data(out / "data")
    data = replace(data, passages=6, mining_depth=12, dev_depth=DEV_DEPTH)
    measured: dict[str, list[Measured]] = {BEFORE: []}
    for seed in options.seeds:
        for objective in OBJECTIVES:
            began = time.monotonic()
            name = f"{objective.lower().replace(' ', '-')}-{seed}"
            settings = make_run_settings(options, data, objective, seed)
            measured.setdefault(objective, []).append(
                measure_run(options, settings, out / "runs" / name)
            )
            sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    first = JobFolder(out / "runs" / f"hybrid-{options.seeds[0]}").evaluations / "step-0.json"
    measured[BEFORE].append(
        Measured(squad=read_json(first)["values"], dl21=_keep_dl21(options, out, ""))
    )
    lines = describe(options) + write_table(measured)
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.table:
        options.table.write_text(text, encoding="utf-8")


def describe(options: argparse.Namespace) -> list[str]:
    """What was done, in the lines above the table."""
    return [
        f"Student {options.student} in NF4 from its untrained base, {options.steps} steps of 3 "
        f"lists of 6 passages, learning rate {options.learning_rate:g}, seeds "
        f"{', '.join(map(str, options.seeds))}. Trained on {QUESTIONS} questions of "
        f"{ARTICLES} articles of SQuAD train; nDCG@10 on {DEV_QUESTIONS} questions of SQuAD dev "
        f"over BM25's top {DEV_DEPTH}, and on TREC DL21 over BM25's top {DL21_DEPTH}. "
        "Values are means over seeds; brackets are 95 % bootstrap intervals over queries.",
        "",
        describe_machine(),
        "",
    ]


if __name__ == "__main__":
    main()
