"""Comparisons of systems against hand-computed values, and blindness to the order of queries."""

from __future__ import annotations

import math
import random
import shutil
import statistics
from pathlib import Path

import ir_measures
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures.providers import GdevalProvider

from reranker.errors import InputError
from reranker.evaluation.differences import (
    compare_pair,
    compare_to_baseline,
    correct_holm,
    paired_t_test,
)
from reranker.evaluation.err import expected_reciprocal_rank
from reranker.evaluation.measures import add_judged, evaluate_run, parse_measures
from reranker.trec import rank_by_position, read_qrels, read_run

RUNS = ("bm25", "tas-b", "splade-pp-ed", "rankgpt-gpt-3.5-turbo", "listwise-vicuna-7b")


def make_values(queries: int, seed: int, shift: float = 0.0) -> dict[str, float]:
    draw = random.Random(seed)
    return {f"q{n:03}": draw.random() / 2 + shift for n in range(queries)}


def test_the_t_test_by_hand() -> None:
    b = {"q1": 0.1, "q2": 0.4, "q3": 0.2, "q4": 0.5}
    a = {"q1": 0.3, "q2": 0.5, "q3": 0.5, "q4": 0.5}
    differences = [0.2, 0.1, 0.3, 0.0]
    t = statistics.mean(differences) / (statistics.stdev(differences) / 2)
    found = paired_t_test(a, b)
    assert found.statistic == pytest.approx(t)
    # The t distribution with 3 degrees of freedom has a closed form.
    x = t / math.sqrt(3)
    tail = 0.5 - (x / (1 + x * x) + math.atan(x)) / math.pi
    assert found.p_value == pytest.approx(2 * tail)


def test_a_t_test_that_is_not_defined() -> None:
    a, same = {"q1": 0.5, "q2": 0.75}, {"q1": 0.25, "q2": 0.5}
    assert paired_t_test(a, same).p_value is None
    assert paired_t_test({"q1": 0.5}, {"q1": 0.25}).p_value is None
    assert paired_t_test(a, a).p_value == 1.0
    assert paired_t_test({"q1": 0.5}, {"q1": 0.5}).p_value == 1.0
    assert compare_pair(a, same, names=("a", "b")).effect_size is None


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04 raised to 0.06.
    assert correct_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_holm([0.6, 0.7]) == [1.0, 1.0]
    assert correct_holm([0.2]) == [0.2]
    assert correct_holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    adjusted = correct_holm(p_values)
    for before, after in zip(p_values, adjusted, strict=True):
        assert before <= after <= min(1.0, before * len(p_values) + 1e-12)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_wins_ties_losses_and_effect_size() -> None:
    b = {f"q{n}": 0.5 for n in range(12)}
    a = {f"q{n}": 0.5 + (0.25 if n < 6 else 0.0 if n < 10 else -0.125) for n in range(12)}
    found = compare_pair(a, b, names=("a", "b"), resamples=499)
    assert (found.wins, found.ties, found.losses) == (6, 4, 2)
    differences = [a[q] - b[q] for q in a]
    effect = statistics.mean(differences) / statistics.stdev(differences)
    assert found.effect_size == pytest.approx(effect)
    assert found.difference == pytest.approx(statistics.mean(differences))


def test_several_systems_against_one_are_corrected_together() -> None:
    values = {
        "base": make_values(40, 1),
        "better": make_values(40, 2, shift=0.15),
        "same": make_values(40, 3),
    }
    found = compare_to_baseline(values, "base", resamples=999)
    assert [d.system for d in found] == ["better", "same"]
    assert {d.comparisons for d in found} == {2}
    raw = [d.randomization.p_value for d in found]
    assert [d.holm_randomization for d in found] == correct_holm(raw)
    assert found[0].holm_randomization < 0.05 < found[1].holm_randomization
    assert found[0].holm_t == pytest.approx(2 * (found[0].t_test.p_value or 0.0))
    assert found[0].warning == ""


def test_few_queries_bring_a_warning() -> None:
    values = {"a": make_values(5, 1), "b": make_values(5, 2)}
    assert "only 5 queries" in compare_to_baseline(values, "a", resamples=99)[0].warning


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_queries_never_matters(shuffler: random.Random) -> None:
    values = {name: make_values(25, seed) for seed, name in enumerate("abc")}
    shuffled = {}
    for name, per_query in values.items():
        items = list(per_query.items())
        shuffler.shuffle(items)
        shuffled[name] = dict(items)
    straight = compare_to_baseline(values, "a", resamples=199)
    assert compare_to_baseline(shuffled, "a", resamples=199) == straight


