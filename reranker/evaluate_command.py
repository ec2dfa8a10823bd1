"""`evaluate` over a collection: options in, a table as text out.

Takes what `arguments.py` parsed and where to tell progress, ranks with the systems asked for,
saves the experiment where one is wanted. Knows the order of the work; ranks and measures
nothing itself, and loads model libraries only through the systems.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from reranker.endpoint import EndpointSettings
from reranker.errors import InputError
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_folder import open_experiment, save_experiment
from reranker.evaluation.measures import parse_measures
from reranker.evaluation.result_table import tabulate_experiment
from reranker.evaluation.run_agreement import compare_runs
from reranker.evaluation.sources import load_collection
from reranker.evaluation.table_exports import export_table
from reranker.systems.catalogue import SystemSettings, build_systems
from reranker.systems.rankgpt import ListwiseSettings
from reranker.systems.running import run_systems

Say = Callable[[str], None]

_RECORDED = (
    "limit",
    "split",
    "stage2_depth",
    "quantization",
    "precision",
    "endpoint",
    "window_size",
    "stride",
)


def evaluate_systems(options: argparse.Namespace, say: Say) -> str:
    """The table of the experiment that was run, or opened again. Raises DearError."""
    experiment = open_experiment(options.open) if options.open else _run(options, say)
    table = tabulate_experiment(experiment)
    text = export_table(table, options.format)
    return text if options.format != "markdown" else text + _describe(experiment)


def _run(options: argparse.Namespace, say: Say) -> Experiment:
    _check_out(options.out)
    parse_measures(options.measures)
    systems = build_systems(options.systems, _make_settings(options))
    collection = load_collection(
        options.collection,
        depth=options.depth,
        qrels=options.qrels,
        corpus=options.corpus,
        queries=options.queries,
        split=options.split,
        limit=options.limit,
    )
    say(f"{collection.name}: {len(collection.lists)} queries, {collection.first_stage}")

    def tell(system: str, done: int, total: int) -> None:
        say(f"{system} {done}/{total}")

    experiment = run_systems(
        collection,
        systems,
        measures=options.measures,
        depth=options.depth,
        baseline=options.baseline,
        settings={name: str(getattr(options, name)) for name in _RECORDED},
        on_progress=tell,
    )
    if options.out:
        save_experiment(experiment, options.out)
        say(f"saved in {options.out}")
    return experiment


def _make_settings(options: argparse.Namespace) -> SystemSettings:
    endpoint = None
    if options.endpoint:
        endpoint = EndpointSettings(
            base_url=options.endpoint, model="-", key_variable=options.key_variable
        )
    return SystemSettings(
        quantization=options.quantization,
        precision=options.precision,
        stage2_depth=options.stage2_depth,
        endpoint=endpoint,
        listwise=ListwiseSettings(window_size=options.window_size, stride=options.stride),
    )


def _describe(experiment: Experiment) -> str:
    """What stands below the table: how alike the runs are, and what the candidates were."""
    baseline = experiment.system(experiment.baseline)
    lines = [f"First stage: {experiment.first_stage}; depth {experiment.depth}."]
    if experiment.note:
        lines.append(f"Note: {experiment.note}.")
    for system in experiment.systems:
        if system is not baseline and system.run and baseline.run:
            found = compare_runs(system.run, baseline.run, names=(system.name, baseline.name))
            tau = "" if found.mean_tau is None else f", Kendall's tau {found.mean_tau:.3f}"
            lines.append(
                f"{system.name} and {baseline.name}: RBO {found.mean_rbo:.3f}{tau} (means over "
                "queries)."
            )
        repaired = len(system.defects)
        if repaired:
            lines.append(f"{system.name}: answers had to be repaired for {repaired} queries.")
    return "\n".join(["", *lines]) + "\n"


def _check_out(folder: Path | None) -> None:
    """Refused before the work, not after it."""
    if folder and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "expected a new or empty folder, got one with files; name another", where=str(folder)
        )
