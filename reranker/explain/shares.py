"""One method's answer to "which words carried the score", and how far two answers agree.

Takes spans of a text and numbers for them. Knows neither scores nor models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from scipy import stats

Method = Literal["match", "gradient", "occlusion", "sentences", "shapley"]
Span = tuple[int, int]

METHOD_WORDS: dict[Method, str] = {
    "match": "exact shares of tokens",
    "gradient": "integrated gradients",
    "occlusion": "leave one word out",
    "sentences": "leave one sentence out",
    "shapley": "Shapley values of sentences",
}
TOP = 5
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodShares:
    """One method's answer. spans count into the passage's text, where a title gives (0, 0) parts
    left out of `spans` and summed in `elsewhere` (title, special tokens).

    explained: sum of all shares; wanted: the score difference they should sum to; a method with
    additive=False (one part left out at a time) does not promise that.
    """

    method: Method
    spans: tuple[Span, ...]
    shares: tuple[float, ...]
    elsewhere: float
    wanted: float
    against: str
    additive: bool
    scorings: int = 0

    @property
    def explained(self) -> float:
        return sum(self.shares) + self.elsewhere

    @property
    def gap(self) -> float:
        """What the shares leave unexplained, in logits."""
        return self.wanted - self.explained


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Two methods over the same parts. rho: Spearman's, None for fewer than three parts or equal
    shares; shared: how many of the TOP strongest parts both name; of: the most it could be."""

    first: Method
    second: Method
    parts: Literal["words", "sentences"]
    rho: float | None
    shared: int
    of: int


def find_words(text: str) -> list[Span]:
    """Spans of what stands between white space."""
    return [match.span() for match in _WORD.finditer(text)]


def sum_over(spans: Sequence[Span], shares: Sequence[float], parts: Sequence[Span]) -> list[float]:
    """Shares of small spans added up for the larger parts in whose bounds they begin."""
    totals = [0.0] * len(parts)
    for (start, _), share in zip(spans, shares, strict=True):
        for place, (first, last) in enumerate(parts):
            if first <= start < last:
                totals[place] += share
                break
    return totals


def compare_methods(
    methods: Sequence[MethodShares], words: Sequence[Span], sentences: Sequence[Span]
) -> tuple[Agreement, ...]:
    """Each pair of methods over words where both know words, else over sentences."""
    found = []
    for first, second in combinations(methods, 2):
        coarse = {"sentences", "shapley"} & {first.method, second.method}
        parts = sentences if coarse else words
        a, b = (sum_over(m.spans, m.shares, parts) for m in (first, second))
        of = min(TOP, max(1, len(parts) // 2))
        tops = [{int(p) for p in np.argsort([-v for v in x], kind="stable")[:of]} for x in (a, b)]
        found.append(
            Agreement(
                first=first.method,
                second=second.method,
                parts="sentences" if coarse else "words",
                rho=measure_rho(a, b),
                shared=len(tops[0] & tops[1]),
                of=of,
            )
        )
    return tuple(found)


def measure_rho(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None for fewer than three values or equal ones."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(stats.spearmanr(a, b).statistic)
