"""Sliding windows over a candidate list, from the bottom up.

Takes three numbers, returns `Window`s in reading order. Knows nothing of what is read.
"""

from __future__ import annotations

from reranker.errors import InputError
from reranker.types import Window


def plan_windows(n: int, window_size: int, stride: int) -> tuple[Window, ...]:
    """Windows that together cover every position of n candidates, the last one starting at 0.

    Each window but the topmost starts `stride` above the one below it; the topmost is
    [0, min(n, window_size)), so n <= window_size gives one window and n = 0 none. Raises
    InputError for a negative n and unless 2 <= window_size and 1 <= stride <= window_size.

    RankGPT's procedure (arXiv 2304.09542) with the end of its loop mended: 25 candidates in
    windows of 20 with stride 10 also reach positions 0 to 4.
    """
    if n < 0:
        raise InputError(f"expected a number of candidates, got {n}; count them from 0")
    if not (window_size >= 2 and 1 <= stride <= window_size):
        raise InputError(
            f"expected window_size >= 2 and 1 <= stride <= window_size, got window_size "
            f"{window_size} and stride {stride}; choose a stride from 1 to the window size"
        )
    if n == 0:
        return ()
    windows = []
    end = n
    while end > window_size:
        windows.append(Window(start=end - window_size, end=end))
        end -= stride
    windows.append(Window(start=0, end=min(n, window_size)))
    return tuple(windows)
