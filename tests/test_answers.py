"""Top-k accuracy by hand, and the files questions come in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import InputError
from reranker.evaluation.answers import has_answer, measure_answers, split_words
from reranker.evaluation.questions import load_questions, read_questions, read_squad
from reranker.evaluation.sources import load_collection
from reranker.trec import rank_by_position
from reranker.types import Passage

SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Oil_crisis",
            "paragraphs": [
                {
                    "context": "The oil crisis began in October 1973. Prices rose to nearly $12.",
                    "qas": [
                        {
                            "id": "s1",
                            "question": "When did the oil crisis begin?",
                            "answers": [
                                {"text": "October 1973", "answer_start": 24},
                                {"text": "October 1973", "answer_start": 24},
                                {"text": "1973", "answer_start": 32},
                            ],
                        },
                        {"id": "s2", "question": "Who?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        },
        {"title": "Bread", "paragraphs": [{"context": "Yeast feeds on sugar.", "qas": []}]},
    ],
}


@pytest.mark.parametrize(
    ("passage", "answer", "found"),
    [
        ("It began in October 1973.", "october 1973", True),
        ("It began in October, 1973.", "October 1973", False),  # a comma is a word of its own
        ("It cost nearly $12 then.", "$12", True),
        ("It cost nearly $120 then.", "$12", False),
        ("The category is full.", "cat", False),
        ("Beyonce\u0301 sang", "Beyonc\u00e9", True),  # two spellings of one letter
        ("Beyonce sang", "Beyonc\u00e9", False),
        ("the U.S. army", "u.s.", True),
        ("the US army", "U.S.", False),
        ("Straße und Weg", "STRASSE", False),
        ("well-known facts", "well known", False),
        ("an answer\nacross lines", "answer across", True),
        ("anything", "", False),
        ("anything", " \u200b ", False),
        ("", "x", False),
    ],
)
def test_answers_by_hand(passage: str, answer: str, found: bool) -> None:
    assert has_answer(passage, ["nowhere to be found", answer]) is found


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_an_answer_between_spaces_is_found(before: str, after: str, answer: str) -> None:
    assert has_answer(f"{before} {answer} {after}", [answer]) == bool(split_words(answer))


def test_top_k_by_hand() -> None:
    texts = {
        "a": Passage(doc_id="a", text="It began in 1973.", title="moon"),
        "b": Passage(doc_id="b", text="Nothing here."),
        "c": Passage(doc_id="c", text="The moon did it."),
    }
    run = {
        "q1": rank_by_position(["a", "b"]),
        "q2": rank_by_position(["b", "a", "c"]),
        "q3": rank_by_position(["b"]),
    }
    answers = {"q1": ["1973"], "q2": ["the moon", "mars"], "q3": ["x"], "q4": ["1973"]}
    found = measure_answers(run, texts, answers, [1, 2, 3])
    assert found.means == {"Top-1": 0.25, "Top-2": 0.25, "Top-3": 0.5}
    assert found.results[2].values == {"q1": 1.0, "q2": 1.0, "q3": 0.0, "q4": 0.0}
    assert (found.missing, found.unanswered) == (("q4",), ("q3", "q4"))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="questions with answers, got none"):
        measure_answers({}, {}, {})
    with pytest.raises(InputError, match="cut-offs of 1 or more"):
        measure_answers({}, {}, {"q": ["x"]}, [0])
    with pytest.raises(InputError, match="got none for 'a'"):
        measure_answers({"q": rank_by_position(["a"])}, {}, {"q": ["x"]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nq.tsv", "who sang\t['Beyonc\u00e9', \"O'Hara\"]\r\n"),
        ("webq.jsonl", '{"question": "who sang", "answer": ["Beyonc\u00e9", "O\'Hara"]}\n'),
        ("trivia.json", '[{"question": "who sang", "answers": ["Beyonc\u00e9", "O\'Hara"]}]'),
    ],
)
def test_question_files(tmp_path: Path, name: str, text: str) -> None:
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        data = text.encode("utf-8")
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        (question,) = read_questions(path)
        assert (question.query.query_id, question.query.text) == ("1", "who sang")
        assert question.answers == ("Beyonc\u00e9", "O'Hara")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.tsv", "who\t['a']\nwho sang\n", r"q\.tsv:2: expected question, tab and a list"),
        ("q.tsv", "who\t__import__('os')\n", "expected question, tab and a list"),
        ("q.tsv", "who\t[]\n", "at least one answer"),
        ("q.tsv", "who\t[1]\n", "at least one answer"),
        ("q.tsv", "\n", "got none"),
        ("q.jsonl", '{"question": "q", "answer": ["a"], "id": 1}\n' * 2, "'1' again"),
        ("q.jsonl", '{"question": "q"}\n', r"q\.jsonl:1: expected a question and at least one"),
        ("q.json", '["q"]', r"q\.json\[0\]"),
        ("q.json", "[", "expected a JSON list"),
    ],
)
def test_faulty_question_files_name_the_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_questions(path)


def test_squad_is_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(SQUAD), encoding="utf-8")
    squad = read_squad(path)
    assert [(p.doc_id, p.title) for p in squad.passages] == [
        ("0-0", "Oil crisis"),
        ("1-0", "Bread"),
    ]
    (question,) = squad.questions
    assert (question.query.query_id, question.doc_id) == ("s1", "0-0")
    assert question.answers == ("October 1973", "1973")
    collection = load_collection(str(path))
    assert collection.qrels == {"s1": {"0-0": 1}}
    run = {
        c.query.query_id: rank_by_position([h.passage.doc_id for h in c.hits])
        for c in collection.lists
    }
    texts = {passage.doc_id: passage for passage in squad.passages}
    assert measure_answers(run, texts, collection.answers).means["Top-1"] == 1.0


def test_a_broken_squad_file_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_text('{"data": [{"paragraphs": [{"qas": []}]}]}', encoding="utf-8")
    with pytest.raises(InputError, match=r"KeyError: 'context' in data\[0\]\.paragraphs\[0\]"):
        read_squad(path)


def test_the_real_squad_has_plausible_accuracy(shared_data: Path) -> None:
    """The first 200 questions of SQuAD dev over its own paragraphs, first ranked by BM25."""
    folder = shared_data / "squad"
    collection = load_questions(
        folder / "questions.dev.jsonl.gz",
        corpus=str(folder / "passages.dev.jsonl.gz"),
        depth=20,
        limit=200,
    )
    texts = {hit.passage.doc_id: hit.passage for c in collection.lists for hit in c.hits}
    run = {
        c.query.query_id: rank_by_position([hit.passage.doc_id for hit in c.hits])
        for c in collection.lists
    }
    means = measure_answers(run, texts, collection.answers).means
    assert 0.5 < means["Top-1"] <= means["Top-5"] <= means["Top-20"] <= 1.0
