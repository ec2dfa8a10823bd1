"""Training data: every format, bad lines with their numbers, held-out queries, leakage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import InputError
from reranker.examples.leakage import find_leakage, find_text_leakage, normalize_text
from reranker.examples.lists import parse_annotation, parse_tevatron, read_items
from reranker.examples.load import (
    hold_out,
    load_ranking_data,
    load_text_data,
    mine_negatives,
)
from reranker.examples.record import TextExample
from reranker.examples.report import inspect_data, require_usable
from reranker.examples.texts import parse_annotated_text, parse_dear_cot, parse_prompt
from reranker.jobs.presets import make_settings
from reranker.jobs.settings import DataSettings, TeacherSettings
from reranker.parsing import parse_ranking
from reranker.prompts.chat import parse_notes

TEVATRON = {
    "query_id": "q1",
    "query": "why tides",
    "positive_passages": [{"docid": "a", "title": "Sea", "text": "The moon pulls."}],
    "negative_passages": [{"docid": "b", "title": "", "text": "Bread rises.", "score": -1.5}],
}
ANNOTATION = {
    "query_id": "q2",
    "query": "why rust",
    "passages": [
        {"doc_id": "x", "text": "Bread rises.", "grade": 0},
        {
            "doc_id": "y",
            "title": "Iron",
            "text": "Oxygen and water rust iron.",
            "grade": 3,
            "justification": "It names\nboth causes.",
            "quotes": ["Oxygen and water"],
        },
    ],
}
COT = {
    "system": "You rank.",
    "instruction": "Rank these.",
    "input": "[1] a [2] b",
    "output": "### Final Reranking: [2] > [1]",
    "history": [["hello", "hi"]],
    "think": "b answers it.",
}


def write(path: Path, *records: Any) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_tevatron_records() -> None:
    judged = parse_tevatron(TEVATRON, "f:1")
    assert [(p.passage.doc_id, p.grade) for p in judged.passages] == [("a", 1), ("b", 0)]
    assert judged.passages[1].teacher_score == -1.5 and judged.query.query_id == "q1"


def test_triples_get_ids_from_their_texts() -> None:
    first = parse_tevatron({"query": "q", "positive": "yes", "negative": ["no", "nay"]}, "f:1")
    again = parse_tevatron({"query": "q", "positive": "yes", "negative": "no"}, "f:2")
    assert first.query.query_id == again.query.query_id
    assert first.passages[0].passage.doc_id == again.passages[0].passage.doc_id
    assert [p.grade for p in first.passages] == [1, 0, 0]


def test_annotations() -> None:
    judged = parse_annotation(ANNOTATION, "f:1")
    assert judged.positives[0].quotes == ("Oxygen and water",)
    assert [p.grade for p in judged.passages] == [0, 3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"query": " "}, "query"),
        ({"query": None}, "field named"),
        ({"positive_passages": []}, "positive"),
        ({"positive_passages": "x" * 3, "negative_passages": {"text": "y"}}, "list of passages"),
        ({"positive_passages": [7]}, "JSON object"),
        ({"positive_passages": [{"docid": "a"}]}, "field named text"),
        ({"negative_passages": [{"docid": "a", "text": "twice"}]}, "once"),
        ({"negative_passages": [{"docid": "b", "text": "t", "score": "high"}]}, "finite number"),
    ],
)
def test_bad_tevatron_records_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        parse_tevatron({**TEVATRON, **change}, "train.jsonl:7")
    assert str(error.value).startswith("train.jsonl:7: expected")


@pytest.mark.parametrize("grade", [None, -1, 1.5, True, "3"])
def test_bad_grades_are_refused(grade: object) -> None:
    passages = [{"doc_id": "x", "text": "t", "grade": grade}]
    with pytest.raises(InputError, match="grade"):
        parse_annotation({**ANNOTATION, "passages": passages}, "f:1")


def test_all_bad_lines_are_told_with_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", TEVATRON, "{", "", {"query": "q"}, "[1]")
    reading = read_items(path, parse_tevatron)
    assert len(reading.items) == 1 and reading.problem_count == 3
    assert [p.split(": ")[0] for p in reading.problems] == [f"t.jsonl:{n}" for n in (2, 4, 5)]


def test_an_empty_or_absent_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("\n\n")
    for name in ("e.jsonl", "absent.jsonl"):
        with pytest.raises(InputError):
            read_items(tmp_path / name, parse_tevatron)


def test_dear_cot_fields() -> None:
    example = parse_dear_cot(COT, "f:1")
    assert [m.role for m in example.messages] == ["system", "user", "assistant", "user"]
    assert example.messages[-1].content == "Rank these.\n[1] a [2] b"
    assert example.answer == "b answers it.\n### Final Reranking: [2] > [1]"
    without = parse_dear_cot(
        {"instruction": "Rank.", "output": "think. so", "think": "think."}, "f"
    )
    assert without.answer == "think. so" and len(without.messages) == 1


@pytest.mark.parametrize(
    "change", [{"instruction": "", "input": ""}, {"output": ""}, {"history": [1]}]
)
def test_bad_dear_cot_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        parse_dear_cot({**COT, **change}, "f:1")


def test_prompts_keep_their_white_space() -> None:
    example = parse_prompt({"prompt": " a\n", "answer": " b"}, "f:1")
    assert (example.prompt, example.answer) == (" a\n", " b")
    with pytest.raises(InputError):
        parse_prompt({"prompt": "a"}, "f:1")


def test_annotations_become_answers_the_reader_understands() -> None:
    example = parse_annotated_text(ANNOTATION, "f:1")
    assert parse_ranking(example.answer, 2).permutation == (1, 0)
    assert parse_ranking(example.answer, 2).defects == ()
    notes = parse_notes(example.answer, 2)
    assert [n.verdict for n in notes] == ["off_topic", "answers"]
    assert notes[1].reason == "It names both causes." and notes[1].quotes == ("Oxygen and water",)
    bare = {**ANNOTATION, "passages": ANNOTATION["passages"][:1]}
    with pytest.raises(InputError, match="justification"):
        parse_annotated_text(bare, "f:1")


# Held out


@given(st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=30), st.floats(0, 1))
def test_held_out_and_kept_are_everything_and_share_nothing(names: set[str], share: float) -> None:
    items = sorted(names)
    kept, held = hold_out(items, share, 0, lambda item: item)
    assert sorted(kept + held) == items and kept
    assert bool(held) == (share > 0 and len(items) > 1)


def test_held_out_stays_held_out() -> None:
    first = [f"q{n}" for n in range(20)]
    _, held = hold_out(first, 0.5, 3, lambda item: item)
    assert hold_out(list(reversed(first)), 0.5, 3, lambda item: item)[1] == held[::-1]
    assert hold_out(first, 0.5, 4, lambda item: item)[1] != held


def test_the_bundled_corpus_splits_without_leakage() -> None:
    data = load_ranking_data(DataSettings(), 0)
    assert len(data.train) + len(data.dev) == 49 and len(data.dev) == 20
    assert not find_leakage(data.train, data.dev_judged).serious
    assert load_ranking_data(DataSettings(), 0).hashes == data.hashes
    assert load_ranking_data(DataSettings(), 1).hashes != data.hashes
    ids = {q.query.query_id for q in data.train}
    assert not ids & {q.query.query_id for q in data.dev}
    assert all(1 <= len(q.candidates) <= 20 for q in data.dev)


def test_mined_negatives_are_not_judged_and_no_copies() -> None:
    data = load_ranking_data(DataSettings(), 0)
    assert data.retriever is not None
    judged = data.train[0]
    positive = judged.positives[0]
    fewer = replace(judged, passages=(positive,))
    mined = mine_negatives(fewer, data.retriever, 30)
    assert mined and all(p.grade == 0 for p in mined)
    assert positive.passage.text not in {p.passage.text for p in mined}


def test_lists_without_a_corpus_are_measured_on_their_own_passages(tmp_path: Path) -> None:
    other = {**TEVATRON, "query_id": "q9", "query": "bread"}
    path = write(tmp_path / "t.jsonl", TEVATRON, other)
    data = load_ranking_data(DataSettings(format="tevatron", train=str(path)), 0)
    assert len(data.train) == len(data.dev) == 1 and data.retriever is None
    assert {p.doc_id for p in data.dev[0].candidates} == {"a", "b"}


def test_lines_of_one_query_are_merged_and_two_texts_refused(tmp_path: Path) -> None:
    more = {**TEVATRON, "positive_passages": [{"docid": "b", "text": "Bread rises."}]}
    more["negative_passages"] = []
    settings = DataSettings(format="tevatron", train=str(write(tmp_path / "a", TEVATRON, more)))
    data = load_ranking_data(replace(settings, dev_share=0), 0)
    assert {p.passage.doc_id: p.grade for p in data.train[0].passages} == {"a": 1, "b": 1}
    path = write(tmp_path / "b", TEVATRON, {**TEVATRON, "query": "another"})
    with pytest.raises(InputError, match="one text"):
        load_ranking_data(replace(settings, train=str(path)), 0)


# Leakage and reports


def test_leakage_sees_through_case_and_punctuation() -> None:
    train = parse_tevatron(TEVATRON, "f:1")
    dev = parse_tevatron({**TEVATRON, "query": "Why  TIDES?", "query_id": "d"}, "g:1")
    leakage = find_leakage([train], [dev])
    assert leakage.serious and leakage.queries == (("q1", "d", "Why  TIDES?"),)
    assert leakage.passages == (("q1", "d", "a"),)
    clean = find_leakage([train], [parse_annotation(ANNOTATION, "h:1")])
    assert not clean.serious and not clean.passages
    assert normalize_text("Why is it blue?") == normalize_text("why is IT blue")


def test_text_leakage() -> None:
    one = TextExample(prompt="Rank a, b", answer="x", where="f:1")
    assert find_text_leakage([one], [replace(one, prompt="rank a b", where="g:1")]).serious
    assert not find_text_leakage([one], [replace(one, prompt="rank c")]).serious


def test_a_report_counts_previews_and_refuses(tmp_path: Path) -> None:
    settings = make_settings("quick", "stage1")
    report = inspect_data(settings)
    assert report.usable and report.statistics["training queries"] == 29
    assert report.preview[0]["query"] and any("only 20 dev" in w for w in report.warnings)
    require_usable(report, allow_leakage=False)

    path = write(tmp_path / "t.jsonl", TEVATRON, "{", "{")
    bad = replace(settings, data=DataSettings(format="tevatron", train=str(path), dev_share=0))
    with pytest.raises(InputError, match=r"t\.jsonl:2: .*and 1 more"):
        require_usable(inspect_data(bad), allow_leakage=True)

    path = write(tmp_path / "l.jsonl", TEVATRON)
    both = DataSettings(format="tevatron", train=str(path), dev=str(path))
    leaking = inspect_data(replace(settings, data=both))
    with pytest.raises(InputError, match="not trained on"):
        require_usable(leaking, allow_leakage=False)
    require_usable(leaking, allow_leakage=True)


def test_given_scores_must_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", TEVATRON)
    settings = replace(
        make_settings("quick", "stage1"),
        data=DataSettings(format="tevatron", train=str(path), dev_share=0),
        teacher=TeacherSettings(weights="given"),
    )
    assert "a score for every passage" in inspect_data(settings).problems[0]


def test_text_data_report(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", COT, {**COT, "input": "[1] c [2] d"})
    settings = make_settings("quick", "stage2")
    report = inspect_data(replace(settings, data=DataSettings(format="dear-cot", train=str(path))))
    assert report.statistics["training examples"] == 1 and report.preview[0]["answer"]
    assert (
        load_text_data(DataSettings(format="dear-cot", train=str(path)), 0).hashes == report.hashes
    )
