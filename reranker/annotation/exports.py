"""A project's judgements as files: TREC, BEIR, jsonl, training data, other tools, a card.

Takes a store, a project and a folder, writes files, returns their paths. Knows no page; who may
have them is asked before.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from reranker.annotation.card import write_card
from reranker.annotation.consensus import settle_items
from reranker.annotation.interchange import (
    list_argilla,
    list_label_studio,
    write_argilla_settings,
    write_label_config,
)
from reranker.annotation.item import Item
from reranker.annotation.judgement import Judgement
from reranker.annotation.judging import Judging, current_judgements
from reranker.annotation.project import Project, write_project
from reranker.annotation.report import report_agreement
from reranker.annotation.training_exports import (
    Judged,
    list_conversations,
    list_corrected,
    list_graded,
    list_pairs,
)
from reranker.errors import InputError
from reranker.trec import write_qrels
from reranker.types import Passage

_JUDGEMENT = TypeAdapter(Judgement)
_ITEM = TypeAdapter(Item)
_TAB_SAFE = re.compile(r"[^\t\r\n\0]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What is exported. judged: the items with a consensus. annotations: everybody's newest."""

    project: Project
    items: tuple[Item, ...]
    history: tuple[Judgement, ...]
    judged: tuple[Judged, ...]
    annotations: tuple[Judgement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One export. write: material and a path in; raises InputError for what its form cannot
    hold."""

    name: str
    file: str
    title: str
    write: Callable[[Material, Path], None]


def gather_material(judging: Judging, project_id: str) -> Material:
    """Everything of one project. Two queries that share an id are told apart by their item's."""
    store = judging.store
    project, history = store.get_project(project_id), judging.history(project_id)
    items = _tell_apart(store.list_items(project_id))
    settled = settle_items(history)
    current = current_judgements(history)
    return Material(
        project=project,
        items=items,
        history=history,
        judged=tuple((i, settled[i.item_id]) for i in items if i.item_id in settled),
        annotations=tuple(j for (_, kind, _), j in current.items() if kind == "annotation"),
    )


def write_exports(
    judging: Judging, project_id: str, names: Sequence[str], folder: Path
) -> tuple[Path, ...]:
    """These formats of a project as files in a folder.

    Raises InputError for an unknown format, a form that cannot hold an id, or a project that
    nobody has judged anything of.
    """
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise InputError(
            f"expected formats among {', '.join(FORMATS)}, got {', '.join(unknown) or 'none'}; "
            "choose some of these"
        )
    material = gather_material(judging, project_id)
    if not material.judged:
        raise InputError("expected at least one judged item, got none; judge one first")
    paths = []
    for name in names:
        path = folder / FORMATS[name].file
        FORMATS[name].write(material, path)
        paths.append(path)
    return tuple(paths)


def _write_qrels(material: Material, path: Path) -> None:
    write_qrels(path, _list_grades(material.judged))


def _write_beir(material: Material, path: Path) -> None:
    grades = _list_grades(material.judged)
    lines = ["query-id\tcorpus-id\tscore"]
    for query_id, judged in grades.items():
        for doc_id, grade in judged.items():
            for name, text in (("query_id", query_id), ("doc_id", doc_id)):
                if not _TAB_SAFE.fullmatch(text):
                    raise InputError(
                        f"expected a {name} without tabs or line ends, got {text[:40]!r}; rename "
                        "it, or write jsonl"
                    )
            lines.append(f"{query_id}\t{doc_id}\t{grade}")
    passages: dict[str, Passage] = {}
    for item, _ in material.judged:
        for passage in item.passages:
            if passages.setdefault(passage.doc_id, passage).text != passage.text:
                raise InputError(
                    f"expected one text for passage {passage.doc_id!r}, got two; its items are of "
                    "different corpora, so write jsonl"
                )
    corpus = [{"_id": p.doc_id, "title": p.title, "text": p.text} for p in passages.values()]
    queries = [{"_id": i.query.query_id, "text": i.query.text} for i, _ in material.judged]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("corpus.jsonl", _write_lines(corpus))
        archive.writestr("queries.jsonl", _write_lines(queries))
        archive.writestr("qrels/test.tsv", "\n".join([*lines, ""]))


def _write_history(material: Material, path: Path) -> None:
    """One line a version, then, so that the file stands alone, the items and the project."""
    rows: list[Any] = [
        {"type": "project", "project": json.loads(TypeAdapter(Project).dump_json(material.project))}
    ]
    rows += [{"type": "item", "item": _ITEM.dump_python(i, mode="json")} for i in material.items]
    rows += [
        {"type": "judgement", "judgement": _JUDGEMENT.dump_python(j, mode="json")}
        for j in material.history
    ]
    _write_text(path, _write_lines(rows))


def _write_argilla(material: Material, path: Path) -> None:
    """A folder as Argilla saves a dataset: its settings, its name, its records."""
    settled = {item.item_id: consensus for item, consensus in material.judged}
    records = list(list_argilla(material.project, material.items, settled))
    files: dict[str, Any] = {
        ".argilla/settings.json": write_argilla_settings(material.project),
        ".argilla/dataset.json": {"name": material.project.project_id},
        "records.json": records,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content, ensure_ascii=False, indent=1))


