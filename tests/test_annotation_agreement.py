"""Agreement against published worked examples, and against answers worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from reranker.annotation.agreement import (
    measure_alpha,
    rank_correlation,
    span_overlap,
    summarize_mean,
)
from reranker.annotation.answers import PartAnswer, Span
from reranker.annotation.consensus import settle_answers
from reranker.annotation.pair_agreement import compute_kappas, measure_pairs
from reranker.annotation.report import report_agreement
from tests.annotation_cases import judge_reason, make_answers, make_case, open_judging, save

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), example C: four observers,
# twelve units, some values missing (a dot).
EXAMPLE_C = ("1233214 12...", "123322412 5.3", ".33323422 51.", "123324412 51.")
# The worked example of https://en.wikipedia.org/wiki/Krippendorff%27s_alpha: three coders.
WIKIPEDIA = (".....34121133.3", "1.2133 43.......", "..21344.21133.4")


def read_table(rows: tuple[str, ...]) -> dict[str, dict[str, int]]:
    units: dict[str, dict[str, int]] = {}
    for coder, row in enumerate(rows):
        for unit, mark in enumerate(row.replace(" ", "")):
            if mark != ".":
                units.setdefault(f"u{unit}", {})[f"c{coder}"] = int(mark)
    return units


def exact_alpha(ratings: dict[str, dict[str, int]], ordinal: bool) -> Fraction:
    """Krippendorff's formula over the coincidence matrix, in whole fractions."""
    pairs: Counter[tuple[int, int]] = Counter()
    for unit in ratings.values():
        for a, b in itertools.permutations(unit.values(), 2):
            pairs[a, b] += Fraction(1, len(unit) - 1)  # type: ignore[assignment]
    totals: Counter[int] = Counter()
    for (a, _), count in pairs.items():
        totals[a] += count
    n = sum(totals.values())

    def distance(a: int, b: int) -> Fraction:
        if not ordinal:
            return Fraction(a != b)
        low, high = min(a, b), max(a, b)
        between = sum(count for value, count in totals.items() if low <= value <= high)
        return (between - Fraction(totals[low] + totals[high], 2)) ** 2

    observed = sum(count * distance(a, b) for (a, b), count in pairs.items()) / n
    expected = sum(totals[a] * totals[b] * distance(a, b) for a in totals for b in totals)
    return 1 - observed / (Fraction(expected) / (n * (n - 1)))


@pytest.mark.parametrize(
    ("rows", "level", "published"),
    [
        (EXAMPLE_C, "nominal", 904 / 1216),  # the paper's own sums; it prints .743
        (EXAMPLE_C, "ordinal", None),
        (WIKIPEDIA, "nominal", 0.6913580),
    ],
)
def test_alpha_equals_published_examples(rows, level, published) -> None:
    ratings = read_table(rows)
    found = measure_alpha(ratings, level).value
    assert found == pytest.approx(float(exact_alpha(ratings, level == "ordinal")), abs=1e-9)
    if published is not None:
        assert found == pytest.approx(published, abs=1e-6)


def test_ordinal_alpha_of_the_paper() -> None:
    found = measure_alpha(read_table(EXAMPLE_C), "ordinal")
    assert round(found.value or 0, 3) == 0.815
    assert found.units == 11


def test_kappa_equals_published_examples() -> None:
    # Fleiss, Levin and Paik (2003), table 18.1: kappa = (.89 - .66) / (1 - .66).
    table = {(0, 0): 75, (0, 1): 1, (0, 2): 4, (1, 0): 5, (1, 1): 4, (1, 2): 1, (2, 2): 10}
    assert kappa_of(table) == pytest.approx(0.23 / 0.34, abs=1e-6)
    # https://en.wikipedia.org/wiki/Cohen%27s_kappa: 20, 5, 10, 15 give exactly 0.4.
    assert kappa_of({(1, 1): 20, (1, 0): 5, (0, 1): 10, (0, 0): 15}) == pytest.approx(0.4, abs=1e-6)


def kappa_of(table: dict[tuple[int, int], int]) -> float | None:
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    ratings = {f"u{n}": {"ann": a, "bob": b} for n, (a, b) in enumerate(pairs)}
    return measure_pairs(ratings, resamples=9).pairs["ann", "bob"].value


