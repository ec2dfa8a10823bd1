"""Edits, what they change, and the smallest one that turns the top two."""

from __future__ import annotations

import pytest

from reranker.errors import InputError
from reranker.explain.counterfactual import EditRequest, try_edit
from reranker.explain.edits import (
    Edit,
    delete_span,
    diff_texts,
    negate_span,
    replace_word,
    swap_names,
    swap_numbers,
)
from reranker.explain.flip import FlipRequest, find_flip
from tests.explained import TEXTS, WordScorer, make_bench, make_student, make_trace


@pytest.mark.parametrize(
    ("sentence", "negated"),
    [
        ("Soap is wet.", "Soap is not wet."),
        ("Soap does not burn.", "Soap does burn."),
        ("Soap lifts grease.", "It is not true that soap lifts grease."),
        ("It can’t rust.", "It can rust."),
    ],
)
def test_negation(sentence: str, negated: str) -> None:
    text = f"One. {sentence} Two."
    changed = negate_span(text, 5, 5 + len(sentence))
    assert changed == f"One. {negated} Two."


def test_numbers_names_words_and_deletions() -> None:
    text = "In 1998 it fell by 20 metres. Anna Berg saw it, and so did Otto Lund."
    assert swap_numbers(text, 0, 29).startswith("In 20 it fell by 1998 metres.")
    assert swap_numbers("It was 45.", 0, 10) == "It was 78."
    assert "Otto Lund saw it" in swap_names(text, 30, len(text) - 19, [])
    assert replace_word("Soap, soapy soap.", "soap", "sand") == "sand, soapy sand."
    assert delete_span("One. Two. Three.", 5, 9) == "One. Three."
    for call in (
        lambda: swap_numbers("none", 0, 4),
        lambda: swap_names("none", 0, 4, []),
        lambda: replace_word("none", "soap", "x"),
        lambda: delete_span("One.", 0, 4),
    ):
        with pytest.raises(InputError, match="expected"):
            call()


def test_a_diff_joins_back_to_both_texts() -> None:
    before, after = "soap lifts the old grease", "soap never lifts grease"
    pieces = diff_texts(before, after)
    assert "".join(p.text for p in pieces if p.kind != "added") == before
    assert "".join(p.text for p in pieces if p.kind != "removed") == after


def test_a_deleted_sentence_changes_score_rank_and_verdict() -> None:
    student = make_student(scorer=WordScorer())
    trace = make_trace(student, stages="1")
    assert trace.final_order[0] == "first"
    start = TEXTS["first"].index("With")
    text = delete_span(TEXTS["first"], start, TEXTS["first"].index("Then"))
    found = try_edit(
        make_bench(student, trace), EditRequest(edits=(Edit(doc_id="first", text=text),))
    )
    changes = {change.doc_id: change for change in found.changes}
    first = changes["first"]
    assert first.edited and first.before and first.before.score == 2.0 and first.after.score == 0.0
    assert first.rise < 0 and changes["second"].rise > 0
    assert [p.text for p in found.diffs[0].pieces if p.kind == "removed"] == [
        "With soap and more soap the grease lifts. "
    ]
    assert not found.remade and found.before == trace


def test_a_new_query_and_a_new_passage() -> None:
    student = make_student(scorer=WordScorer())
    trace = make_trace(student, stages="both")
    own = Edit(doc_id="mine", text="soap soap soap soap")
    found = try_edit(make_bench(student, trace), EditRequest(edits=(own,)))
    mine = next(change for change in found.changes if change.doc_id == "mine")
    assert mine.before is None and mine.after.rank_stage1 == 1
    asked = try_edit(make_bench(student, trace), EditRequest(query="what does paint do"))
    assert asked.diffs[0].doc_id == "" and asked.after.query.text == "what does paint do"
    assert all(change.after.score == 0.0 for change in asked.changes)
    with pytest.raises(InputError, match="expected a change"):
        try_edit(make_bench(student, trace), EditRequest())
    with pytest.raises(InputError, match="as the passage"):
        try_edit(make_bench(student, trace), EditRequest(edits=(Edit(doc_id="a", text=" "),)))


def test_a_ranking_of_other_weights_is_made_again_before_it_is_compared() -> None:
    student = make_student(scorer=WordScorer())
    trace = make_trace(student, stages="1")
    other = trace.with_stage(
        student=student.info().__class__(name="x", quantization="nf4", device="")
    )
    found = try_edit(make_bench(student, other), EditRequest(query="more soap"))
    assert found.remade and found.before.final_order == trace.final_order


def test_the_smallest_flip_is_the_word_that_counts() -> None:
    student = make_student(scorer=WordScorer())
    texts = {"a": "water soap grease", "b": "nothing here"}
    trace = make_trace(student, texts, stages="1")
    found = find_flip(make_bench(student, trace), FlipRequest())
    assert not found.found  # 0 logits each is no lead
    texts = {"a": "water soap grease with soap", "b": "soap alone"}
    trace = make_trace(student, texts, stages="1")
    found = find_flip(make_bench(student, trace), FlipRequest())
    assert found.found and found.words == ("soap", "soap") and found.certain
    assert found.margin == 1.0 and found.text == "water grease with"
    short = find_flip(make_bench(student, trace), FlipRequest(max_scorings=6))
    assert short.scorings <= 7 and not short.found


def test_a_flip_of_the_final_order_is_read_by_stage_2() -> None:
    student = make_student()  # ranks by shared words, the shorter passage first
    trace = make_trace(student, {"a": "soap does", "b": "soap and paint", "c": "iron"})
    assert trace.final_order[:2] == ("a", "b")
    found = find_flip(make_bench(student, trace), FlipRequest(stage="final", max_readings=3))
    assert found.readings <= 3
    assert found.found == (found.readings > 0 and bool(found.words))
    with pytest.raises(InputError, match="at least two"):
        find_flip(make_bench(student, make_trace(student, {"a": "soap"})), FlipRequest())
