"""Measures against hand-computed values and published figures; statistics against exact counts."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.errors import InputError
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.evaluation.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    randomization_test,
)
from reranker.trec import Run, rank_by_position, read_candidates, read_qrels, read_run, sort_ranking

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(
    lambda values: {f"q{n}": value for n, value in enumerate(values)}
)


def rank(*doc_ids: str) -> tuple[tuple[str, float], ...]:
    return rank_by_position(doc_ids)


# Measures


def test_ndcg_and_reciprocal_rank_by_hand() -> None:
    qrels = {"q": {"a": 3, "b": 1, "c": 2, "d": 0}}
    evaluation = evaluate_run(
        {"q": rank("d", "b", "a")}, qrels, parse_measures("nDCG@10 nDCG@2 RR")
    )
    dcg = 0 / math.log2(2) + 1 / math.log2(3) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert evaluation.means == {
        "nDCG@10": pytest.approx(dcg / ideal),
        "nDCG@2": pytest.approx((1 / math.log2(3)) / (3 / math.log2(2) + 2 / math.log2(3))),
        "RR": pytest.approx(1 / 2),
    }


def test_ndcg_has_trec_evals_linear_gain() -> None:
    evaluation = evaluate_run(
        {"q": rank("b", "a")}, {"q": {"a": 3, "b": 1}}, parse_measures("nDCG@10")
    )
    assert evaluation.means["nDCG@10"] == pytest.approx(
        (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3))
    )


def test_a_query_missing_from_the_run_counts_as_zero() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}, "q4": {"a": 1}}
    run: Run = {"q1": rank("a"), "q3": rank("x", "a"), "q4": (), "extra": rank("a")}
    evaluation = evaluate_run(run, qrels, parse_measures("RR Judged@2"))
    assert evaluation.result("RR").values == {"q1": 1.0, "q2": 0.0, "q3": 0.5, "q4": 0.0}
    assert evaluation.means == {"RR": pytest.approx(1.5 / 4), "Judged@2": pytest.approx(1.5 / 4)}
    assert (evaluation.run_queries, evaluation.qrels_queries) == (3, 4)
    assert (evaluation.missing, evaluation.unjudged) == (("q2", "q4"), ("extra",))


def test_the_order_given_is_the_order_measured_whatever_the_scores() -> None:
    run: Run = {"q": (("a", 0.0), ("b", 5.0), ("c", 5.0))}
    evaluation = evaluate_run(run, {"q": {"a": 1}}, parse_measures("RR RR@10 nDCG@10 Judged@1"))
    assert set(evaluation.means.values()) == {1.0}


@given(st.permutations(["a", "b", "c", "d", "e"]), st.sampled_from("abcde"))
def test_every_provider_sees_the_same_rank(order: list[str], relevant: str) -> None:
    evaluation = evaluate_run(
        {"q": rank(*order)}, {"q": {relevant: 1}}, parse_measures("RR RR@10 Judged@1")
    )
    at = order.index(relevant) + 1
    assert evaluation.means == {
        "RR": pytest.approx(1 / at),
        "RR@10": pytest.approx(1 / at),
        "Judged@1": float(at == 1),
    }


@given(st.permutations(["q1", "q2", "q3"]))
def test_the_order_of_queries_never_matters(order: list[str]) -> None:
    qrels = {"q1": {"a": 2, "b": 1}, "q2": {"a": 1}, "q3": {"b": 3}}
    run = {query_id: rank("b", "a") for query_id in order}
    shuffled = evaluate_run(run, {q: qrels[q] for q in reversed(order)}, parse_measures("nDCG@10"))
    assert shuffled == evaluate_run(dict(sorted(run.items())), qrels, parse_measures("nDCG@10"))
    assert list(shuffled.result("nDCG@10").values) == ["q1", "q2", "q3"]


def test_run_and_qrels_without_a_common_query_are_refused() -> None:
    with pytest.raises(InputError, match="expected .* in common, got none .*q1.*q2.*; check"):
        evaluate_run({"q1": rank("a")}, {"q2": {"a": 1}}, parse_measures("RR"))
    with pytest.raises(InputError, match="in common"):
        evaluate_run({"q1": rank("a")}, {}, parse_measures("RR"))


def test_a_passage_ranked_twice_is_refused() -> None:
    with pytest.raises(InputError, match="once per query"):
        evaluate_run({"q": rank("a", "a")}, {"q": {"a": 1}}, parse_measures("RR"))


def test_a_measure_that_was_not_asked_for_has_no_result() -> None:
    evaluation = evaluate_run({"q": rank("a")}, {"q": {"a": 1}}, parse_measures("RR"))
    with pytest.raises(KeyError, match="nDCG@10"):
        evaluation.result("nDCG@10")


def test_measures_are_parsed_in_order_and_once() -> None:
    text = "nDCG@10, RR  AP(rel=2)@100 nDCG(gains={0: 0, 1: 5})@3 RR,Judged@10"
    assert [str(measure) for measure in parse_measures(text)] == [
        "nDCG@10",
        "RR",
        "AP(rel=2)@100",
        "nDCG(gains={1:5})@3",
        "Judged@10",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ,",
        "nDGC@10",
        "nDCG@0",
        "nDCG@-1",
        "nDCG@ten",
        "nDCG@1.5",
        "nDCG@99999999",
        "P(rel=0)@5",
        "AP(rel=2",
        "AP(level=2)",
        "R",
        "nDCG(gains={1: 999999999})@10",
        "nDCG@True",
        "alpha_nDCG@10",
        "RR )",
        "__import__('os')",
        "@10",
        "nDCG@" + "9" * 5000,
    ],
)
def test_what_is_no_measure_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected .*, got .*; "):
        parse_measures(text)


def test_a_misspelt_measure_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"got 'ndcg@10'; try nDCG$"):
        parse_measures("ndcg@10")


@settings(max_examples=200)
@given(st.text("nDCGRAP@(10rel=,) {}:'\"-.", max_size=20))
def test_any_text_gives_measures_or_an_input_error(text: str) -> None:
    try:
        assert parse_measures(text)
    except InputError as error:
        assert "expected" in str(error)


@pytest.mark.parametrize(("collection", "ndcg"), [("dl19", 0.5058), ("dl21", 0.4458)])
def test_bm25_has_its_published_ndcg(shared_data: Path, collection: str, ndcg: float) -> None:
    lists = read_candidates(shared_data / "trec" / f"{collection}.bm25-top100.jsonl.gz")
    run = {
        c.query.query_id: sort_ranking((h.passage.doc_id, h.bm25_score or 0.0) for h in c.hits)
        for c in lists
    }
    qrels = read_qrels(shared_data / "trec" / f"{collection}.qrels.txt")
    evaluation = evaluate_run(run, qrels, parse_measures("nDCG@10"))
    assert evaluation.means["nDCG@10"] == pytest.approx(ndcg, abs=1e-4)
    assert (evaluation.missing, evaluation.unjudged) == ((), ())


def test_the_published_bm25_run_has_the_same_ndcg(shared_data: Path) -> None:
    run = read_run(shared_data / "runs" / "dl19.bm25.trec.gz")
    qrels = read_qrels(shared_data / "trec" / "dl19.qrels.txt")
    measures = parse_measures("nDCG@10 Judged@10")
    forward = evaluate_run(run, qrels, measures)
    assert forward.means["nDCG@10"] == pytest.approx(0.5058, abs=1e-4)
    assert forward.means["Judged@10"] > 0.9
    shuffled = list(run.items())
    random.Random(0).shuffle(shuffled)
    assert evaluate_run(dict(shuffled), qrels, measures) == forward


def test_beir_qrels_of_scifact_are_read(shared_data: Path) -> None:
    qrels = read_qrels(shared_data / "beir" / "scifact" / "qrels" / "test.tsv")
    assert (len(qrels), sum(map(len, qrels.values()))) == (300, 339)


# Statistics


def enumerate_p_value(differences: list[float]) -> float:
    """The two-sided p-value over all sign flips: twice the smaller tail, at most 1."""
    observed = sum(differences)
    sums = [
        sum(sign * d for sign, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    above = sum(s >= observed - 1e-12 for s in sums) / len(sums)
    below = sum(s <= observed + 1e-12 for s in sums) / len(sums)
    return min(1.0, 2 * min(above, below))


@settings(max_examples=30)
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=7))
def test_a_small_randomisation_test_counts_every_assignment(eighths: list[int]) -> None:
    differences = [n / 8 for n in eighths]
    a = {f"q{n}": 0.5 + d for n, d in enumerate(differences)}
    b = {f"q{n}": 0.5 for n in range(len(differences))}
    found = randomization_test(a, b)
    assert found.exact
    assert found.permutations == 2 ** len(differences)
    assert found.p_value == pytest.approx(enumerate_p_value(differences))
    assert found.difference == pytest.approx(sum(differences) / len(differences))


def make_values(queries: int, seed: int, shift: float = 0.0) -> dict[str, float]:
    draw = random.Random(seed)
    return {f"q{n:03}": draw.random() / 2 + shift for n in range(queries)}


def test_a_large_randomisation_test_is_sampled_and_seeded() -> None:
    a, b = make_values(40, 1, shift=0.2), make_values(40, 2)
    found = randomization_test(a, b, resamples=999, seed=7)
    assert (found.exact, found.permutations, found.seed) == (False, 999, 7)
    assert found.p_value < 0.05
    assert found == randomization_test(a, b, resamples=999, seed=7)
    assert randomization_test(b, a, resamples=999, seed=7).difference == -found.difference


def test_equal_runs_do_not_differ() -> None:
    a = make_values(20, 1)
    assert randomization_test(a, a, resamples=99).p_value == 1.0
    interval = bootstrap_difference(a, a)
    assert (interval.estimate, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_the_bootstrap_comes_close_to_the_normal_interval() -> None:
    values = make_values(200, 3)
    mean = sum(values.values()) / 200
    error = math.sqrt(sum((v - mean) ** 2 for v in values.values()) / 199 / 200)
    interval = bootstrap_mean(values)
    assert interval.estimate == pytest.approx(mean)
    assert interval.low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


def test_a_paired_interval_is_that_of_the_differences() -> None:
    a, b = make_values(30, 1, shift=0.1), make_values(30, 2)
    differences = {query_id: a[query_id] - b[query_id] for query_id in a}
    assert bootstrap_difference(a, b, seed=4) == bootstrap_mean(differences, seed=4)


def test_pairing_sees_a_small_but_constant_gain() -> None:
    b = make_values(30, 2)
    a = {query_id: value + 0.01 + 0.001 * (n % 2) for n, (query_id, value) in enumerate(b.items())}
    assert bootstrap_difference(a, b).low > 0
    assert bootstrap_mean(a).low < bootstrap_mean(b).high


@settings(max_examples=30, deadline=None)
@given(VALUES, st.sampled_from([0.5, 0.95]), st.randoms(use_true_random=False))
def test_intervals_are_ordered_repeatable_and_blind_to_query_order(
    values: dict[str, float], confidence: float, shuffler: random.Random
) -> None:
    interval = bootstrap_mean(values, confidence=confidence, resamples=199, seed=3)
    assert min(values.values()) - 1e-9 <= interval.low <= interval.high
    assert interval.high <= max(values.values()) + 1e-9
    items = list(values.items())
    shuffler.shuffle(items)
    assert bootstrap_mean(dict(items), confidence=confidence, resamples=199, seed=3) == interval


def test_fewer_than_ten_queries_bring_a_warning() -> None:
    nine, ten = make_values(9, 1), make_values(10, 1)
    assert "only 9 queries" in bootstrap_mean(nine).warning
    assert "only 9 queries" in randomization_test(nine, nine).warning
    assert "only 1 query:" in bootstrap_mean({"q": 0.5}).warning
    assert bootstrap_mean(ten).warning == randomization_test(ten, ten, resamples=99).warning == ""


def test_unusable_values_are_refused() -> None:
    with pytest.raises(InputError, match="got none"):
        bootstrap_mean({})
    with pytest.raises(InputError, match="not finite"):
        bootstrap_mean({"q": math.nan})
    with pytest.raises(InputError, match="same queries, got 2 in only one"):
        bootstrap_difference({"q1": 0.0}, {"q2": 0.0})
    with pytest.raises(InputError, match="same queries"):
        randomization_test({"q1": 0.0, "q2": 0.0}, {"q2": 0.0})
    with pytest.raises(InputError, match="confidence between 0 and 1"):
        bootstrap_mean({"q": 0.5}, confidence=95)
    with pytest.raises(InputError, match="at least 1 resample"):
        randomization_test({"q": 0.5}, {"q": 0.5}, resamples=0)
