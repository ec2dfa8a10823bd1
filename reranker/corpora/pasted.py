"""A pasted list of candidates: text in, a small corpus out, to rerank without retrieval.

Knows the three ways to write such a list, and nothing of files.

- jsonl, when the first line that is not blank begins with "{": the fields of a .jsonl corpus;
- otherwise, when there is a blank line between entries, a paragraph each;
- otherwise a line each.

When every entry begins with "id<TAB>", those are the ids; otherwise the ids are c1, c2, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reranker.corpora.corpus import Corpus, make_corpus
from reranker.corpora.files import read_jsonl_rows, split_paragraphs
from reranker.corpora.limits import MAX_PASTED_CHARS, MAX_PASTED_PASSAGES
from reranker.corpora.reading import Line
from reranker.corpora.rows import Row, collect_passages
from reranker.errors import InputError
from reranker.types import Hit, Passage

NAME = "pasted list"
_WITH_ID = re.compile(r"\s*(\S+)\t(.*)", re.DOTALL)


def parse_pasted(text: str) -> Corpus:
    """The corpus a pasted list makes, in its order. Raises InputError naming the line."""
    if len(text) > MAX_PASTED_CHARS:
        raise InputError(
            f"expected at most {MAX_PASTED_CHARS:,} characters, got {len(text):,}; "
            "save the list as a file and load that",
            where=NAME,
        )
    lines = [
        Line(number=number, text=line)
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1)
    ]
    filled = [line for line in lines if line.text.strip()]
    if filled and filled[0].text.lstrip().startswith("{"):
        rows = list(read_jsonl_rows(lines, NAME))
    else:
        paragraphs = list(split_paragraphs(lines))
        rows = _make_rows(
            paragraphs if len(paragraphs) > 1 else [(line.number, line.text) for line in filled]
        )
    if len(rows) > MAX_PASTED_PASSAGES:
        raise InputError(
            f"expected at most {MAX_PASTED_PASSAGES:,} candidates, got {len(rows):,}; "
            "paste fewer, or load the list as a corpus",
            where=f"{NAME}:{rows[MAX_PASTED_PASSAGES].line}",
        )
    return make_corpus(
        collect_passages(rows, NAME),
        corpus_id="pasted",
        title="Pasted candidates",
        description="A pasted list, reranked as it is: there is no retrieval.",
        licence="as supplied",
    )


def list_hits(passages: Iterable[Passage]) -> tuple[Hit, ...]:
    """Candidates in the given order as hits without a BM25 score."""
    return tuple(Hit(passage=passage, rank=rank) for rank, passage in enumerate(passages, start=1))


def _make_rows(entries: list[tuple[int, str]]) -> list[Row]:
    matches = [_WITH_ID.fullmatch(text) for _, text in entries]
    rows = []
    for number, ((line, text), match) in enumerate(zip(entries, matches, strict=True), start=1):
        if all(matches) and match is not None:
            rows.append(Row(line=line, doc_id=match[1], text=match[2]))
        else:
            rows.append(Row(line=line, doc_id=f"c{number}", text=text))
    return rows
