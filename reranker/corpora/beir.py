"""The BEIR layout: corpus.jsonl, queries.jsonl and qrels/<split>.tsv, each perhaps as .gz.

Takes a set of files (a folder or a zip), returns a corpus, its queries, its qrels. Knows
nothing of where the files lie. Beside the layout a collection may hold an about.json with
`title`, `description`, `licence` and `example_queries`; without one the first queries serve
as examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from reranker.corpora.corpus import Corpus, make_corpus
from reranker.corpora.files import (
    ID_FIELDS,
    SUFFIXES,
    data_suffix,
    parse_object,
    pick_text,
    read_passages,
)
from reranker.corpora.folder import FileSet
from reranker.corpora.reading import Line, read_lines
from reranker.errors import InputError
from reranker.types import Passage, Query

Qrels = dict[str, dict[str, int]]
"""query_id -> doc_id -> grade."""

EXAMPLES = 5
PREFERRED_SPLITS = ("test", "dev", "validation", "train")
_GRADE = re.compile(r"-?[0-9]{1,9}")
_QRELS_HEADER = ["query-id", "corpus-id", "score"]


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a collection says of itself in about.json; everything may be absent."""

    title: str = ""
    description: str = ""
    licence: str = "not stated"
    example_queries: tuple[str, ...] = ()


def load_collection(files: FileSet, corpus_id: str) -> Corpus:
    """The corpus in the BEIR layout, or else in the only data file that is there.

    Raises InputError naming file and line for what cannot be used, and listing the candidates
    when it is not clear which file is meant.
    """
    path = _find(files, "corpus.jsonl") or _find_only_data_file(files)
    about = read_about(files)
    with files.open(path) as stream:
        passages: tuple[Passage, ...] = read_passages(stream, f"{files.name}/{path}")
    examples = about.example_queries
    if not examples:
        examples = tuple(query.text for query in read_queries(files)[:EXAMPLES])
    return make_corpus(
        passages,
        corpus_id=corpus_id,
        title=about.title,
        description=about.description,
        licence=about.licence,
        example_queries=examples,
    )


def read_queries(files: FileSet) -> tuple[Query, ...]:
    """The queries in file order; none when there is no queries.jsonl. Raises InputError."""
    path = _find(files, "queries.jsonl")
    if path is None:
        return ()
    queries: dict[str, Query] = {}
    for line, where in _read(files, path):
        record = parse_object(line, f"{files.name}/{path}")
        query_id = pick_text(record, ("_id", "query_id", *ID_FIELDS[1:]), where).strip()
        text = pick_text(record, ("text", "query"), where).strip()
        if not query_id or not text:
            raise InputError(
                "expected a query with an id and a text, got an empty one; fill it in or remove "
                "the line",
                where=where,
            )
        if query_id in queries:
            raise InputError(
                f"expected every query id once, got {query_id!r} again; rename one", where=where
            )
        queries[query_id] = Query(query_id=query_id, text=text)
    return tuple(queries.values())


def read_qrels(files: FileSet, split: str | None = None) -> Qrels:
    """The judgements of one split; {} when the collection has none at all.

    split: the file's name without its ending; without one, test, dev, validation or train,
    whichever comes first. Raises InputError for a split that is not there, for a line that is
    not "query-id<TAB>corpus-id<TAB>score", and for a pair judged twice with different grades.
    """
    paths = _find_splits(files)
    if split is None:
        split = next((name for name in PREFERRED_SPLITS if name in paths), next(iter(paths), None))
        if split is None:
            return {}
    if split not in paths:
        known = ", ".join(sorted(paths)) or "none"
        raise InputError(
            f"expected one of the splits {known}, got {split!r}; choose one of these",
            where=f"{files.name}/qrels",
        )
    qrels: Qrels = {}
    for line, where in _read(files, paths[split]):
        cells = [cell.strip() for cell in line.text.split("\t")]
        if [cell.lower() for cell in cells] == _QRELS_HEADER:
            continue
        if len(cells) != 3 or not _GRADE.fullmatch(cells[2]):
            raise InputError(
                "expected query-id, corpus-id and a whole number between tabs, got "
                f"{line.text[:60]!r}; correct the line",
                where=where,
            )
        query_id, doc_id, grade = cells[0], cells[1], int(cells[2])
        if qrels.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            raise InputError(
                f"expected one grade for {query_id!r} and {doc_id!r}, got two; keep one",
                where=where,
            )
    return qrels


def read_about(files: FileSet) -> About:
    """The collection's about.json, or an empty one. Raises InputError when it does not fit."""
    path = _find(files, "about.json")
    if path is None:
        return About()
    where = f"{files.name}/{path}"
    with files.open(path) as stream:
        text = "\n".join(line.text for line in read_lines(stream, where))
    try:
        record = json.loads(text)
        examples = tuple(record.get("example_queries", ()))
        fields = {key: record[key] for key in ("title", "description", "licence") if key in record}
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise InputError(
            f"expected a JSON object, got something else ({error}); correct it", where=where
        ) from error
    if not all(isinstance(value, str) for value in (*fields.values(), *examples)):
        raise InputError(
            "expected text in title, description, licence and example_queries, got another type; "
            "put the values in quotes",
            where=where,
        )
    return About(**fields, example_queries=examples)


def _read(files: FileSet, path: str) -> Iterator[tuple[Line, str]]:
    """The lines of a file that are not blank, each with the place to blame."""
    name = f"{files.name}/{path}"
    with files.open(path) as stream:
        for line in read_lines(stream, name):
            if line.text.strip():
                yield line, f"{name}:{line.number}"


def _find(files: FileSet, name: str) -> str | None:
    """The path of the file called `name` (or `name`.gz), at the top or in one folder."""
    found = [
        path for path in files.list_paths() if PurePosixPath(path).name in (name, f"{name}.gz")
    ]
    if len(found) > 1:
        raise InputError(
            f"expected one {name}, got {', '.join(found[:5])}; keep one collection at a time",
            where=files.name,
        )
    return found[0] if found else None


def _find_splits(files: FileSet) -> dict[str, str]:
    paths = {}
    for path in files.list_paths():
        inside = PurePosixPath(path)
        if inside.parent.name == "qrels" and data_suffix(path) == ".tsv":
            paths[inside.name.split(".tsv")[0]] = path
    return paths


def _find_only_data_file(files: FileSet) -> str:
    found = [path for path in files.list_paths() if data_suffix(path) in SUFFIXES]
    found = [path for path in found if not path.lower().endswith(("readme.txt", "license.txt"))]
    if len(found) == 1:
        return found[0]
    packed = [p for p in files.list_paths() if p.lower().endswith((".zip", ".tar", ".tgz", ".7z"))]
    got = ", ".join(found[:5]) or (f"the archive {packed[0]}" if packed else "no data file")
    raise InputError(
        f"expected corpus.jsonl or exactly one file ending in {', '.join(SUFFIXES)}, got {got}; "
        "give the file itself, or name the corpus corpus.jsonl",
        where=files.name,
    )
