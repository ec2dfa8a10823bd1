"""Saved experiments as material of a comparison, and experiments of this page as files.

Takes experiments, or zips of them, returns `Material` and paths. Knows no component and no
session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.compare.comparison import Material
from reranker.errors import InputError
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_archive import keep_experiment, pack_experiment
from reranker.evaluation.experiment_folder import save_experiment
from reranker.evaluation.run_set import NamedRun, list_experiment_runs
from reranker.trec import Qrels
from reranker.types import Passage


def is_keeping_on() -> bool:
    """Whether experiments of a page may be kept on this machine: not on a public Space."""
    return not os.environ.get("SPACE_ID")


def gather_experiments(experiments: Sequence[Experiment]) -> Material:
    """The systems of one or several experiments as runs.

    Raises InputError for none, for one without qrels, and for several with different qrels for
    one query.
    """
    if not experiments:
        raise InputError("expected experiments to compare, got none; choose some")
    runs: list[NamedRun] = []
    qrels: Qrels = {}
    queries: dict[str, str] = {}
    passages: dict[str, Passage] = {}
    notes = []
    for experiment in experiments:
        if not experiment.qrels:
            raise InputError(
                f"expected an experiment with qrels, got {experiment.collection!r}, which is "
                "measured by answers; choose another, or its runs with a qrels file"
            )
        _add_qrels(qrels, experiment)
        runs += list_experiment_runs(experiment)
        queries.update((query.query_id, query.text) for query in experiment.queries)
        passages.update(experiment.passages)
        notes += _list_notes(experiment)
    if len({experiment.collection_sha256 for experiment in experiments}) > 1:
        notes.append("These experiments are over different queries or candidates.")
    return Material(
        runs=tuple(runs),
        qrels=qrels,
        collection=" + ".join(dict.fromkeys(e.collection for e in experiments)),
        queries=queries,
        passages=passages,
        notes=tuple(notes),
    )


def write_experiment(experiment: Experiment, folder: Path) -> Path:
    """The experiment as a zip in `folder`, which opens here again."""
    path = folder / f"{name_experiment(experiment)}.zip"
    with TemporaryDirectory() as scratch:
        saved = Path(scratch) / "experiment"
        save_experiment(experiment, saved)
        pack_experiment(saved, path)
    return path


def keep_on_server(experiment: Experiment) -> str:
    """Saves the experiment where every page of this server finds it; returns its name there."""
    name = name_experiment(experiment)
    with TemporaryDirectory() as scratch:
        saved = Path(scratch) / "experiment"
        save_experiment(experiment, saved)
        keep_experiment(saved, name)
    return name


def name_experiment(experiment: Experiment) -> str:
    """A file name: the collection and when it was evaluated."""
    words = f"{experiment.collection[:40]}-{experiment.created[:19]}"
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-") or "experiment"


def _add_qrels(qrels: Qrels, experiment: Experiment) -> None:
    for query_id, grades in experiment.qrels.items():
        if qrels.setdefault(query_id, grades) != grades:
            raise InputError(
                f"expected experiments with the same qrels, got other grades for {query_id!r} in "
                f"{experiment.collection!r}; choose those over one collection"
            )


def _list_notes(experiment: Experiment) -> list[str]:
    """What a reader should know of it."""
    told = [f"{experiment.collection}: {experiment.note}."] if experiment.note else []
    return told + [
        f"{system.name}: {len(system.failures)} queries without a ranking, which count as 0."
        for system in experiment.systems
        if system.failures
    ]
