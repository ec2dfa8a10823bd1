"""Files of items: one JSON object a line, or candidate lists as `rerank` reads them.

Takes a path, returns `Item` records. Knows no store.

    items    {"query_id", "query", "passages": [{"doc_id", "title", "text", "justification",
             "quotes", "system"}], "orders": {system: [doc_id, ...]}, "gold": {"grades": {doc_id:
             grade}, ...}}; all but query and passages may be absent, a passage may instead have
             "justifications": [{"system", "text", "quotes"}]
    lists    {"query_id", "query", "hits": [...]}, see reranker/candidates.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from reranker.annotation.answers import read_answers
from reranker.annotation.importing import MAX_PASSAGES
from reranker.annotation.item import Item, Reasoning, SystemOrder, make_item
from reranker.candidates import read_candidates
from reranker.corpora.files import parse_object
from reranker.corpora.reading import open_file, read_lines
from reranker.errors import InputError
from reranker.examples.lists import parse_annotation
from reranker.quotes import locate_quote
from reranker.types import Passage

_Record = dict[str, object]


def read_item_file(path: Path, depth: int = MAX_PASSAGES) -> tuple[Item, ...]:
    """The items of a file. Raises InputError naming file and line of the first unusable one."""
    if not _holds_passages(path):
        return tuple(_from_candidates(path, depth))
    items = []
    with open_file(path, path.name) as stream:
        for line in read_lines(stream, path.name):
            if line.text.strip():
                record = parse_object(line, path.name)
                items.append(_read_item(record, f"{path.name}:{line.number}"))
    return tuple(items)


def _holds_passages(path: Path) -> bool:
    """Whether the first line is one of our items; anything else is read as candidates."""
    with open_file(path, path.name) as stream:
        first = next((line.text for line in read_lines(stream, path.name) if line.text.strip()), "")
    if not first:
        raise InputError("expected one JSON object a line, got an empty file", where=path.name)
    try:
        found = json.loads(first)
    except ValueError:
        return False
    return isinstance(found, dict) and "passages" in found


def _from_candidates(path: Path, depth: int) -> Iterator[Item]:
    for found in read_candidates(path):
        hits = found.hits[:depth]
        order = SystemOrder(system=path.name, doc_ids=tuple(hit.passage.doc_id for hit in hits))
        passages = [hit.passage for hit in hits]
        yield make_item(found.query, passages, orders=[order], source=path.name)


def _read_item(record: _Record, where: str) -> Item:
    raw = record.get("passages")
    rows = raw if isinstance(raw, list) else []
    # Its grades are nobody's here; what is known to be right stands under "gold".
    graded = [{**row, "grade": 0} if isinstance(row, dict) else row for row in rows]
    judged = parse_annotation({**record, "passages": graded}, where)
    passages = [p.passage for p in judged.passages]
    if len(passages) > MAX_PASSAGES:
        raise InputError(
            f"expected at most {MAX_PASSAGES} passages an item, got {len(passages)}; split it",
            where=where,
        )
    gold = read_answers(record["gold"], where) if record.get("gold") is not None else None
    return make_item(
        judged.query,
        passages,
        reasonings=_read_reasonings(rows, passages, where),
        orders=_read_orders(record.get("orders"), passages, where),
        gold=gold,
        source=where.rpartition(":")[0],
    )


def _read_reasonings(
    rows: list[_Record], passages: list[Passage], where: str
) -> Iterator[Reasoning]:
    for row, passage in zip(rows, passages, strict=True):
        given = row.get("justifications", [])
        listed = [*given] if isinstance(given, list) else []
        if row.get("justification"):
            listed.append({**row, "text": row["justification"]})
        seen: set[str] = set()
        for said in listed:
            text = said.get("text") if isinstance(said, dict) else None
            system = said.get("system", "model") if isinstance(said, dict) else None
            if not isinstance(text, str) or not isinstance(system, str) or system in seen:
                raise InputError(
                    "expected justifications with a text, each of another system, got "
                    f"{str(said)[:60]!r}; correct it",
                    where=where,
                )
            seen.add(system)
            quotes = said.get("quotes")
            found = [
                locate_quote(quote, passage.text)
                for quote in (quotes if isinstance(quotes, list) else [])
                if isinstance(quote, str)
            ]
            if text.strip():
                yield Reasoning(
                    doc_id=passage.doc_id,
                    system=system,
                    text=text.strip(),
                    evidence=tuple(evidence for evidence in found if evidence is not None),
                )


def _read_orders(raw: object, passages: list[Passage], where: str) -> Iterator[SystemOrder]:
    known = {passage.doc_id for passage in passages}
    for system, doc_ids in (raw if isinstance(raw, dict) else {}).items():
        listed: list[str] = doc_ids if isinstance(doc_ids, list) else [""]
        if not set(listed) <= known or len(set(listed)) != len(listed):
            raise InputError(
                f"expected the order of {str(system)[:40]!r} to name passages of the line, each "
                "once; correct it",
                where=where,
            )
        yield SystemOrder(system=str(system), doc_ids=tuple(listed))
