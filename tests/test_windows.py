"""Windows cover every candidate, whatever the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import InputError
from reranker.ordering import apply_readings
from reranker.types import Window, WindowReading
from reranker.windows import plan_windows

SHAPES = st.tuples(st.integers(0, 150), st.integers(2, 40)).flatmap(
    lambda shape: st.tuples(st.just(shape[0]), st.just(shape[1]), st.integers(1, shape[1]))
)


def bounds(n: int, window_size: int, stride: int) -> list[tuple[int, int]]:
    return [(window.start, window.end) for window in plan_windows(n, window_size, stride)]


@given(SHAPES)
def test_every_position_is_covered_by_windows_inside_the_list(shape: tuple[int, int, int]) -> None:
    n, window_size, stride = shape
    windows = plan_windows(n, window_size, stride)
    assert {p for window in windows for p in range(window.start, window.end)} == set(range(n))
    for window in windows:
        assert 0 <= window.start < window.end <= n
        assert window.size == min(n, window_size)


@given(SHAPES)
def test_windows_rise_from_the_bottom_to_the_top(shape: tuple[int, int, int]) -> None:
    n, window_size, stride = shape
    windows = plan_windows(n, window_size, stride)
    if not n:
        assert windows == ()
        return
    assert windows[0].end == n
    assert windows[-1].start == 0
    for lower, upper in zip(windows, windows[1:], strict=False):
        assert upper.start < lower.start, "each window starts above the one before"
        assert upper.end >= lower.start, "no gap between a window and the next"
    for lower, upper in zip(windows, windows[1:-1], strict=False):
        assert lower.start - upper.start == stride


@given(SHAPES)
def test_windows_that_change_nothing_change_nothing(shape: tuple[int, int, int]) -> None:
    order = tuple(f"d{position}" for position in range(shape[0]))
    readings = [
        WindowReading(
            index=index,
            window=window,
            doc_ids=order[window.start : window.end],
            permutation=tuple(range(window.size)),
            justifications=(),
            generations=(),
        )
        for index, window in enumerate(plan_windows(*shape))
    ]
    assert apply_readings(order, readings) == order


def test_a_passage_can_rise_from_the_last_place_to_the_first() -> None:
    order = tuple(f"d{position}" for position in range(25))
    for index, window in enumerate(plan_windows(25, 20, 10)):
        inside = order[window.start : window.end]
        place = inside.index("d24")
        permutation = (place, *(p for p in range(window.size) if p != place))
        reading = WindowReading(
            index=index,
            window=window,
            doc_ids=inside,
            permutation=permutation,
            justifications=(),
            generations=(),
        )
        order = apply_readings(order, [reading])
    assert order == ("d24", *(f"d{position}" for position in range(24)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        # RankGPT's loop never reaches positions 0 to 4 of the first and gives the second none.
        ((25, 20, 10), [(5, 25), (0, 20)]),
        ((10, 20, 10), [(0, 10)]),
        ((100, 20, 10), [(s, s + 20) for s in range(80, -1, -10)]),
        ((21, 20, 20), [(1, 21), (0, 20)]),
        ((20, 20, 10), [(0, 20)]),
        ((1, 2, 1), [(0, 1)]),
        ((4, 2, 2), [(2, 4), (0, 2)]),
        ((0, 20, 10), []),
    ],
)
def test_known_plans(shape: tuple[int, int, int], expected: list[tuple[int, int]]) -> None:
    assert bounds(*shape) == expected


@pytest.mark.parametrize(
    "shape", [(10, 1, 1), (10, 0, 0), (10, 20, 0), (10, 20, -1), (10, 20, 21), (-1, 20, 10)]
)
def test_impossible_numbers_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        plan_windows(*shape)


def test_a_refusal_says_what_to_choose() -> None:
    with pytest.raises(InputError, match="got window_size 20 and stride 0; choose a stride from 1"):
        plan_windows(10, 20, 0)


def test_windows_compare_by_place() -> None:
    assert Window(start=0, end=20) < Window(start=5, end=25)
