"""Collections from the hub, written so that the training commands read them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from reranker.errors import InputError
from reranker.training import collect
from reranker.training.sources import WIKI_SHARDS, read_squad, read_wiki

TIDES = "The Moon pulls the sea. Its pull raises two bulges, and the Earth turns under both."
SAND = "Sand is ground rock. Most of it is quartz."


def squad(title: str, context: str, question: str, answer: str) -> dict[str, Any]:
    """A record as the hub has it."""
    starts = [context.index(answer), 0]
    answers = {"text": [answer, context[:3]], "answer_start": starts}
    return {"title": title, "context": context, "question": question, "answers": answers}


RECORDS = [
    squad("Ocean_tides", TIDES, " How many bulges are there?", "two"),
    squad("Sand", SAND, "What is most sand?", "quartz"),
    squad("Ocean_tides", TIDES, "What pulls the sea?", "The Moon"),
]
ARTICLES = [
    {"id": "7", "title": "Sand", "text": "dune " * 60},
    {"id": "8", "title": "Salt", "text": "Too short.\n\n" + "salt\n" * 40 + "\n\n" + "x " * 201},
    {"id": "9", "title": "Ice", "text": "\n\n".join(f"{word} " * 50 for word in "abcdefgh")},
]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for the network alone; the names asked for are kept."""
    asked: list[str] = []

    def stream(name: str, config: str, split: str) -> Any:
        asked.append(f"{name} {split}")
        return iter(ARTICLES if name == collect.WIKIPEDIA else RECORDS)

    monkeypatch.setattr(collect, "stream_data_set", stream)
    return asked


def test_what_is_collected_is_read_by_the_training_commands(hub: list[str], tmp_path: Path) -> None:
    collect.main(["--out", str(tmp_path), "--wiki", "10"])
    passages, questions = read_squad(tmp_path)
    assert [(p.title, p.text) for p in passages] == [("Ocean tides", TIDES), ("Sand", SAND)]
    texts = {p.doc_id: p.text for p in passages}
    assert [(q.text, q.answer) for q in questions] == [
        ("How many bulges are there?", "two"),
        ("What is most sand?", "quartz"),
        ("What pulls the sea?", "The Moon"),
    ]
    for question in questions:
        text = texts[question.doc_id]
        assert text[question.answer_start :].startswith(question.answer)
    wiki = list(read_wiki(tmp_path))
    assert [p.doc_id for p in wiki] == ["wiki-8-1", *(f"wiki-9-{n}" for n in range(8))]
    assert {p.title for p in wiki}.isdisjoint({"Sand"}), "an article that is measured on"
    assert len(list(islice(read_wiki(tmp_path, (0,)), 9))) == 10 // len(WIKI_SHARDS)


def test_what_is_there_is_not_fetched_again(hub: list[str], tmp_path: Path) -> None:
    collect.collect(tmp_path, 10)
    assert hub == [
        "rajpurkar/squad train", "rajpurkar/squad validation", "wikimedia/wikipedia train",
    ]  # fmt: skip
    collect.collect(tmp_path, 10)
    assert len(hub) == 3
    (tmp_path / "squad" / "questions.dev.jsonl.gz").unlink()
    collect.collect(tmp_path, 10)
    assert hub[3:] == ["rajpurkar/squad validation"]


def test_a_download_that_breaks_off_leaves_no_file_that_looks_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stream(name: str, config: str, split: str) -> Any:
        yield RECORDS[0]
        raise InputError("expected a data set that can be reached")

    monkeypatch.setattr(collect, "stream_data_set", stream)
    with pytest.raises(InputError, match="can be reached"):
        collect.collect(tmp_path, 10)
    assert not list(tmp_path.rglob("*.gz"))
