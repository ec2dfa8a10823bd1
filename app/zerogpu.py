"""GPU time on a Hugging Face ZeroGPU Space. Everywhere else nothing here does anything.

Takes a generator function and returns one whose calls each run while a GPU is lent. Knows how such
a loan works (the package `spaces`, which only those Spaces have), and neither students nor events.

A call then runs in a process forked for it: its arguments and what it yields are pickled, only
yielded values come back whole (an exception becomes a title), and closing the generator ends it.
What was put on "cuda" in the main thread before the page is served moves to the lent GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from importlib import import_module
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import gradio as gr

from app.messages import NO_GPU
from reranker.config import Profile
from reranker.errors import StudentError
from reranker.types import RankSettings
from reranker.windows import plan_windows

P = ParamSpec("P")
T = TypeVar("T")

START_SECONDS = 15.0
"""What a forked process takes until its weights are on the GPU."""
SECONDS_PER_SCORE = 0.1
TOKENS_PER_SECOND = 25.0
"""What an 8B student in 4 bits decodes on one stream; a smaller one gives the rest back."""
MAX_SECONDS = 120.0
"""Longer loans are refused to most visitors."""


def is_zerogpu() -> bool:
    """Whether this is a ZeroGPU Space: its variable is set and its package is there."""
    set_up = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return set_up and find_spec("spaces") is not None


def lend_gpu(
    task: Callable[P, Generator[T, None, None]], seconds: Callable[P, float]
) -> Callable[P, Generator[T, None, None]]:
    """`task` with a GPU for each call, for as many seconds as `seconds` makes of its arguments.

    Off ZeroGPU, `task` itself. Raises StudentError when no GPU can be had.
    """
    if not is_zerogpu():
        return task
    lent = import_module("spaces").GPU(task, duration=seconds)

    def run(*args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        try:
            yield from lent(*args, **kwargs)
        except gr.Error as error:
            raise StudentError(NO_GPU.format(reason=str(error.message).rstrip("."))) from error

    return run


def estimate_seconds(profile: Profile, settings: RankSettings, candidates: int) -> float:
    """How long a GPU is asked for to rank that many candidates; what is left over is given back."""
    seconds = START_SECONDS
    if settings.stages in ("1", "both"):
        seconds += SECONDS_PER_SCORE * candidates
    stage2 = profile.stage2
    if stage2 is not None and settings.stages in ("2", "both"):
        windows = plan_windows(
            min(candidates, settings.stage2_depth or candidates),
            settings.window_size or stage2.window_size,
            settings.stride or min(stage2.stride, settings.window_size or stage2.window_size),
        )
        tokens = stage2.max_new_tokens + stage2.max_ranking_tokens
        readings = 1 + (settings.shuffles if settings.final == "agreed" else 0)
        seconds += readings * len(windows) * tokens / TOKENS_PER_SECOND
    return min(seconds, MAX_SECONDS)
