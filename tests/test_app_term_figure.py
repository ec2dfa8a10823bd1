"""Terms of a passage: bars add up to its BM25 score, and absent words are said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.facts import describe_terms
from app.rank.term_figure import MAX_TERMS, draw_terms
from reranker.types import RankingTrace, TermWeight
from tests.test_app_html import make_trace

WEIGHTS = {
    "d0": (("soap", 2.5), ("fat", 0.0), ("zebra", 0.0)),
    "d1": (("soap", 1.25), ("fat", 4.0), ("zebra", 0.0)),
}


def add_terms(trace: RankingTrace, weights: dict[str, tuple[tuple[str, float], ...]]):  # type: ignore[no-untyped-def]
    hits = tuple(
        replace(
            hit,
            terms=tuple(TermWeight(term=t, weight=w) for t, w in weights[hit.passage.doc_id]),
            bm25_score=sum(w for _, w in weights[hit.passage.doc_id]),
        )
        for hit in trace.hits
    )
    return replace(trace, hits=hits)


@pytest.fixture
def trace() -> RankingTrace:
    made = make_trace(["Soap and soap.", "Fat and soap."])
    return add_terms(replace(made, final_order=("d1", "d0")), WEIGHTS)


def find_own(figure, doc_id: str):  # type: ignore[no-untyped-def]
    return [t for t in figure.data if t.meta == {"role": "passage", "doc_id": doc_id}]


def test_every_passage_has_its_exact_weights_and_only_the_first_is_visible(
    trace: RankingTrace,
) -> None:
    figure = draw_terms(trace)
    assert figure.layout.yaxis.ticktext == ("soap", "fat", "zebra")
    for doc_id, weights in WEIGHTS.items():
        (bars,) = find_own(figure, doc_id)
        assert list(bars.x) == [0, 0, *(weight for _, weight in weights)]
        assert set(bars.customdata) == {doc_id}
        assert bars.visible == (doc_id == "d1")
    assert find_own(draw_terms(trace, "d0"), "d0")[0].visible is True
    assert find_own(draw_terms(trace, "unknown"), "d1")[0].visible is True


def test_absent_words_are_named_and_the_bars_add_up(trace: RankingTrace) -> None:
    (bars,) = find_own(draw_terms(trace), "d0")
    _, total, *numbers = bars.text
    assert numbers == ["2.50", "× absent", "× absent"]
    assert "BM25 2.50" in total and sum(bars.x) == 2.5
    assert describe_terms(trace).endswith("In no candidate: zebra.")


def test_the_pale_bars_are_the_most_any_candidate_gets(trace: RankingTrace) -> None:
    (most,) = [drawn for drawn in draw_terms(trace).data if drawn.name == "most"]
    assert list(most.x) == [2.5, 4.0, 0.0]


def test_a_long_query_keeps_the_words_that_matter_and_sums_the_rest(trace: RankingTrace) -> None:
    words = tuple((f"w{n}", float(n)) for n in range(MAX_TERMS + 5))
    figure = draw_terms(add_terms(trace, {"d0": words, "d1": words}))
    assert figure.layout.yaxis.ticktext[0] == "w5" and figure.layout.yaxis.ticktext[-1] == "5 more"
    (bars,) = find_own(figure, "d0")
    assert bars.x[-1] == 0 + 1 + 2 + 3 + 4
    assert sum(bars.x) == sum(weight for _, weight in words)


def test_a_pasted_list_says_why_there_are_no_words(trace: RankingTrace) -> None:
    pasted = replace(trace, hits=tuple(replace(h, bm25_score=None, terms=()) for h in trace.hits))
    figure = draw_terms(pasted)
    assert not figure.data and "BM25 has not scored" in figure.layout.annotations[0].text
    assert "came as a list" in describe_terms(pasted)
