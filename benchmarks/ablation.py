"""The paper's ablation at small scale: objectives, negatives, pooling and the stage-1 form.

    python -m benchmarks.ablation --out FOLDER [--steps 20] [--seeds 0 1 2] [--table FILE]
    python -m benchmarks.ablation --out FOLDER --only pooling form --steps 300 --questions 2000

Every run is a stage-1 job (reranker/training/run.py) from the student's untrained base, on
questions of SQuAD train; it differs from the hybrid in one thing at most. Measured on questions of
SQuAD dev, whose articles nobody trained on, and on TREC DL21, another kind of text. Needs
$DEAR_DATA (see benchmarks/quality.py). What is finished is not made again, and a run that was cut
off goes on, so the command may be stopped and started at any time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Literal

import torch

from benchmarks.machine import describe_machine
from benchmarks.quality import DATA, load_collection
from reranker.config import DEFAULT_STUDENT, load_profile
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

NEGATIVES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """negatives: the BM25 rank down to which they are drawn; pooled_weight: share of pooled
    embeddings in the score, the rest is late interaction (None: the student's own); form: of stage
    1, where it is not the student's."""

    objective: ObjectiveSettings = ObjectiveSettings(main="ce+ranknet", alpha=0.1, temperature=2.0)
    negatives: int = NEGATIVES
    pooled_weight: float | None = None
    form: Literal["crossencoder"] | None = None

    @property
    def is_own_form(self) -> bool:
        """Whether the score is made as the student makes it."""
        return self.pooled_weight is None and self.form is None


HYBRID = "hybrid"
GROUPS: dict[str, dict[str, Variant]] = {
    "Objective": {
        HYBRID: Variant(),
        "CE only": Variant(objective=ObjectiveSettings(main="ce", alpha=0.0)),
        "RankNet only": Variant(objective=ObjectiveSettings(main="ranknet", alpha=0.0)),
        "KL only": Variant(objective=ObjectiveSettings(main="ce", alpha=1.0, temperature=2.0)),
    },
    "Negatives": {
        "nearest 6": Variant(negatives=6),
        "nearest 100": Variant(negatives=100),
    },
    "Pooling": {
        "pooled only": Variant(pooled_weight=1.0),
        "late only": Variant(pooled_weight=0.0),
    },
    "Form": {
        "cross-encoder": Variant(form="crossencoder"),
    },
}
NDCG, DL21, DL21_DEPTH = "nDCG@10", "dl21", 20
"""The quality table reranks 100; 20 let two dozen runs be measured in an hour of one core."""
DEV_DEPTH = 10
QUESTIONS, DEV_QUESTIONS = 60, 30
UNTRAINED = "untrained"

Values = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """nDCG@10 by query of one adapter, on SQuAD dev and on DL21."""

    squad: Values
    dl21: Values


def prepare_data(folder: Path, count: int) -> DataSettings:
    """SQuAD as two BEIR corpora, for training and for measuring; the same questions every time.

    count: questions to train on, of as many articles where there are so many."""
    random_ = random.Random(0)
    for split in ("train", "dev"):
        passages, questions = read_squad(DATA, split)
        if split == "train":
            titles = sorted({passage.title for passage in passages})
            kept = set(random_.sample(titles, min(count, len(titles))))
            passages = [passage for passage in passages if passage.title in kept]
        doc_ids = {passage.doc_id for passage in passages}
        wanted = count if split == "train" else DEV_QUESTIONS
        asked = random_.sample([q for q in questions if q.doc_id in doc_ids], wanted)
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


def write_student(student: str, variant: Variant, folder: Path) -> str:
    """The student as the variant scores, as a folder of its own without a second stage."""
    if variant.is_own_form:
        return student
    profile = load_profile(student)
    stage1 = replace(profile.stage1, adapter="")
    if variant.pooled_weight is not None:
        stage1 = replace(stage1, pooled_weight=variant.pooled_weight)
    if variant.form is not None:
        stage1 = replace(stage1, form=variant.form)
    made = replace(profile, stage1=stage1, stage2=None, final="stage1")
    place = folder / (variant.form or f"pooled-{variant.pooled_weight:g}")
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "profile.json", {k: v for k, v in asdict(made).items() if k != "folder"})
    return str(place)


def choose_teacher(student: str, variant: Variant) -> TeacherSettings:
    """The untrained base in the variant's own form, with BM25. A cross-encoder has none: its base
    is the bi-encoder's, which teaches it with the cosine of pooled embeddings."""
    if variant.form is None:
        return TeacherSettings(weights=BASE, bm25_weight=0.3)
    return TeacherSettings(weights=load_profile(student).stage1.base, bm25_weight=0.3)