def test_the_interval_of_kappa_is_the_bootstrap_of_the_libraries() -> None:
    ratings = {
        f"u{n}": {"ann": n % 3, "bob": (n + n % 4 // 3) % 3, "cem": n * n % 3} for n in range(40)
    }
    found = measure_pairs(ratings)
    kappa = found.pairs["ann", "bob"]
    left, right = (np.array([unit[who] for unit in ratings.values()]) for who in ("ann", "bob"))
    known = stats.bootstrap(
        (left, right), cohen_kappa_score, paired=True, vectorized=False, n_resamples=999,
        method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert kappa.value == pytest.approx(cohen_kappa_score(left, right), abs=1e-9)
    assert kappa.low == pytest.approx(known.low, abs=0.04)
    assert kappa.high == pytest.approx(known.high, abs=0.04)
    mean = found.people["ann"]
    values = [kappa.value, found.pairs["ann", "cem"].value]
    assert mean.value == pytest.approx(sum(v or 0 for v in values) / 2) and mean.units == 2
    assert mean.low is not None and mean.high is not None
    assert mean.low < (mean.value or 0) < mean.high
    # Units of one item are drawn together: ten items where forty units stood give a wider one.
    grouped = measure_pairs(ratings, groups={unit: unit[-1] for unit in ratings})
    assert grouped.pairs["ann", "bob"] != kappa
    few = {unit: ratings[unit] for unit in list(ratings)[:5]}
    assert measure_pairs(few).pairs["ann", "bob"].low is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_kappa_from_counts_is_that_of_the_library(pairs: list[tuple[int, int]]) -> None:
    table = np.zeros((1, 3, 3))
    for left, right in pairs:
        table[0, left, right] += 1
    [found] = compute_kappas(table)
    if len({value for pair in pairs for value in pair}) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-9)


def test_agreement_that_is_not_defined_is_not_a_number() -> None:
    same = {f"u{n}": {"ann": 1, "bob": 1} for n in range(5)}
    assert measure_alpha(same, "ordinal").value is None
    assert measure_pairs(same).pairs["ann", "bob"].value is None
    assert measure_pairs(same).people == {}
    assert measure_alpha({"u": {"ann": 1}}, "nominal").value is None
    assert measure_pairs({"u": {"ann": 1}, "v": {"bob": 1}}).pairs == {}


def test_the_interval_holds_the_value_and_resamples_items() -> None:
    ratings = {f"u{n}": {"ann": n % 3, "bob": (n + n % 5 // 4) % 3} for n in range(60)}
    alone = measure_alpha(ratings, "nominal", resamples=199)
    grouped = measure_alpha(
        ratings, "nominal", groups={u: str(n // 4) for n, u in enumerate(ratings)}, resamples=199
    )
    for found in (alone, grouped):
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low <= found.value <= found.high
    assert (alone.low, alone.high) != (grouped.low, grouped.high)
    few = {unit: ratings[unit] for unit in list(ratings)[:5]}
    assert measure_alpha(few, "nominal").low is None


@given(st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=4), min_size=2, max_size=12))
def test_alpha_is_krippendorffs_formula(units: list[list[int]]) -> None:
    ratings = {
        f"u{n}": {f"c{m}": value for m, value in enumerate(unit)} for n, unit in enumerate(units)
    }
    if len({value for unit in units for value in unit}) < 2:
        return
    found = measure_alpha(ratings, "ordinal", resamples=2).value
    assert found == pytest.approx(float(exact_alpha(ratings, True)), abs=1e-9)


def test_spans_and_orders() -> None:
    assert span_overlap([Span(start=0, end=4)], [Span(start=2, end=6)]) == 0.5
    assert span_overlap([], []) == 1.0 and span_overlap([Span(start=0, end=1)], []) == 0.0
    assert rank_correlation({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}) == 1.0
    # Pairs ab and ac agree, bc is tied on the right: 2 / sqrt(3 * 2).
    tau = rank_correlation({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 2})
    assert tau == pytest.approx(2 / math.sqrt(6))
    assert rank_correlation({"a": 1}, {"a": 1, "b": 2}) is None
    assert summarize_mean({"i": [1.0, 0.0], "j": [0.5]}).value == 0.5


def test_the_report_of_a_project(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=3)
    golden = make_case(9, gold=make_answers({"d1": 3, "d2": 0}))
    judging.store.add_items(project_id, [golden])
    ids = [item.item_id for item in judging.store.list_items(project_id)]
    for n, item_id in enumerate(ids):
        ann = make_answers(
            {"d1": 3, "d2": n % 2},
            reasons=(judge_reason("d1", "correct", evidence="accepted"),),
            order=(("d1",), ("d2",), ("d3",)),
        )
        bob = make_answers(
            {"d1": 3, "d2": 0},
            reasons=(
                judge_reason("d1", "wrong", evidence="selected", spans=(Span(start=0, end=4),)),
            ),
            order=(("d3",), ("d2",), ("d1",)),
        )
        save(judging, "ann", item_id, ann)
        save(judging, "bob", item_id, bob)
    save(judging, "olga", ids[0], make_answers({"d1": 3, "d2": 0}), kind="adjudication")
    report = report_agreement(judging.store.list_items(project_id), judging.history(project_id))
    assert (report.judged_items, report.shared_items) == (4, 4)
    by_question = {found.question: found for found in report.questions}
    assert by_question["verdict"].kappas.pairs["ann", "bob"].value == 0.0
    assert report.order.value == -1.0
    assert (report.gold["ann"].right, report.gold["ann"].total) == (1, 2)
    assert (report.gold["bob"].right, report.gold["bob"].total) == (2, 2)
    assert report.adjudicated["bob"].value == 1.0
    assert [d.adjudicated for d in report.disagreements] == [True, False, False, False]
    assert report.disagreements[0].questions == {"verdict": 1, "evidence": 1, "order": 1}
    # Who made the gold answers by judging is not measured against them.
    [last] = judging.history(project_id, ids[-1], person="ann")
    judging.store.set_gold(project_id, ids[-1], last.answers, "ann")
    report = report_agreement(judging.store.list_items(project_id), judging.history(project_id))
    assert set(report.gold) == {"bob"}
    assert judging.store.list_gold(project_id) == (ids[-1],)
    judging.store.set_gold(project_id, ids[-1], None)
    assert judging.store.get_item(project_id, ids[-1]).gold_by == ""
    assert judging.store.list_gold(project_id) == ()


def test_consensus_claims_nothing_nobody_agreed_on() -> None:
    settled = settle_answers(
        [
            make_answers(
                {"d1": 3}, reasons=(judge_reason("d1", "correct"),), order=(("d1",), ("d2",))
            ),
            make_answers(
                {"d1": 2}, reasons=(judge_reason("d1", "wrong"),), order=(("d2",), ("d1",))
            ),
        ]
    )
    assert settled.grades == {"d1": 2}
    assert settled.reasons[0].whole == PartAnswer(verdict="unsure")
    assert settled.order == (("d1", "d2"),)
