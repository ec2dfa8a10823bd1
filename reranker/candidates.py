"""Candidate files: queries with the passages to rerank, no retrieval needed.

Takes a path to jsonl (`query_id, query, hits[doc_id, text, title?, rank?, score?], answers?`), to
RankGPT's json (`[{"query", "hits": [{"content", "qid", "docid", "rank", "score"}]}]`) or to the
forms of `candidate_forms.py`, plain or gzip, returns `CandidateList` records. Knows no corpus, no
model and no measure.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from reranker.candidate_forms import to_own_form
from reranker.errors import InputError
from reranker.textfile import iterate_lines, read_text
from reranker.types import Hit, Passage, Query

MAX_HITS_PER_QUERY = 10_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\r\n]*")
_Record = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateList:
    """A query and its candidates in rank order (at least one, each doc_id once).

    answers: what counts as an answer to the question, any one of them; () where nobody said.
    """

    query: Query
    hits: tuple[Hit, ...]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    """What a format calls its keys."""

    query_id: str
    doc_id: str
    text: str


_OWN = _Names(query_id="query_id", doc_id="doc_id", text="text")
_RANKGPT = _Names(query_id="qid", doc_id="docid", text="content")


def read_candidates(path: Path) -> list[CandidateList]:
    """The candidate lists in `path`, in file order, hits sorted by rank.

    `rank` is 1-based and may be absent from all hits of a query, which then keep the order
    of the file. `score` becomes `bm25_score`. Ids may be JSON strings or whole numbers.
    Raises InputError naming file and line for broken JSON, a missing or empty field, a score
    that is no finite number, a rank below 1 or given twice, or an id given twice.
    """
    lists: list[CandidateList] = []
    query_ids: set[str] = set()
    for number, value in _iterate_json(read_text(path), path.name):
        candidates = _read_item(value, len(lists) + 1, f"{path.name}:{number}")
        query_id = candidates.query.query_id
        if query_id in query_ids:
            _refuse("each query_id once", f"{query_id!r} again", f"{path.name}:{number}")
        query_ids.add(query_id)
        lists.append(candidates)
    if not lists:
        _refuse("at least one query with its hits", "none", path.name, "give the file with them")
    return lists


def _iterate_json(text: str, name: str) -> Iterator[tuple[int, object]]:
    """(line number, value) of every line of jsonl, or of every element of one JSON array."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    try:
        if text.lstrip().startswith("["):
            yield from _iterate_array(text, decoder, name)
        else:
            for number, line in iterate_lines(text):
                yield number, _decode(decoder, line, 0, f"{name}:{number}", whole=True)[0]
    except RecursionError as error:
        raise InputError(
            "expected queries with hits, got JSON nested too deep; flatten it", where=name
        ) from error


def _iterate_array(text: str, decoder: json.JSONDecoder, name: str) -> Iterator[tuple[int, object]]:
    position, line, counted = _skip_space(text, text.index("[") + 1), 1, 0
    while position < len(text) and text[position] != "]":
        line, counted = line + text.count("\n", counted, position), position
        value, end = _decode(decoder, text, position, f"{name}:{line}")
        yield line, value
        position = _skip_space(text, end)
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)
        elif text[position : position + 1] != "]":
            break
    if text[position : position + 1] != "]" or _skip_space(text, position + 1) != len(text):
        line += text.count("\n", counted, position)
        _refuse("a JSON list closed by ]", "something else", f"{name}:{line}", "mend the JSON")


def _decode(
    decoder: json.JSONDecoder, text: str, start: int, where: str, *, whole: bool = False
) -> tuple[object, int]:
    try:
        if whole:
            return decoder.decode(text), len(text)
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        name, _, line = where.rpartition(":")
        number = int(line) if whole else error.lineno
        raise InputError(
            f"expected JSON, got {error.msg.lower()} at column {error.colno}; mend the line",
            where=f"{name}:{number}",
        ) from error
    except ValueError as error:  # a number of thousands of digits, NaN or Infinity
        raise InputError(
            f"expected plain JSON, got {error}; mend the number", where=where
        ) from error
    return value, end