def make_run_settings(
    options: argparse.Namespace, data: DataSettings, variant: Variant, student: str, seed: int
) -> TrainingSettings:
    """One run: everything but the variant and the seed is the same for all."""
    return TrainingSettings(
        student=student,
        data=replace(data, mining_depth=variant.negatives),
        teacher=choose_teacher(options.student, variant),
        objective=variant.objective,
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


def measure_run(
    options: argparse.Namespace, settings: TrainingSettings, folder: Path
) -> dict[str, Measured]:
    """Before and after training; what is done already is read, not made again.

    There is no before for a cross-encoder: without training it has no head to score with."""
    place = JobFolder(folder)
    if not place.config.is_file():
        create_folder(settings, folder.parent, folder)
    if read_json(place.state).get("status") != "done" and run_job(place) != DONE:
        job = read_job(folder.name, folder.parent)
        raise SystemExit(f"{folder.name} {job.status}: {job.message}")
    before = folder.parent / f"{Path(settings.student).name}-{UNTRAINED}.json"
    return {
        name: Measured(
            squad=read_json(place.evaluations / f"step-{step}.json")["values"],
            dl21=_keep_dl21(settings.student, adapter, file),
        )
        for name, step, adapter, file in (
            (UNTRAINED, 0, "", before),
            ("trained", options.steps, str(place.adapter), folder / f"{DL21}.json"),
        )
        if adapter or load_profile(settings.student).stage1.form == "biencoder"
    }


def _keep_dl21(student: str, adapter: str, file: Path) -> Values:
    if not file.is_file():
        write_json(file, measure_dl21(student, adapter))
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


def write_table(measured: Mapping[str, Sequence[Mapping[str, Measured]]]) -> list[str]:
    """Rows of Markdown: a variant a row, with the mean over seeds."""
    sides = ("SQuAD dev", "each seed", "gain", "against hybrid")
    head = ["", *sides, *("DL21" if side == sides[0] else side for side in sides)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    hybrid = measured[HYBRID]
    for group, variants in GROUPS.items():
        chosen = [name for name in variants if name in measured]
        if chosen:
            lines.append(f"| **{group}** |{' |' * (len(head) - 1)}")
        for name in chosen:
            runs = measured[name]
            if name == HYBRID or variants[name].pooled_weight is not None:
                untrained = f"{UNTRAINED}, {name}" if name != HYBRID else UNTRAINED
                lines.append(_write_row(untrained, runs[:1], UNTRAINED, hybrid))
            lines.append(_write_row(name, runs, "trained", hybrid))
    return lines


def _write_row(
    name: str,
    runs: Sequence[Mapping[str, Measured]],
    state: str,
    hybrid: Sequence[Mapping[str, Measured]],
) -> str:
    """gain: over the untrained base in the same form, or the student's own where that scores
    nothing yet; against: the trained hybrid."""
    cells = [name]
    for side in ("squad", "dl21"):
        seeds: list[Values] = [getattr(run[state], side) for run in runs]
        here = average(seeds)
        before: Values = getattr(runs[0].get(UNTRAINED, hybrid[0][UNTRAINED]), side)
        other = average([getattr(run["trained"], side) for run in hybrid])
        i = bootstrap_mean(here)
        cells.append(f"{i.estimate:.4f} [{i.low:.3f}, {i.high:.3f}]")
        cells.append(", ".join(f"{mean(one.values()):.4f}" for one in seeds))
        cells.append("" if state == UNTRAINED else _write_difference(here, before))
        cells.append("" if runs is hybrid else _write_difference(here, other))
    return f"| {' | '.join(cells)} |"


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
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="to train on")
    parser.add_argument(
        "--only", nargs="+", metavar="GROUP", choices=[group.lower() for group in GROUPS],
        help="these groups and the hybrid",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    out: Path = options.out.resolve()
    made = prepare_data(out / "data", options.questions)
    data = replace(made, passages=6, dev_depth=DEV_DEPTH)
    variants = {
        name: variant
        for group, members in GROUPS.items()
        for name, variant in members.items()
        if name == HYBRID or not options.only or group.lower() in options.only
    }
    measured: dict[str, list[dict[str, Measured]]] = {}
    for seed in options.seeds:
        for name, variant in variants.items():
            began = time.monotonic()
            run = f"{name.lower().replace(' ', '-')}-{seed}"
            student = write_student(options.student, variant, out / "students")
            settings = make_run_settings(options, data, variant, student, seed)
            measured.setdefault(name, []).append(measure_run(options, settings, out / "runs" / run))
            sys.stderr.write(f"{run}: {time.monotonic() - began:.0f} s\n")
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
        f"{', '.join(map(str, options.seeds))}. Trained on {options.questions} "
        f"questions of SQuAD train; nDCG@10 on {DEV_QUESTIONS} questions of SQuAD dev "
        f"over BM25's top {DEV_DEPTH}, and on TREC DL21 over BM25's top {DL21_DEPTH}. The hybrid "
        f"draws its negatives from BM25's best {NEGATIVES} and is 0.2 pooled embeddings and 0.8 "
        "late interaction; every other row differs from it in one thing. The teacher is the base "
        "in the row's own form, with BM25; gains are over the untrained base in that form. A "
        "cross-encoder has no head before training: its teacher is the pooled form, its gain over "
        "the student's. "
        "Values are means over seeds; brackets are 95 % bootstrap intervals over queries.",
        "",
        describe_machine(),
        "",
    ]


if __name__ == "__main__":
    main()
