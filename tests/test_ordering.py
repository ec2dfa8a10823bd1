"""The final order, against answers computed by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.config import load_profile
from reranker.errors import InputError
from reranker.ordering import (
    MAX_SHUFFLED,
    agree_on_order,
    apply_readings,
    blend_orders,
    blend_trace,
    check_shuffles,
    settle_agreement,
    shuffle_orders,
)
from reranker.types import (
    Feedback,
    Hit,
    Passage,
    PassageScore,
    Query,
    RankingTrace,
    RankSettings,
    ShuffledReading,
    StudentInfo,
    Window,
    WindowReading,
)


def read(start: int, doc_ids: str, permutation: tuple[int, ...]) -> WindowReading:
    return WindowReading(
        index=0,
        window=Window(start=start, end=start + len(doc_ids)),
        doc_ids=tuple(doc_ids),
        permutation=permutation,
        justifications=(),
        generations=(),
    )


def test_windows_are_applied_one_after_another() -> None:
    first = read(2, "cde", (2, 0, 1))
    second = read(0, "abe", (2, 1, 0))
    assert apply_readings("abcde", [first]) == tuple("abecd")
    assert apply_readings("abcde", [first, second]) == tuple("ebacd")
    assert apply_readings("abcde", []) == tuple("abcde")


def standardize(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    return [(v - mean) / spread for v in values]


def test_the_blend_is_the_documented_formula() -> None:
    logits = {"a": 3.0, "b": 2.5, "c": 1.0, "d": 0.0}
    bm25 = {"a": 1.0, "b": 9.0, "c": 8.0, "d": 2.0}
    nearness = {"a": 0.1, "b": 0.5, "c": 0.9, "d": 0.8}
    stage2 = ("c", "a", "d", "b")
    z1 = standardize([logits[d] for d in "abcd"])
    z2 = standardize([bm25[d] for d in "abcd"])
    z3 = standardize([-math.log2(1 + stage2.index(d) + 1) for d in "abcd"])
    z4 = standardize([nearness[d] for d in "abcd"])
    for w_bm25, w_stage2, w_near in (
        (0.0, 0.5, 0.0), (0.3, 0.5, 0.0), (1.0, 0.0, 0.0), (0.3, 4.0, 0.0), (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.9), (0.1, 0.2, 0.3), (0.0, 0.0, 5.0),
    ):  # fmt: skip
        totals = {
            d: x + w_bm25 * y + w_stage2 * z + w_near * n
            for d, x, y, z, n in zip("abcd", z1, z2, z3, z4, strict=True)
        }
        expected = tuple(sorted("abcd", key=lambda d: -totals[d]))
        got = blend_orders(
            tuple("abcd"),
            stage2,
            logits,
            bm25,
            nearness,
            bm25_weight=w_bm25,
            nearness_weight=w_near,
            stage2_weight=w_stage2,
        )
        assert got == expected, (w_bm25, w_stage2, w_near)


def test_a_ranking_is_blended_by_its_profile_and_by_nearness_to_the_best_alone() -> None:
    cosines = {"a": (0.0, 0.9), "b": (0.5, 0.5), "c": (0.9, 0.0)}
    again = {
        "a": Feedback(score=5.0, nearness=0.2),
        "b": Feedback(score=4.0, nearness=0.1),
        "c": Feedback(score=6.0, nearness=0.0),
    }
    trace = RankingTrace(
        query=Query(query_id="q", text="query"),
        corpus_id="",
        corpus_sha256="",
        settings=RankSettings(),
        student=StudentInfo(name="s", quantization="fp32", device="cpu"),
        hits=tuple(
            Hit(passage=Passage(doc_id=d, text=d), rank=rank, bm25_score=score)
            for rank, (d, score) in enumerate((("b", 9.0), ("c", 5.0), ("a", 1.0)), start=1)
        ),
        stage1=tuple(
            PassageScore(
                doc_id=d, score=score, passage_tokens=1, nearness=cosines[d], feedback=again[d]
            )
            for d, score in (("a", 3.0), ("b", 2.0), ("c", 1.0))
        ),
    )
    still = replace(
        load_profile("mini"),
        bm25_weight=0.0,
        nearness_weight=0.0,
        feedback=False,
        stage2_weight=0.0,
    )

    def blend(trace: RankingTrace = trace, **weights: float) -> str:
        return "".join(blend_trace(trace, tuple("bac"), replace(still, **weights)))  # type: ignore[arg-type]

    assert blend() == "abc"
    assert blend(nearness_weight=9.0) == "cba"
    assert blend(bm25_weight=9.0) == "bca"
    assert blend(stage2_weight=9.0) == "bac"
    assert blend(feedback=True) == "cab"
    assert blend(feedback=True, nearness_weight=9.0) == "abc"
    # Known of some passages only it is of no use for any.
    partly = (replace(trace.stage1[0], feedback=None), *trace.stage1[1:])
    assert blend(replace(trace, stage1=partly), feedback=True) == "abc"


def test_nearness_that_was_not_measured_is_left_out() -> None:
    logits = {"a": 2.0, "b": 1.0, "c": 0.0}

    def blend(nearness: dict[str, float | None] | None) -> tuple[str, ...]:
        return blend_orders(
            tuple("abc"),
            tuple("abc"),
            logits,
            {},
            nearness,
            bm25_weight=0.0,
            nearness_weight=100.0,
            stage2_weight=0.5,
        )

    assert blend({"a": 0.0, "b": 0.5, "c": None}) == blend(None) == tuple("abc")
    assert blend({"a": 0.0, "b": 0.5, "c": 0.9}) == tuple("cba")


def test_the_blend_by_hand() -> None:
    # z of logits (2, 0) is (1, -1); z of -log2(1 + rank) is (-1, 1) as stage 2 turns them round.
    def blend(weight: float) -> tuple[str, ...]:
        return blend_orders(
            ("a", "b"), ("b", "a"), {"a": 2.0, "b": 0.0}, {}, bm25_weight=0.0, stage2_weight=weight
        )

    assert blend(0.9) == ("a", "b")
    assert blend(1.1) == ("b", "a")


def test_the_first_rank_counts_as_in_ndcg() -> None:
    # Logits (1, 0, -1) have z (1.22, 0, -1.22). Ranks 1, 2, 3 have -log2(1 + rank) of
    # (-1, -1.585, -2), z (1.29, -0.14, -1.15). Times 2.6: a 3.35, b -1.58, c -1.76.
    order = blend_orders(
        tuple("cab"),
        tuple("abc"),
        {"c": 1.0, "a": 0.0, "b": -1.0},
        {},
        bm25_weight=0.0,
        stage2_weight=2.6,
    )
    assert order == tuple("abc")


def test_missing_bm25_scores_leave_that_part_out() -> None:
    logits = {"a": 2.0, "b": 1.0, "c": 0.0}
    bm25: dict[str, float | None] = {"a": 0.0, "b": 5.0, "c": None}
    order = blend_orders(
        tuple("abc"), tuple("abc"), logits, bm25, bm25_weight=100.0, stage2_weight=0.5
    )
    assert order == tuple("abc")
    bm25["c"] = 9.0
    order = blend_orders(
        tuple("abc"), tuple("abc"), logits, bm25, bm25_weight=100.0, stage2_weight=0.5
    )
    assert order == tuple("cba")


def test_ties_keep_the_stage_1_order() -> None:
    stage1 = tuple(f"d{number * 37 % 101}" for number in range(101))
    scores = {doc_id: float(place % 2) for place, doc_id in enumerate(stage1)}
    order = blend_orders(stage1, sorted(stage1), scores, scores, bm25_weight=0.7, stage2_weight=0.0)
    assert order == (*stage1[1::2], *stage1[::2])


@given(st.permutations(list("abcdef")), st.floats(0, 3), st.floats(0, 3))
def test_a_blend_keeps_every_passage_once(order: list[str], bm25: float, stage2: float) -> None:
    logits = {d: float(place**2) for place, d in enumerate("fedcba")}
    got = blend_orders(
        tuple("abcdef"), order, logits, logits, bm25_weight=bm25, stage2_weight=stage2
    )
    assert sorted(got) == list("abcdef")


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_a_heavy_stage_2_decides_alone(order: tuple[str, ...]) -> None:
    logits = {"a": 3.0, "b": 2.0, "c": 1.0}
    assert (
        blend_orders(tuple("abc"), order, logits, {}, bm25_weight=0.0, stage2_weight=100.0) == order
    )


@pytest.mark.filterwarnings("error")
def test_few_passages_are_no_special_case() -> None:
    assert blend_orders((), (), {}, {}, bm25_weight=0.3, stage2_weight=0.5) == ()
    one = blend_orders(("a",), ("a",), {"a": 1.0}, {"a": 1.0}, bm25_weight=0.3, stage2_weight=1.0)
    assert one == ("a",)


def test_the_agreed_order_is_the_majority_s() -> None:
    orders = [("a", "b", "c"), ("a", "b", "c"), ("c", "b", "a")]
    assert agree_on_order(orders, ("c", "b", "a")) == ("a", "b", "c")
    # Borda alone says b, a: neighbours are then swapped until no majority objects.
    split = [("a", "b", "c", "d")] * 3 + [("b", "c", "d", "a")] * 2
    assert agree_on_order(split, ("d", "c", "b", "a"))[0] == "a"
    rng = random.Random(1)
    noisy = [tuple(sorted("abcdef", key=lambda d: ord(d) + rng.gauss(0, 1.0))) for _ in range(41)]
    assert agree_on_order(noisy, "fedcba") == tuple("abcdef")


@given(st.lists(st.permutations("abcde"), min_size=1, max_size=7))
def test_no_majority_objects_to_two_neighbours(orders: list[list[str]]) -> None:
    agreed = agree_on_order(orders, "abcde")
    assert sorted(agreed) == list("abcde")
    for above, below in zip(agreed, agreed[1:], strict=False):
        against = sum(order.index(below) < order.index(above) for order in orders)
        assert 2 * against <= len(orders)


def test_an_agreed_order_keeps_what_nobody_read_again_at_the_end() -> None:
    shuffled = [ShuffledReading(shown=tuple("ab"), given=tuple("ba"))] * 2
    assert settle_agreement("acb", shuffled) == tuple("bac")
    assert shuffle_orders("abc", 3, 7) == shuffle_orders("abc", 5, 7)[:3]
    assert shuffle_orders("abcdef", 1, 7) != shuffle_orders("abcdef", 1, 8)
    for shuffles, passages in ((1, 5), (51, 5), (8, MAX_SHUFFLED + 1)):
        with pytest.raises(InputError, match="expected"):
            check_shuffles(shuffles, passages)