def _read_item(value: object, place: int, where: str) -> CandidateList:
    item = to_own_form(_as_record(value, "an object with query and hits", where), place)
    hits = item.get("hits")
    if not isinstance(hits, list) or not hits:
        _refuse("hits as a list of at least one passage", _name(hits), where, "add candidates")
    if len(hits) > MAX_HITS_PER_QUERY:
        _refuse(f"at most {MAX_HITS_PER_QUERY:,} hits", f"{len(hits):,}", where, "keep the best")
    records = [_as_record(hit, "each hit as an object", where) for hit in hits]
    names = _RANKGPT if "query_id" not in item and "qid" in records[0] else _OWN
    query_id = _read_query_id(item, records, names, where)
    query = Query(query_id=query_id, text=_read_text_field(item, "query", where))
    answers = item.get("answers", [])
    if not isinstance(answers, list):
        _refuse("answers as a list of texts", _name(answers), where)
    return CandidateList(
        query=query,
        hits=_read_hits(records, names, where),
        answers=tuple(_read_text_field({"answer": a}, "answer", where) for a in answers),
    )


def _read_query_id(item: _Record, records: list[_Record], names: _Names, where: str) -> str:
    if names is _OWN:
        return _read_id(item, names.query_id, where)
    ids = {_read_id(record, names.query_id, where) for record in records}
    if len(ids) > 1:
        _refuse("one qid for all hits of a query", f"{len(ids)} different ones", where)
    return ids.pop()


def _read_hits(records: list[_Record], names: _Names, where: str) -> tuple[Hit, ...]:
    ranked = [record.get("rank") is not None for record in records]
    if any(ranked) and not all(ranked):
        _refuse("a rank for every hit or for none", "some without", where, "add or drop them")
    hits = [
        _read_hit(record, names, position, f"{where} hits[{position}]")
        for position, record in enumerate(records)
    ]
    _require_unique("doc_id", [hit.passage.doc_id for hit in hits], where)
    _require_unique("rank", [str(hit.rank) for hit in hits], where)
    return tuple(sorted(hits, key=lambda hit: hit.rank))


def _require_unique(name: str, values: list[str], where: str) -> None:
    if len(set(values)) != len(values):
        twice = next(value for value in values if values.count(value) > 1)
        _refuse(f"each {name} once per query", f"{twice!r} again", where, "remove one")


def _read_hit(record: _Record, names: _Names, position: int, where: str) -> Hit:
    rank, score, title = record.get("rank"), record.get("score"), record.get("title")
    if rank is None:
        rank = position + 1
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        _refuse("a whole rank of 1 or more", repr(rank), where, "number from 1 or drop rank")
    if score is not None and not _is_finite_number(score):
        _refuse("a finite number as score", repr(score), where, "mend or drop it")
    if title is not None and not isinstance(title, str):
        _refuse("a title as text", _name(title), where)
    passage = Passage(
        doc_id=_read_id(record, names.doc_id, where),
        text=_read_text_field(record, names.text, where),
        title=_encodable(title or "", "title", where),
    )
    bm25_score = float(score) if isinstance(score, (int, float)) else None
    return Hit(passage=passage, rank=rank, bm25_score=bm25_score)


def _read_id(record: _Record, key: str, where: str) -> str:
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _read_text_field(record, key, where)


def _read_text_field(record: _Record, key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        _refuse(f"{key} as text", "an empty one" if value == "" else _name(value), where)
    return _encodable(value, key, where)


def _encodable(text: str, key: str, where: str) -> str:
    if _SURROGATE.search(text):
        _refuse(f"{key} as whole characters", "half of a surrogate pair", where)
    return text


def _is_finite_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max  # false for NaN too


def _as_record(value: object, expected: str, where: str) -> _Record:
    if not isinstance(value, dict):
        _refuse(expected, _name(value), where)
    return value


def _name(value: object) -> str:
    """What a JSON value is called, for messages."""
    if value is None:
        return "nothing"
    kinds = {dict: "an object", list: "a list", str: "blank text", bool: "true or false"}
    kind = kinds.get(type(value), "a number")
    return "an empty list" if value == [] else kind


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(expected: str, got: str, where: str, mend: str = "mend the line") -> NoReturn:
    raise InputError(f"expected {expected}, got {got}; {mend}", where=where)
