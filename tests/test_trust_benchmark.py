"""The trust report end to end with a student that has no weights: every table is there."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.trust import PARTS, measure_set, write_report
from benchmarks.trust_sets import load_everyday
from reranker.explain.parity import compare_precisions
from tests.explained import make_student


def test_the_report_has_every_part_and_says_where_it_is_weak() -> None:
    student = make_student()
    queries = load_everyday(2)
    assert len(queries.requests) == len(queries.deep_requests) == 2
    assert len(queries.deep_requests[0].hits) > len(queries.requests[0].hits) == 10
    parts = [part for part in PARTS if part != "parity"]
    found = measure_set(student, queries, parts, shuffles=2, attacked=1)
    traces = list(found.traces.values())
    parity = compare_precisions({"bf16": traces, "nf4": traces}, {}, queries.qrels)
    other = replace(found, queries=replace(queries, name="other"), parity=parity)
    text = write_report(
        student, [found, other], {"QED: chosen": [1.0, 0.0]}, 60.0, "python -m benchmarks.trust"
    )
    for heading in (
        "In short", "Faithfulness", "Agreement with people", "Stability over shuffled readings",
        "Injection", "Precisions, stage 1", "What stage 2 is worth",
        "A rule that falls back to stage 1 or to a blend",
    ):  # fmt: skip
        assert f"## {heading}\n" in text
    assert "| everyday-science | other |" in text and "comprehensiveness beyond random" in text
    assert "NF4 against bf16 is within half a point" in text
    assert "| QED | chosen | 0.500 [0.000, 1.000] | 2 |" in text
