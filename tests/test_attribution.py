"""Attribution against known truths: one word that is all of the score, and exact sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from reranker.errors import CancelledError, InputError
from reranker.explain.attribution import AttributionRequest, attribute_score, estimate_attribution
from reranker.explain.shares import MethodShares, compare_methods, find_words
from reranker.stage1.ablation import occlude, share_out
from reranker.student.student import Student, load_student
from reranker.types import Passage
from tests.explained import TEXTS, WORD, WordScorer, make_bench, make_student, make_trace


def test_a_scorer_that_counts_one_word_gives_it_everything() -> None:
    student = make_student(scorer=WordScorer())
    trace = make_trace(student)
    found = attribute_score(make_bench(student, trace), AttributionRequest(doc_id="first"))
    occlusion = found.find("occlusion")
    assert found.score == 2.0 and occlusion
    for (start, end), share in zip(occlusion.spans, occlusion.shares, strict=True):
        assert share == (1.0 if TEXTS["first"][start:end] == WORD else 0.0)
    sentences, shapley = found.find("sentences"), found.find("shapley")
    assert sentences and sentences.shares == (0.0, 2.0, 0.0)
    assert shapley and shapley.shares == (0.0, 2.0, 0.0) and shapley.gap == 0.0
    assert {w.text: w.effect for w in found.query_words}[WORD] == 2.0
    assert all(w.effect == 0.0 for w in found.query_words if w.text != WORD)
    assert found.heat is None and found.find("match") is None
    assert {a.parts for a in found.agreements} == {"sentences"}


@pytest.fixture(scope="module")
def tiny(digest_student: Path) -> Student:
    return load_student(str(digest_student))


def test_shares_of_a_real_student_sum_to_its_score(tiny: Student) -> None:
    texts = {"a": "The tide is the moon. The moon is the tide.", "b": "granite"}
    trace = make_trace(tiny, texts, query="the tide", stages="1")
    request = AttributionRequest(doc_id="a", steps=64)
    found = attribute_score(make_bench(tiny, trace), request)
    match, gradient = found.find("match"), found.find("gradient")
    assert match and gradient and found.heat
    # The scorer keeps token vectors in bf16, which has three digits.
    assert match.explained == pytest.approx(found.score, abs=0.05)
    assert abs(gradient.gap) < 0.1 * abs(gradient.wanted) + 0.05
    # What the pooled part owes to [CLS] and [SEP] is nobody's word.
    assert 0 < sum(w.share or 0.0 for w in found.query_words) <= match.explained
    assert len(found.heat.cosines) == len(found.heat.query_tokens)
    assert all(len(row) == len(found.heat.passage_tokens) for row in found.heat.cosines)
    assert [texts["a"][s:e] for s, e in match.spans] == list(found.heat.passage_tokens)


def test_a_title_is_told_apart_from_the_text(tiny: Student) -> None:
    trace = make_trace(tiny, {"a": "moon", "b": "tide"}, query="moon", stages="1")
    bench = make_bench(tiny, trace)
    shares = bench.share_tokens(Passage(doc_id="x", title="tide", text="moon"), steps=8)
    assert shares.text[shares.text_start :] == "moon"
    assert sum(start >= shares.text_start for start, _ in shares.spans) >= 1
    assert any(start < shares.text_start for start, _ in shares.spans)


def test_occlusion_and_shapley_by_hand() -> None:
    """f = a + 2ab over two parts: alone a is worth 1, together 3."""

    def score(rows: list[tuple[bool, ...]]) -> list[float]:
        return [float(a) + 2.0 * (a and b) for a, b in rows]

    assert occlude(score, 2).values == (3.0, 2.0)  # type: ignore[arg-type]
    exact = share_out(score, 2, samples=1)  # type: ignore[arg-type]
    assert exact.values == (2.0, 1.0) and exact.exact and exact.scorings == 4


def test_sampled_shapley_values_still_add_up() -> None:
    def score(rows: list[tuple[bool, ...]]) -> list[float]:
        return [float(sum(row)) ** 2 for row in rows]

    found = share_out(score, 7, samples=5, seed=3)  # type: ignore[arg-type]
    assert not found.exact
    assert sum(found.values) == pytest.approx(found.whole - found.empty)
    assert found == share_out(score, 7, samples=5, seed=3)  # type: ignore[arg-type]


def test_agreement_of_equal_and_opposite_methods() -> None:
    words = find_words("a b c d")

    def make(method: str, shares: tuple[float, ...]) -> MethodShares:
        return MethodShares(
            method=method, spans=tuple(words), shares=shares, elsewhere=0.0,
            wanted=sum(shares), against="", additive=True,
        )  # type: ignore[arg-type]  # fmt: skip

    up, down = make("match", (1, 2, 3, 4)), make("gradient", (4, 3, 2, 1))
    (found,) = compare_methods([up, down], words, [(0, 7)])
    assert found.rho == pytest.approx(-1) and (found.shared, found.of) == (0, 2)
    (same,) = compare_methods([up, up], words, [(0, 7)])
    assert same.rho == pytest.approx(1) and same.shared == 2


def test_an_analysis_stops_when_asked_and_refuses_unknown_passages() -> None:
    student = make_student(scorer=WordScorer())
    trace = make_trace(student)
    with pytest.raises(CancelledError):
        attribute_score(
            make_bench(student, trace, cancelled=lambda: True), AttributionRequest(doc_id="first")
        )
    with pytest.raises(InputError, match="expected the doc_id"):
        attribute_score(make_bench(student, trace), AttributionRequest(doc_id="nowhere"))
    assert estimate_attribution(trace, AttributionRequest(doc_id="first")).scorings > 20
