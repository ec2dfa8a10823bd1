"""Raw rows to passages: the checks every corpus goes through, wherever it came from.

Takes rows that still carry their line, returns passages; knows no file format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reranker.corpora.limits import MAX_ID_CHARS, MAX_PASSAGE_CHARS, MAX_PASSAGES
from reranker.errors import InputError
from reranker.types import Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A passage as read, unchecked. `line` is 1-based; 0 where there are no lines."""

    line: int
    doc_id: str
    text: str
    title: str = ""


def collect_passages(rows: Iterable[Row], name: str) -> tuple[Passage, ...]:
    """The rows as passages, in order; ids, titles and texts without surrounding white space.

    Raises InputError, naming the line, for an empty, repeated, too long or unprintable id (an
    id with white space cannot be written into a TREC run), for empty or too long text, and
    when there are no rows or too many.
    """
    first_lines: dict[str, int] = {}
    passages: list[Passage] = []
    for row in rows:
        where = f"{name}:{row.line}" if row.line else name
        doc_id = _check_id(row.doc_id.strip(), where)
        text, title = row.text.strip(), row.title.strip()
        _check_text(text, title, doc_id, where)
        if doc_id in first_lines:
            first = f" (first on line {first_lines[doc_id]})" if row.line else ""
            raise InputError(
                f"expected every id once, got {doc_id!r} again{first}; rename or remove one",
                where=where,
            )
        if len(passages) == MAX_PASSAGES:
            raise InputError(
                f"expected at most {MAX_PASSAGES:,} passages, got more; split the corpus",
                where=where,
            )
        first_lines[doc_id] = row.line
        passages.append(Passage(doc_id=doc_id, text=text, title=title))
    if not passages:
        raise InputError("expected at least one passage, got none; add one", where=name)
    return tuple(passages)


def _check_id(doc_id: str, where: str) -> str:
    if not doc_id:
        raise InputError("expected an id, got an empty one; give the passage an id", where=where)
    if len(doc_id) > MAX_ID_CHARS:
        raise InputError(
            f"expected an id of at most {MAX_ID_CHARS} characters, got {len(doc_id):,}; "
            "shorten it (are id and text swapped?)",
            where=where,
        )
    if not doc_id.isprintable() or any(char.isspace() for char in doc_id):
        raise InputError(
            f"expected an id without spaces or control characters, got {doc_id!r}; "
            "replace them, for example by '_'",
            where=where,
        )
    return doc_id


def _check_text(text: str, title: str, doc_id: str, where: str) -> None:
    if not text:
        raise InputError(
            f"expected text in passage {doc_id!r}, got none; fill it in or remove the passage",
            where=where,
        )
    if max(len(text), len(title)) > MAX_PASSAGE_CHARS:
        raise InputError(
            f"expected passages of at most {MAX_PASSAGE_CHARS:,} characters, got a longer one "
            f"({doc_id!r}); split it",
            where=where,
        )
    try:
        (title + text).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"expected valid Unicode in passage {doc_id!r}, got half of a surrogate pair; "
            "write the whole character",
            where=where,
        ) from error
    if "\0" in text or "\0" in title:
        raise InputError(
            f"expected text in passage {doc_id!r}, got binary content (a NUL character); remove it",
            where=where,
        )
