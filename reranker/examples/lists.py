"""Judged lists from jsonl files: MS MARCO / Tevatron records and this project's annotations.

Takes a path, returns `JudgedQuery` records and the lines that could not be used. Knows no
model. Both formats may carry a teacher's score for each passage.

    Tevatron     {"query_id", "query", "positive_passages": [{"docid", "title", "text"}],
                  "negative_passages": [...]}; a passage may have "score" (the teacher's)
    triples      {"query", "positive", "negative"}, texts or lists of texts
    annotations  {"query_id", "query", "passages": [{"doc_id", "title", "text", "grade",
                  "justification", "quotes", "score"}]}; the last four but grade may be absent
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from reranker.corpora.files import parse_object
from reranker.corpora.limits import MAX_PASSAGE_CHARS
from reranker.corpora.reading import open_file, read_lines
from reranker.errors import InputError
from reranker.examples.record import JudgedPassage, JudgedQuery
from reranker.trec import MAX_GRADE
from reranker.types import Passage, Query

MAX_PROBLEMS = 50
MAX_LIST = 1_000
_Record = dict[str, object]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading(Generic[T]):
    """What a file gave: items in order, and what was wrong, each with its line (the first
    MAX_PROBLEMS; `problem_count` counts all)."""

    items: tuple[T, ...]
    problems: tuple[str, ...] = ()
    problem_count: int = 0


def read_items(path: Path, parse: Callable[[_Record, str], T]) -> Reading[T]:
    """Every line of a .jsonl file through `parse`, which may raise InputError for its line.

    Raises InputError for a file that cannot be read as text at all, or that is empty.
    """
    items: list[T] = []
    problems: list[str] = []
    count = 0
    with open_file(path, path.name) as stream:
        for line in read_lines(stream, path.name):
            if not line.text.strip():
                continue
            try:
                items.append(parse(parse_object(line, path.name), f"{path.name}:{line.number}"))
            except InputError as error:
                count += 1
                if len(problems) < MAX_PROBLEMS:
                    problems.append(str(error))
    if not items and not problems:
        raise InputError("expected one JSON object a line, got an empty file", where=path.name)
    return Reading(items=tuple(items), problems=tuple(problems), problem_count=count)


def parse_tevatron(record: _Record, where: str) -> JudgedQuery:
    """A Tevatron record or a triple. Raises InputError naming the field."""
    text = read_text_field(record, ("query", "anchor"), where)
    positives = _read_side(record, ("positive_passages", "positive", "pos"), 1, where)
    negatives = _read_side(record, ("negative_passages", "negative", "neg"), 0, where)
    if not positives:
        raise InputError(
            "expected at least one positive passage, got none; add one or remove the line",
            where=where,
        )
    return _make_query(
        _read_id(record, ("query_id", "qid"), text), text, positives + negatives, where
    )


def parse_annotation(record: _Record, where: str) -> JudgedQuery:
    """A line of the annotation export. Raises InputError naming the field."""
    text = read_text_field(record, ("query",), where)
    raw = record.get("passages")
    if not isinstance(raw, list) or not raw:
        raise InputError("expected a list of passages, got none; export it again", where=where)
    passages = []
    for item in raw:
        fields = _as_object(item, where)
        grade = fields.get("grade")
        if not isinstance(grade, int) or isinstance(grade, bool) or not 0 <= grade <= MAX_GRADE:
            raise InputError(
                f"expected a grade as a whole number from 0, got {str(grade)[:40]!r}; correct it",
                where=where,
            )
        passages.append(_read_passage(fields, grade, where))
    return _make_query(_read_id(record, ("query_id",), text), text, passages, where)


def read_text_field(record: _Record, names: tuple[str, ...], where: str) -> str:
    """The first of these fields, as text that is not blank. Raises InputError."""
    for name in names:
        value = record.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not value.strip():
            raise InputError(
                f"expected text in field {name!r}, got {str(value)[:40]!r}; fill it in or remove "
                "the line",
                where=where,
            )
        if len(value) > MAX_PASSAGE_CHARS:
            raise InputError(
                f"expected at most {MAX_PASSAGE_CHARS:,} characters in field {name!r}, got "
                f"{len(value):,}; shorten it",
                where=where,
            )
        return value.strip()
    known = ", ".join(sorted(record)[:8]) or "nothing"
    raise InputError(
        f"expected a field named {' or '.join(names)}, got {known}; add or rename it", where=where
    )


def _make_query(query_id: str, text: str, passages: list[JudgedPassage], where: str) -> JudgedQuery:
    if len(passages) > MAX_LIST:
        raise InputError(
            f"expected at most {MAX_LIST:,} passages, got {len(passages):,}; keep the best of them",
            where=where,
        )
    seen: dict[str, JudgedPassage] = {}
    for judged in passages:
        doc_id = judged.passage.doc_id
        if seen.setdefault(doc_id, judged) is not judged:
            raise InputError(
                f"expected every passage once, got {doc_id!r} again; keep one", where=where
            )
    return JudgedQuery(
        query=Query(query_id=query_id, text=text), passages=tuple(passages), where=where
    )


def _read_side(
    record: _Record, names: tuple[str, ...], grade: int, where: str
) -> list[JudgedPassage]:
    raw = next((record[name] for name in names if record.get(name) is not None), [])
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, list):
        raise InputError(
            f"expected a list of passages in {names[0]!r}, got {str(raw)[:40]!r}; correct it",
            where=where,
        )
    return [
        _read_passage(
            {"text": item} if isinstance(item, str) else _as_object(item, where), grade, where
        )
        for item in items
    ]


def _read_passage(fields: _Record, grade: int, where: str) -> JudgedPassage:
    text = read_text_field(fields, ("text", "contents", "passage"), where)
    title = fields.get("title")
    title = title.strip() if isinstance(title, str) else ""
    score = fields.get("score")
    if score is not None:
        if (
            isinstance(score, bool)
            or not isinstance(score, int | float)
            or not math.isfinite(score)
        ):
            raise InputError(
                f"expected a finite number as score, got {str(score)[:40]!r}; correct it",
                where=where,
            )
        score = float(score)
    justification = fields.get("justification")
    quotes = fields.get("quotes")
    return JudgedPassage(
        passage=Passage(
            doc_id=_read_id(fields, ("doc_id", "docid", "_id", "id"), f"{title}\n{text}"),
            text=text,
            title=title,
        ),
        grade=grade,
        teacher_score=score,
        justification=justification.strip() if isinstance(justification, str) else "",
        quotes=tuple(_only_texts(quotes)),
    )


def _only_texts(values: object) -> Iterator[str]:
    for value in values if isinstance(values, list) else []:
        if isinstance(value, str) and value.strip():
            yield value


def _read_id(record: _Record, names: tuple[str, ...], text: str) -> str:
    """The id given, or one made of the text, so that the same text has the same id everywhere."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return "sha-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_object(item: object, where: str) -> _Record:
    if not isinstance(item, dict):
        raise InputError(
            f"expected a passage as a JSON object, got {str(item)[:40]!r}; correct it", where=where
        )
    return item