def _write_label_studio(material: Material, path: Path) -> None:
    """The tasks, and beside them the labelling interface they are shown in."""
    tasks = list(list_label_studio(material.project, material.items, material.annotations))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tasks.json", json.dumps(tasks, ensure_ascii=False, indent=1))
        archive.writestr("labelling-interface.xml", write_label_config(material.project))


def _write_card(material: Material, path: Path) -> None:
    report = report_agreement(material.items, material.history)
    _write_text(path, write_card(material.project, report, len(material.items)))


FORMATS: dict[str, Format] = {
    name: Format(name=name, file=file, title=title, write=write)
    for name, file, title, write in (
        ("qrels", "qrels.txt", "TREC qrels", _write_qrels),
        ("beir", "beir.zip", "BEIR collection", _write_beir),
        ("history", "history.jsonl", "Everything, with all versions", _write_history),
        ("stage1", "stage1.jsonl", "Stage 1: graded lists",
         lambda m, p: _write_text(p, _write_lines(list_graded(m.judged)))),
        ("pairs", "pairs.jsonl", "Stage 1: relevant against others (Tevatron)",
         lambda m, p: _write_text(p, _write_lines(list_pairs(m.judged)))),
        ("stage2", "stage2.jsonl", "Stage 2: corrected justifications",
         lambda m, p: _write_text(p, _write_lines(list_corrected(m.project, m.judged)))),
        ("dear-cot", "dear-cot.jsonl", "Stage 2: DeAR-COT conversations",
         lambda m, p: _write_text(p, _write_lines(list_conversations(m.project, m.judged)))),
        ("argilla", "argilla.zip", "Argilla dataset", _write_argilla),
        ("label-studio", "label-studio.zip", "Label Studio tasks", _write_label_studio),
        ("card", "README.md", "Dataset card", _write_card),
        ("yaml", "project.yaml", "The project itself, to copy",
         lambda m, p: _write_text(p, write_project(m.project))),
    )
}  # fmt: skip


def _list_grades(judged: Iterable[Judged]) -> dict[str, dict[str, int]]:
    graded: dict[str, dict[str, int]] = {}
    for item, consensus in judged:
        if consensus.answers.grades:
            graded[item.query.query_id] = dict(consensus.answers.grades)
    return graded


def _tell_apart(items: Sequence[Item]) -> tuple[Item, ...]:
    seen: dict[str, str] = {}
    kept = []
    for item in items:
        query_id = item.query.query_id
        if seen.setdefault(query_id, item.item_id) != item.item_id:
            found = _ITEM.dump_python(item)
            found["query"]["query_id"] = f"{query_id}-{item.item_id}"
            item = _ITEM.validate_python(found)
        kept.append(item)
    return tuple(kept)


def _write_lines(records: Iterable[Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(
            f"expected to write here, got {error.strerror}; choose another place", where=str(path)
        ) from error
