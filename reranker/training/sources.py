"""Evidence-labelled collections as training material.

Takes a folder with SQuAD and wiki files (see docs/training.md for their layout), returns
passages and questions. Knows no model.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reranker.errors import InputError
from reranker.types import Passage

WIKI_SHARDS = (0, 1, 2, 3, 4)
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question whose answer is passage.text[answer_start : answer_start + len(answer)]."""

    query_id: str
    text: str
    doc_id: str
    answer: str
    answer_start: int


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl, .jsonl.gz or .jsonl.xz file. Raises InputError when it is absent."""
    if not path.is_file():
        raise InputError(
            "expected a training collection here, found no file; see docs/training.md for "
            "where to get it, or pass --data",
            where=str(path),
        )
    with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_squad(data: Path, split: str = "train") -> tuple[list[Passage], list[Question]]:
    """SQuAD v1.1 passages and questions. split: "train" or "dev" (disjoint articles)."""
    folder = data / "squad"
    passages = [
        Passage(doc_id=row["_id"], title=row["title"], text=row["text"])
        for row in read_records(folder / f"passages.{split}.jsonl.gz")
    ]
    questions = [
        Question(
            query_id=row["_id"],
            text=row["text"],
            doc_id=row["doc_id"],
            answer=row["answer"],
            answer_start=row["answer_start"],
        )
        for row in read_records(folder / f"questions.{split}.jsonl.gz")
    ]
    return passages, questions


def read_wiki(data: Path, shards: tuple[int, ...] = WIKI_SHARDS) -> Iterator[Passage]:
    """Wikipedia paragraphs of about 100 words."""
    for shard in shards:
        for row in read_records(data / "wiki" / f"passages-{shard}.jsonl.xz"):
            yield Passage(doc_id=row["_id"], title=row["title"], text=row["text"])
