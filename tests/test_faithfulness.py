"""Faithfulness on planted evidence, and agreement with marked spans by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reranker.errors import InputError
from reranker.explain.faithfulness import (
    FaithfulnessRequest,
    check_faithfulness,
    find_contradictions,
)
from reranker.explain.human_evidence import compare_spans
from reranker.types import Evidence, RankingTrace
from tests.explained import TEXTS, WordScorer, make_bench, make_student, make_trace


def cite(trace: RankingTrace, doc_id: str, quote: str) -> RankingTrace:
    """The trace with one passage's justification quoting `quote`."""
    text = next(h.passage.text for h in trace.hits if h.passage.doc_id == doc_id)
    start = text.index(quote)
    span = Evidence(start=start, end=start + len(quote), text=quote)
    (reading,) = trace.readings
    notes = tuple(
        replace(note, evidence=(span,)) if note.doc_id == doc_id else note
        for note in reading.justifications
    )
    return trace.with_stage(readings=(replace(reading, justifications=notes),))


def test_a_planted_evidence_sentence_is_told_from_an_idle_one() -> None:
    student = make_student(scorer=WordScorer())
    trace = make_trace(student)
    found = {}
    for name, quote in (
        ("planted", "With soap and more soap the grease lifts."),
        ("idle", "Water alone slides off."),
    ):
        bench = make_bench(student, cite(trace, "first", quote))
        report = check_faithfulness(bench, FaithfulnessRequest(random_spans=20))
        found[name] = next(c for c in report.checks if c.doc_id == "first")
    planted, idle = found["planted"], found["idle"]
    assert planted.comprehensiveness == 2.0 and planted.sufficiency == 0.0
    assert idle.comprehensiveness == 0.0 and idle.sufficiency == 2.0
    assert planted.beaten and idle.beaten == 0.0
    assert planted.random_comprehensiveness is not None
    assert planted.comprehensiveness > planted.random_comprehensiveness


def test_reading_again_without_the_evidence_moves_the_passage() -> None:
    student = make_student()
    trace = make_trace(student)
    cited = cite(trace, "first", "With soap and more soap the grease lifts.")
    report = check_faithfulness(
        make_bench(student, cited), FaithfulnessRequest(random_spans=2, reread=3)
    )
    again = [check.reread for check in report.checks if check.reread]
    assert again and all(1 <= r.rank <= 3 for r in again)
    # Three that stand where they say, and the one that FakeReader makes up.
    assert report.summarize()["quotes that exist exactly"] == 0.75


def test_a_verdict_order_that_is_turned_round_is_told() -> None:
    student = make_student()
    trace = make_trace(student)
    hits = list(trace.ranked_hits())
    pairs, wrong = find_contradictions(hits)
    turned, all_wrong = find_contradictions(hits[::-1])
    assert pairs == turned and len(wrong) + len(all_wrong) == pairs > 0
    assert all_wrong[0].above != all_wrong[0].below


def test_a_ranking_without_reasons_cannot_be_asked_for_them() -> None:
    student = make_student()
    trace = make_trace(student, stages="1")
    with pytest.raises(InputError, match="with justifications"):
        check_faithfulness(make_bench(student, trace), FaithfulnessRequest())


def test_marked_spans_by_hand() -> None:
    text = TEXTS["first"]
    quote = Evidence(start=0, end=10, text=text[:10])
    found = compare_spans([quote], (5, 25))
    assert (found.precision, found.recall, found.f1) == (0.5, 0.25, pytest.approx(1 / 3))
    assert not found.holds and compare_spans([quote], (2, 4)).holds
    assert compare_spans([], (0, 3)).f1 == 0.0
