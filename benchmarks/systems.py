"""BM25, stage 1, stage 2 and both blended beside each other, as a Markdown page.

    python -m benchmarks.systems [--student mini] [--collections dl19 …] [--experiments FOLDER]

Writes docs/benchmarks/systems.md: nDCG@10 with intervals and tests, Judged@10, seconds a query, and
how many queries stage 2 harmed. everyday-science ships with the project; scifact and dl19 are read
from $DEAR_DATA (default ../shared/data) and left out with a word where they are absent. With
--experiments every collection is saved there as it is done, and one that is there already is not
ranked again; the Compare tab opens these. Which blend is best is benchmarks/quality.py's question.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.live_app import ROOT
from benchmarks.machine import describe_machine
from benchmarks.quality import DATA
from reranker.config import DEFAULT_STUDENT
from reranker.evaluation.collection import Collection, load_beir, load_candidates
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_folder import open_experiment, save_experiment
from reranker.evaluation.failure_views import StageEffect, measure_effect
from reranker.evaluation.result_table import tabulate_experiment
from reranker.evaluation.run_set import list_experiment_runs, make_run_set
from reranker.evaluation.table_exports import export_table
from reranker.systems.catalogue import SystemSettings, build_systems
from reranker.systems.running import run_systems

COLLECTIONS = ("everyday-science", "scifact", "dl19")
FORMS = ("stage1", "both", "blend")
MEASURE = "nDCG@10"
DEPTH, STAGE2_DEPTH = 100, 20
PAGE = ROOT / "docs" / "benchmarks" / "systems.md"


def load(name: str, limit: int | None) -> Collection | None:
    """The collection called `name`, or None where its files are absent."""
    if name in ("dl19", "dl21"):
        file = DATA / "trec" / f"{name}.bm25-top100.jsonl.gz"
        if not file.is_file():
            return None
        found = load_candidates(file, DATA / "trec" / f"{name}.qrels.txt")
        return found.cut(DEPTH, limit).trim()
    if name == "everyday-science":
        return load_beir(name, depth=DEPTH, limit=limit).trim()
    folder = DATA / "beir" / name
    return load_beir(folder, depth=DEPTH, limit=limit).trim() if folder.is_dir() else None


def evaluate(collection: Collection, student: str, folder: Path | None) -> Experiment:
    """The collection under all systems; from `folder` where it lies there already."""
    if folder is not None and folder.exists():
        return open_experiment(folder)
    told = time.monotonic()

    def tell(system: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 20 or done == total:
            told = time.monotonic()
            sys.stderr.write(f"{collection.name}: {system} {done}/{total}\n")

    words = ["bm25", *(f"{student}:{form}" for form in FORMS)]
    systems = build_systems(words, SystemSettings(stage2_depth=STAGE2_DEPTH))
    experiment = run_systems(
        collection,
        systems,
        measures=MEASURE,
        depth=DEPTH,
        settings={"stage2_depth": str(STAGE2_DEPTH), "student": student},
        on_progress=tell,
    )
    if folder is not None:
        save_experiment(experiment, folder)
    return experiment


def describe(experiment: Experiment, student: str) -> str:
    """The collection's part of the page."""
    runs = make_run_set(list_experiment_runs(experiment), experiment.qrels)
    effects = [
        measure_effect(runs, f"{student}:stage1", f"{student}:{form}", measure=MEASURE)
        for form in FORMS[1:]
    ]
    lines = [
        f"## {experiment.collection}",
        "",
        export_table(tabulate_experiment(experiment), "markdown").rstrip(),
        "",
        f"First stage: {experiment.first_stage}; depth {experiment.depth}.",
        "",
        "| after stage 1 | helped | harmed | same | harm rate | mean Δ nDCG@10 | s a query more |",
        "|---|---|---|---|---|---|---|",
        *(_describe_effect(effect) for effect in effects),
    ]
    return "\n".join(lines) + "\n"


def _describe_effect(effect: StageEffect) -> str:
    helped, harmed, same = (len(effect.select(kind)) for kind in ("helped", "hurt", "same"))
    cost = "" if effect.seconds is None else f"{effect.seconds:.2f}"
    return (
        f"| {effect.after} | {helped} | {harmed} | {same} | {effect.harm_rate:.1%} | "
        f"{effect.mean_delta:+.4f} | {cost} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--collections", nargs="+", default=list(COLLECTIONS))
    parser.add_argument("--limit", type=int, help="only the first so many queries of each")
    parser.add_argument("--experiments", type=Path, help="save every collection in this folder")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    parts = [
        "# BM25, stage 1, stage 2 and both blended\n\n"
        f"`python -m benchmarks.systems` on {describe_machine()}. Student {options.student}; "
        f"both is stage 2 after stage 1, reading the best {STAGE2_DEPTH} of {DEPTH}; blend is the "
        "profile's own mixture. Seconds are those of the stages, without BM25 and without loading "
        "weights. Harmed: queries whose nDCG@10 fell from stage 1.\n"
    ]
    for name in options.collections:
        collection = load(name, options.limit)
        if collection is None:
            sys.stderr.write(f"{name} left out: no files under {DATA}\n")
            continue
        folder = options.experiments / name if options.experiments else None
        parts.append(describe(evaluate(collection, options.student, folder), options.student))
        text = "\n".join(parts)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")  # after every one: the next takes long
    sys.stdout.write("\n".join(parts))


if __name__ == "__main__":
    main()
