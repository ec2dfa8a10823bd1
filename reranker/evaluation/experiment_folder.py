"""Experiments on disk: one folder that can be opened again, and read by other tools.

Takes an `Experiment` and a folder, writes and reads it. The folder holds `experiment.json` (what
was chosen and what was measured), TREC runs under `runs/`, and the collection in BEIR layout
(`queries.jsonl`, `corpus.jsonl.gz` with the candidates' texts, `qrels/test.tsv`). Knows files;
ranks nothing. Numbers are measured again on opening and must be the saved ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from reranker.corpora.beir import read_queries
from reranker.corpora.files import load_file
from reranker.corpora.folder import FolderFiles
from reranker.errors import InputError
from reranker.evaluation.experiment import Experiment, SystemRun
from reranker.textfile import read_text, write_text
from reranker.trec import read_qrels, read_run, write_run
from reranker.types import Justification

MANIFEST = "experiment.json"
_TOLERANCE = 1e-9
_MEND = "open the folder as it was saved, or run the evaluation again"
_HEADER = "query-id\tcorpus-id\tscore\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class _SavedSystem:
    """A system in the manifest. run: the file of its run, "" where it ranked nothing."""

    name: str
    description: str
    run: str
    seconds: dict[str, float] = field(default_factory=dict)
    defects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    justifications: dict[str, tuple[Justification, ...]] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Manifest:
    """experiment.json."""

    collection: str
    collection_sha256: str
    first_stage: str
    licence: str
    note: str
    depth: int
    measures: tuple[str, ...]
    baseline: str
    answers: dict[str, tuple[str, ...]]
    systems: tuple[_SavedSystem, ...]
    settings: dict[str, str]
    versions: dict[str, str]
    created: str
    format: Literal["dear-experiment/1"] = "dear-experiment/1"


_ADAPTER = TypeAdapter(_Manifest)


def save_experiment(experiment: Experiment, folder: Path) -> None:
    """Writes the experiment into `folder`, which must be new or empty.

    Raises InputError where it is neither or cannot be written, and for ids that no TREC file can
    hold.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(
                "expected a new or empty folder, got one with files; name another",
                where=str(folder),
            )
        (folder / "runs").mkdir()
        (folder / "qrels").mkdir()
        _write_collection(experiment, folder)
        measured = experiment.measure()
        saved = []
        for number, system in enumerate(experiment.systems, start=1):
            file = f"runs/{number:02}-{_slug(system.name)}.trec.gz" if system.run else ""
            if file:
                write_run(folder / file, system.run, _slug(system.name))
            means = {result.measure: result.mean for result in measured[system.name]}
            saved.append(_save_system(system, file, means))
        manifest = _make_manifest(experiment, tuple(saved))
        (folder / MANIFEST).write_bytes(_ADAPTER.dump_json(manifest, indent=1) + b"\n")
    except OSError as error:
        raise InputError(
            f"expected to write here, got {error.strerror}; choose another place",
            where=str(folder),
        ) from error


def open_experiment(folder: Path) -> Experiment:
    """The experiment saved in `folder`.

    Raises InputError for a folder that is none, for files that do not fit, and where measuring
    the runs again gives other numbers than were saved: then a file was changed.
    """
    manifest = _read_manifest(folder)
    queries = read_queries(FolderFiles(folder))
    corpus = folder / "corpus.jsonl.gz"
    passages = {p.doc_id: p for p in load_file(corpus)} if corpus.is_file() else {}
    qrels = folder / "qrels" / "test.tsv"
    experiment = Experiment(
        collection=manifest.collection,
        collection_sha256=manifest.collection_sha256,
        first_stage=manifest.first_stage,
        licence=manifest.licence,
        note=manifest.note,
        depth=manifest.depth,
        measures=manifest.measures,
        baseline=manifest.baseline,
        queries=queries,
        passages=passages,
        qrels=read_qrels(qrels) if qrels.is_file() else {},
        answers=manifest.answers,
        systems=tuple(_open_system(system, folder) for system in manifest.systems),
        settings=manifest.settings,
        versions=manifest.versions,
        created=manifest.created,
    )
    _check_numbers(experiment, manifest, folder)
    return experiment


def _write_collection(experiment: Experiment, folder: Path) -> None:
    queries = [{"_id": q.query_id, "text": q.text} for q in experiment.queries]
    write_text(folder / "queries.jsonl", _to_jsonl(queries))
    if experiment.passages:
        passages = [
            {"_id": p.doc_id, "title": p.title, "text": p.text}
            for p in experiment.passages.values()
        ]
        write_text(folder / "corpus.jsonl.gz", _to_jsonl(passages))
    if experiment.qrels:
        rows = [
            f"{query_id}\t{doc_id}\t{grade}\n"
            for query_id, grades in experiment.qrels.items()
            for doc_id, grade in grades.items()
        ]
        write_text(folder / "qrels" / "test.tsv", _HEADER + "".join(rows))


def _save_system(system: SystemRun, file: str, means: Mapping[str, float]) -> _SavedSystem:
    return _SavedSystem(
        name=system.name,
        description=system.description,
        run=file,
        seconds=dict(system.seconds),
        defects=dict(system.defects),
        failures=dict(system.failures),
        justifications=dict(system.justifications),
        measured=dict(means),
    )


def _make_manifest(experiment: Experiment, systems: tuple[_SavedSystem, ...]) -> _Manifest:
    return _Manifest(
        collection=experiment.collection,
        collection_sha256=experiment.collection_sha256,
        first_stage=experiment.first_stage,
        licence=experiment.licence,
        note=experiment.note,
        depth=experiment.depth,
        measures=experiment.measures,
        baseline=experiment.baseline,
        answers={query_id: tuple(texts) for query_id, texts in experiment.answers.items()},
        systems=systems,
        settings=dict(experiment.settings),
        versions=dict(experiment.versions),
        created=experiment.created,
    )


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"expected a folder with {MANIFEST}, got none; {_MEND}", where=str(folder))
    try:
        return _ADAPTER.validate_json(read_text(path), extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"expected a saved experiment, got {first['msg'].lower()} at {place}; {_MEND}",
            where=str(path),
        ) from error


def _open_system(saved: _SavedSystem, folder: Path) -> SystemRun:
    root = folder.resolve()
    path = (root / saved.run).resolve()
    if not path.is_relative_to(root):
        raise InputError(
            f"expected runs inside the folder, got {saved.run!r}; {_MEND}", where=str(folder)
        )
    return SystemRun(
        name=saved.name,
        description=saved.description,
        run=read_run(path) if saved.run else {},
        seconds=saved.seconds,
        defects=saved.defects,
        failures=saved.failures,
        justifications=saved.justifications,
    )


def _check_numbers(experiment: Experiment, manifest: _Manifest, folder: Path) -> None:
    measured = experiment.measure()
    for saved in manifest.systems:
        means = {result.measure: result.mean for result in measured[saved.name]}
        for measure in means.keys() | saved.measured.keys():
            before, now = saved.measured.get(measure), means.get(measure)
            if before is None or now is None or abs(before - now) > _TOLERANCE:
                raise InputError(
                    f"expected {measure} of {saved.name!r} to be {before} as saved, got {now}; a "
                    f"file was changed: {_MEND}",
                    where=str(folder),
                )


def _to_jsonl(records: list[dict[str, str]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "system"