def test_unusable_comparisons_are_refused() -> None:
    with pytest.raises(InputError, match="baseline among a, got 'b'"):
        compare_to_baseline({"a": {"q": 1.0}}, "b")
    with pytest.raises(InputError, match="same queries"):
        compare_to_baseline({"a": {"q": 1.0}, "b": {"p": 1.0}}, "a")


def test_judged_stands_beside_every_cutoff() -> None:
    names = [str(m) for m in add_judged(parse_measures("nDCG@10 RR P@5 Judged@5"))]
    assert names == ["nDCG@10", "RR", "P@5", "Judged@5", "Judged@10"]
    assert [str(m) for m in add_judged(parse_measures("AP"))] == ["AP", "Judged@10"]


# ERR


def test_err_by_hand() -> None:
    # Grades 3, 0, 1: 7/16 at rank 1, then (9/16) x (1/16) / 3.
    assert expected_reciprocal_rank([3, 0, 1], 10) == pytest.approx(7 / 16 + 9 / 16 / 16 / 3)
    assert expected_reciprocal_rank([-1, 3], 1) == 0.0
    with pytest.raises(InputError, match="grades up to 4"):
        expected_reciprocal_rank([5], 10)


def test_err_needs_no_perl_and_counts_missing_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    qrels = {"one": {"a": 3}, "two": {"a": 1}}
    evaluation = evaluate_run({"one": rank_by_position(["a"])}, qrels, parse_measures("ERR@10 RR"))
    assert evaluation.result("ERR@10").values == {"one": 7 / 16, "two": 0.0}


def test_err_is_gdevals() -> None:
    if not shutil.which("perl"):
        pytest.skip("no perl here: gdeval.pl cannot say what it computes")
    draw = random.Random(5)
    docs = [f"d{n}" for n in range(30)]
    qrels = {str(q): {d: draw.choice([0, 0, 1, 2, 3, 4]) for d in docs[:20]} for q in range(1, 9)}
    run = {q: rank_by_position(draw.sample(docs, 25)) for q in qrels}
    measures = parse_measures("ERR@10 ERR@3")
    theirs = GdevalProvider().calc_aggregate(measures, qrels, {q: dict(r) for q, r in run.items()})
    ours = evaluate_run(run, qrels, measures)
    for measure in measures:
        assert ours.means[str(measure)] == pytest.approx(theirs[measure], abs=1e-5)


def test_the_exponential_ndcg_of_gdeval_is_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match=r"nDCG\(gains="):
        parse_measures("nDCG(dcg='exp-log2')@10")


# The published runs


@pytest.mark.parametrize("name", RUNS)
def test_published_runs_have_trec_evals_figures(shared_data: Path, name: str) -> None:
    """trec_eval's own code over the file's scores, ties and all, against ours."""
    file = shared_data / "runs" / f"dl19.{name}.trec.gz"
    if not file.is_file():
        pytest.skip(f"no published run at {file}")
    run = read_run(file)
    qrels = read_qrels(shared_data / "trec" / "dl19.qrels.txt")
    names = {
        "nDCG@10": "ndcg_cut_10",
        "AP(rel=2)": "map",
        "RR(rel=2)": "recip_rank",
        "P(rel=2)@10": "P_10",
        "R(rel=2)@100": "recall_100",
    }
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(names.values()), relevance_level=2)
    scored = theirs.evaluate({query_id: dict(ranking) for query_id, ranking in run.items()})
    ours = evaluate_run(run, qrels, parse_measures(" ".join(names)))
    for measure, theirs_name in names.items():
        mean = statistics.mean(scored[query_id][theirs_name] for query_id in qrels)
        assert ours.means[measure] == pytest.approx(mean, abs=1e-4)
    if name == "bm25":
        assert ours.means["nDCG@10"] == pytest.approx(0.5058, abs=1e-4)


@pytest.mark.parametrize("name", RUNS)
def test_published_runs_have_the_textbooks_ndcg(shared_data: Path, name: str) -> None:
    """nDCG@10 written out from its definition, without any library."""
    run = read_run(shared_data / "runs" / f"dl19.{name}.trec.gz")
    qrels = read_qrels(shared_data / "trec" / "dl19.qrels.txt")
    values = []
    for query_id, grades in qrels.items():
        gains = [grades.get(doc_id, 0) for doc_id, _ in run.get(query_id, ())][:10]
        ideal = sorted(grades.values(), reverse=True)[:10]
        dcg, best = (
            sum(gain / math.log2(rank + 1) for rank, gain in enumerate(row, start=1))
            for row in (gains, ideal)
        )
        values.append(dcg / best if best else 0.0)
    means = evaluate_run(run, qrels, [ir_measures.nDCG @ 10]).means
    assert means["nDCG@10"] == pytest.approx(statistics.mean(values), abs=1e-4)
