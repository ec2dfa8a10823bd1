"""The training collections from the hub by name, laid out as the training commands read them.

Takes nothing but a folder, writes SQuAD v1.1 and paragraphs of English Wikipedia into it (see
docs/training.md for the layout). Needs a network and the package `datasets`; a file that is
there already is not fetched again. Knows no model.

    python -m reranker.training.collect --out DATA [--wiki 50000]
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import lzma
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from reranker.corpora.hub import stream_data_set
from reranker.training.sources import WIKI_SHARDS, Question, read_squad
from reranker.types import Passage

logger = logging.getLogger(__name__)

SQUAD, WIKIPEDIA = "rajpurkar/squad", "wikimedia/wikipedia"
WIKIPEDIA_EDITION = "20231101.en"
HUB_SPLITS = {"train": "train", "dev": "validation"}
PARAGRAPH_WORDS = (40, 200)
"""Shorter ones are mostly captions and lists; longer ones are left out, not cut."""

Record = Mapping[str, Any]


def read_hub_squad(records: Iterable[Record], split: str) -> tuple[list[Passage], list[Question]]:
    """SQuAD as the hub has it: a record a question, its paragraph repeated. Of several answers
    the first counts."""
    passages: dict[str, Passage] = {}
    questions = []
    for number, record in enumerate(records):
        text = record["context"]
        passage = passages.setdefault(
            text,
            Passage(
                doc_id=f"{split}-{len(passages)}",
                title=record["title"].replace("_", " "),
                text=text,
            ),
        )
        questions.append(
            Question(
                query_id=f"{split}-q{number}",
                text=record["question"].strip(),
                doc_id=passage.doc_id,
                answer=record["answers"]["text"][0],
                answer_start=record["answers"]["answer_start"][0],
            )
        )
    return list(passages.values()), questions


def cut_articles(records: Iterable[Record], left_out: set[str]) -> Iterator[Passage]:
    """Paragraphs of Wikipedia articles, those of the titles in `left_out` (as SQuAD writes them)
    not among them."""
    low, high = PARAGRAPH_WORDS
    for record in records:
        if record["title"] in left_out:
            continue
        for number, text in enumerate(record["text"].split("\n\n")):
            paragraph = " ".join(text.split())
            if low <= len(paragraph.split()) <= high:
                yield Passage(
                    doc_id=f"wiki-{record['id']}-{number}", title=record["title"], text=paragraph
                )


def write_squad(folder: Path, split: str, records: Iterable[Record]) -> None:
    """Both files of one split; the questions last, so that where they are, all is there."""
    passages, questions = read_hub_squad(records, split)
    _write(folder / f"passages.{split}.jsonl.gz", map(_describe_passage, passages))
    _write(folder / f"questions.{split}.jsonl.gz", map(_describe_question, questions))


def write_wiki(folder: Path, count: int, passages: Iterator[Passage]) -> None:
    """`count` paragraphs, as many in each shard."""
    for shard in WIKI_SHARDS:
        rows = islice(passages, -(-count // len(WIKI_SHARDS)))
        _write(folder / f"passages-{shard}.jsonl.xz", map(_describe_passage, rows))


def collect(out: Path, wiki: int) -> None:
    """Fetches what is not there yet. Raises InputError for a missing package or network."""
    for split, hub_split in HUB_SPLITS.items():
        if (out / "squad" / f"questions.{split}.jsonl.gz").is_file():
            continue
        logger.info("%s, %s", SQUAD, split)
        write_squad(out / "squad", split, stream_data_set(SQUAD, "plain_text", hub_split))
    if not (out / "wiki" / f"passages-{WIKI_SHARDS[-1]}.jsonl.xz").is_file():
        logger.info("%s, %d paragraphs", WIKIPEDIA, wiki)
        measured_on = {passage.title for passage in read_squad(out, "dev")[0]}
        articles = stream_data_set(WIKIPEDIA, WIKIPEDIA_EDITION, "train")
        write_wiki(out / "wiki", wiki, cut_articles(articles, measured_on))


def _describe_passage(passage: Passage) -> dict[str, Any]:
    return {"_id": passage.doc_id, "title": passage.title, "text": passage.text}


def _describe_question(question: Question) -> dict[str, Any]:
    return {
        "_id": question.query_id,
        "text": question.text,
        "doc_id": question.doc_id,
        "answer": question.answer,
        "answer_start": question.answer_start,
    }


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One object a line, packed by the file's ending; the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    opener: Any = gzip.open if path.suffix == ".gz" else lzma.open
    with opener(part, "wt", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DATA")
    parser.add_argument("--wiki", type=int, default=50_000, help="Wikipedia paragraphs")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    collect(options.out, options.wiki)


if __name__ == "__main__":
    main()
