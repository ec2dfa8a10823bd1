"""Files of queries: topics in, `Query` records out.

Takes `query_id<TAB>text` lines (TREC's and RankGPT's tsv) or BEIR's jsonl, plain or gzip. Knows
no corpus and no qrels.
"""

from __future__ import annotations

from pathlib import Path

from reranker.corpora.files import ID_FIELDS, parse_object, pick_text
from reranker.corpora.reading import Line
from reranker.errors import InputError
from reranker.textfile import iterate_lines, read_text
from reranker.types import Query


def read_topics(path: Path) -> tuple[Query, ...]:
    """The queries in `path`, in file order. Raises InputError naming file and line."""
    text = read_text(path)
    jsonl = text.lstrip().startswith("{")
    queries: dict[str, Query] = {}
    for number, line in iterate_lines(text):
        where = f"{path.name}:{number}"
        if jsonl:
            record = parse_object(Line(number=number, text=line), path.name)
            query_id = pick_text(record, ("_id", "query_id", *ID_FIELDS[1:]), where).strip()
            words = pick_text(record, ("text", "query"), where).strip()
        else:
            query_id, _, words = (part.strip() for part in line.partition("\t"))
        if not query_id or not words:
            raise InputError(
                "expected query_id and text with a tab between them, got "
                f"{line[:60]!r}; mend the line",
                where=where,
            )
        if query_id in queries:
            raise InputError(
                f"expected every query_id once, got {query_id!r} again; remove one", where=where
            )
        queries[query_id] = Query(query_id=query_id, text=words)
    if not queries:
        raise InputError("expected at least one query, got none; add one", where=path.name)
    return tuple(queries.values())
