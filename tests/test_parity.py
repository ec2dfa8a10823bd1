"""Parity of precisions: by hand, on a tiny real student, and the gate for the bundled one."""

from __future__ import annotations

from pathlib import Path

import pytest

from reranker.corpora import list_hits, load_corpus, load_qrels, load_queries
from reranker.errors import CancelledError, InputError
from reranker.explain.parity import compare_precisions, measure_parity
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.student.student import Student, load_student
from reranker.types import Passage, Quantization, Query, RankSettings
from tests.test_benefit import QRELS, TRACES

QUANTIZATIONS: list[Quantization] = ["fp32", "bf16", "int8", "nf4", "fp4"]
GATE_POINTS = 0.005
"""nDCG@10 that NF4 may gain or lose against bf16."""


def test_drift_order_and_measure_by_hand() -> None:
    served = [t.with_stage(final_order=("good", "bad")) for t in TRACES]
    turned = [
        t.with_stage(
            final_order=("bad", "good"),
            stage1=(t.stage1[0], t.stage1[1].__class__(doc_id="bad", score=2.5, passage_tokens=1)),
        )
        for t in TRACES
    ]
    found = compare_precisions({"fp32": served, "nf4": turned}, {"nf4": 7}, QRELS)
    same, other = found.rows
    assert same.drift == 0.0 and same.tau == 1.0 and same.same_top == 1.0
    assert other.worst_drift == 1.5 and other.drift == 0.75 and other.tau == -1.0
    assert other.same_top == 0.0 and other.memory_bytes == 7
    assert other.delta.estimate == pytest.approx((0.63093 - 1) * 2 / 4, abs=1e-5)


def test_a_tiny_student_is_measured_at_two_precisions(digest_student: Path) -> None:
    passages = tuple(Passage(doc_id=d, text=t) for d, t in (("a", "tide"), ("b", "the moon")))
    requests = [
        RankRequest(query=Query(query_id=q, text=q), hits=list_hits(passages))
        for q in ("tide", "moon")
    ]
    qrels = {"tide": {"a": 1, "b": 0}, "moon": {"b": 1, "a": 0}}
    settings = RankSettings(depth=2, stages="1")

    def load(quantization):  # type: ignore[no-untyped-def]
        return load_student(str(digest_student), quantization)

    found = measure_parity(load, requests, qrels, QUANTIZATIONS, settings=settings)
    assert found.reference == "fp32" and found.queries == 2
    assert [row.quantization for row in found.rows] == QUANTIZATIONS
    drifts = {row.quantization: row.worst_drift for row in found.rows}
    assert drifts.pop("fp32") == 0.0 < min(drifts.values()) <= max(drifts.values()) < 3.0
    assert drifts["nf4"] != drifts["fp4"]
    sizes = {row.quantization: row.memory_bytes for row in found.rows}
    assert sizes["fp4"] == sizes["nf4"] < sizes["int8"] < sizes["bf16"] < sizes["fp32"]
    with pytest.raises(CancelledError):
        measure_parity(load, requests, qrels, ["fp32"], settings=settings, cancelled=lambda: True)
    with pytest.raises(InputError, match="queries and precisions"):
        measure_parity(load, [], qrels, ["fp32"], settings=settings)


@pytest.mark.slow
def test_the_bundled_student_loses_nothing_in_four_bits() -> None:
    """The gate: NF4 against bf16 on every query of everyday-science."""
    corpus = load_corpus("everyday-science")
    retriever = build_retriever(corpus)
    qrels = load_qrels("everyday-science")
    requests = [
        RankRequest(query=query, hits=retriever.search(query.text, 20))
        for query in load_queries("everyday-science")
        if query.query_id in qrels
    ]
    kept: list[Student] = []

    def load(quantization):  # type: ignore[no-untyped-def]
        kept.append(load_student("mini", quantization))
        return kept[-1]

    found = measure_parity(
        load, requests, qrels, ["bf16", "nf4"], settings=RankSettings(depth=20, stages="1")
    )
    delta = found.find("nf4").delta
    assert abs(delta.estimate) <= GATE_POINTS, delta
    assert found.find("nf4").memory_bytes < found.find("bf16").memory_bytes
