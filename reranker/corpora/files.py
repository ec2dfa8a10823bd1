"""One file of passages: .jsonl, .csv, .tsv or .txt, each also packed as .gz.

Takes an open stream and its name, returns passages. Knows formats; knows neither folders nor
archives, so the same readers serve files on disk and entries of a zip.

- .jsonl: one object a line with an id (`_id`, `doc_id` or `id`), a text (`text` or
  `contents`) and perhaps a `title`; other fields are ignored.
- .csv, .tsv: the same names as column heads; quotes as in RFC 4180.
- .txt: a paragraph (lines between blank lines) is a passage, with ids p1, p2, ...
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from reranker.corpora.limits import MAX_PASSAGE_CHARS
from reranker.corpora.reading import Line, open_file, read_lines
from reranker.corpora.rows import Row, collect_passages
from reranker.errors import InputError
from reranker.types import Passage

ID_FIELDS = ("_id", "doc_id", "id")
TEXT_FIELDS = ("text", "contents")
TITLE_FIELD = "title"
SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt")


def load_file(path: Path) -> tuple[Passage, ...]:
    """The passages of a file on disk. Raises InputError; see `read_passages`."""
    with open_file(path, path.name) as stream:
        return read_passages(stream, path.name)


def read_passages(stream: BinaryIO, name: str) -> tuple[Passage, ...]:
    """The passages of a stream, by the ending of its name (any .gz already unpacked).

    Raises InputError naming file and line for whatever cannot be used.
    """
    suffix = data_suffix(name)
    lines = read_lines(stream, name)
    if suffix == ".jsonl":
        rows = read_jsonl_rows(lines, name)
    elif suffix in (".csv", ".tsv"):
        rows = _read_csv_rows(lines, name, "\t" if suffix == ".tsv" else ",")
    elif suffix == ".txt":
        rows = _read_paragraph_rows(lines)
    else:
        raise InputError(
            f"expected a file ending in {', '.join(SUFFIXES)} (or one of these with .gz), "
            f"got {suffix or 'no ending'!r}; convert or rename it",
            where=name,
        )
    return collect_passages(rows, name)


def data_suffix(name: str) -> str:
    """The ending that says the format: of "a/corpus.jsonl.gz" it is ".jsonl"."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def parse_object(line: Line, name: str) -> dict[str, object]:
    """The JSON object on a line. Raises InputError when there is none."""
    where = f"{name}:{line.number}"
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg} at column {error.colno}"
        raise InputError(
            f"expected one JSON object on the line, got invalid JSON ({reason}); correct the line",
            where=where,
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            f"expected a JSON object, got {_name_type(value)}; write "
            '{"_id": ..., "title": ..., "text": ...}',
            where=where,
        )
    return value


def pick_text(record: dict[str, object], names: Iterable[str], where: str) -> str:
    """The first of these fields that the record has, as text; a whole number counts as an id.

    Raises InputError when it has none, or one that is no text.
    """
    names = tuple(names)
    for name in names:
        value = record.get(name)
        if isinstance(value, str):
            return value
        if name in ID_FIELDS and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            raise InputError(
                f"expected text in field {name!r}, got {_name_type(value)}; put it in quotes",
                where=where,
            )
    raise InputError(
        f"expected a field named {_list_names(names)}, got only "
        f"{_list_names(record) or 'an empty object'}; add or rename it",
        where=where,
    )


def read_jsonl_rows(lines: Iterable[Line], name: str) -> Iterator[Row]:
    """One row a line; blank lines are skipped. Raises InputError on the line it concerns."""
    for line in lines:
        if line.text.strip():
            where = f"{name}:{line.number}"
            record = parse_object(line, name)
            has_title = record.get(TITLE_FIELD) is not None
            yield Row(
                line=line.number,
                doc_id=pick_text(record, ID_FIELDS, where),
                text=pick_text(record, TEXT_FIELDS, where),
                title=pick_text(record, (TITLE_FIELD,), where) if has_title else "",
            )


def _read_csv_rows(lines: Iterable[Line], name: str, delimiter: str) -> Iterator[Row]:
    # The field limit belongs to the whole process; what is above it no reader here accepts.
    csv.field_size_limit(MAX_PASSAGE_CHARS)
    reader = csv.reader((line.text + "\n" for line in lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"expected a row of the table, got {error} (the row begins on line {start}); "
                'put fields with quotes or line breaks into quotes and double every " inside',
                where=f"{name}:{max(reader.line_num, start)}",
            ) from error
        if cells is None:
            return
        where = f"{name}:{start}"
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _check_header(cells, delimiter, where)
        elif len(cells) != len(header):
            raise InputError(
                f"expected {len(header)} columns as in the header, got {len(cells)}; "
                "put fields that contain the separator into quotes",
                where=where,
            )
        else:
            record: dict[str, object] = dict(zip(header, cells, strict=True))
            yield Row(
                line=start,
                doc_id=pick_text(record, ID_FIELDS, where),
                text=pick_text(record, TEXT_FIELDS, where),
                title=str(record.get(TITLE_FIELD, "")),
            )


def _check_header(cells: list[str], delimiter: str, where: str) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for names in (ID_FIELDS, TEXT_FIELDS):
        if not any(name in header for name in names):
            separated = "tabs" if delimiter == "\t" else "commas"
            raise InputError(
                f"expected a header with a column named {_list_names(names)}, got "
                f"{_list_names(header)}; add that header line, separated by {separated}",
                where=where,
            )
    named = [name for name in header if name]
    if len(set(named)) != len(named):
        raise InputError(
            f"expected every column once, got {_list_names(header)}; rename one", where=where
        )
    return header


def _read_paragraph_rows(lines: Iterable[Line]) -> Iterator[Row]:
    for number, (start, text) in enumerate(split_paragraphs(lines), start=1):
        yield Row(line=start, doc_id=f"p{number}", text=text)


def split_paragraphs(lines: Iterable[Line]) -> Iterator[tuple[int, str]]:
    """Runs of lines between blank ones: (1-based number of the first line, the lines joined)."""
    start = 0
    held: list[str] = []
    for line in lines:
        if line.text.strip():
            start = start if held else line.number
            held.append(line.text)
        elif held:
            yield start, "\n".join(held)
            held = []
    if held:
        yield start, "\n".join(held)


def _name_type(value: object) -> str:
    names = {
        str: "text",
        int: "a number",
        float: "a number",
        bool: "true or false",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _list_names(names: Iterable[str]) -> str:
    shown = [repr(name[:40]) for name in names]
    return ", ".join(shown[:8]) + (", ..." if len(shown) > 8 else "")
