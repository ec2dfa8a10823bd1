"""What leaving out parts of a text does to its score, for any scorer: occlusion and Shapley.

Takes a number of parts and a function that scores texts with some of them left out, returns a
number per part. Occlusion takes one part away at a time; Shapley values (sampled over orders, by
captum; Castro, Gomez and Tejada 2009) are a part's mean effect over all sets of the others, so
they add up to score(all) - score(none). Knows neither texts nor models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial

import torch
from captum.attr import FeatureAblation, ShapleyValueSampling

ROWS_AT_ONCE = 32
EXACT_PARTS = 5
"""So few parts have all their orders gone through, and the values are exact."""

Kept = tuple[bool, ...]
ScoreKept = Callable[[Sequence[Kept]], Sequence[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """whole and empty: the scores with all parts and with none. exact: no sampling took place.
    scorings: how many different texts were scored."""

    values: tuple[float, ...]
    whole: float
    empty: float
    exact: bool
    scorings: int


class _Memory:
    """Scores of kept parts, each computed once."""

    def __init__(self, score: ScoreKept) -> None:
        self._score = score
        self.known: dict[Kept, float] = {}

    def read(self, rows: Sequence[Kept]) -> list[float]:
        new = [row for row in dict.fromkeys(rows) if row not in self.known]
        if new:
            self.known.update(zip(new, self._score(new), strict=True))
        return [self.known[row] for row in rows]

    def forward(self, masks: torch.Tensor) -> torch.Tensor:
        rows = [tuple(bool(value) for value in row) for row in masks.tolist()]
        return torch.tensor(self.read(rows), dtype=torch.float64)


def occlude(score: ScoreKept, parts: int) -> Ablation:
    """What each part's absence alone takes from the score."""
    memory = _Memory(score)
    memory.read([(True,) * parts, (False,) * parts])
    everything = torch.ones((1, parts), dtype=torch.float64)
    found = FeatureAblation(memory.forward).attribute(
        everything, baselines=0.0, perturbations_per_eval=ROWS_AT_ONCE
    )
    return _collect(memory, found[0].tolist(), parts, exact=True)


def share_out(score: ScoreKept, parts: int, *, samples: int, seed: int = 0) -> Ablation:
    """Shapley values: exact up to EXACT_PARTS parts, else over `samples` random orders."""
    memory = _Memory(score)
    memory.read([(True,) * parts, (False,) * parts])
    if parts <= EXACT_PARTS:
        return _collect(memory, _average_orders(memory, parts), parts, exact=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = ShapleyValueSampling(memory.forward).attribute(
            torch.ones((1, parts), dtype=torch.float64),
            baselines=0.0,
            n_samples=samples,
            perturbations_per_eval=ROWS_AT_ONCE,
        )
    return _collect(memory, found[0].tolist(), parts, exact=False)


def _average_orders(memory: _Memory, parts: int) -> list[float]:
    """The definition, order by order; the memory holds the at most 2^parts scores."""
    memory.read(list(product((False, True), repeat=parts)))
    totals = [0.0] * parts
    for order in permutations(range(parts)):
        kept = [False] * parts
        before = memory.read([tuple(kept)])[0]
        for part in order:
            kept[part] = True
            after = memory.read([tuple(kept)])[0]
            totals[part] += after - before
            before = after
    return [total / factorial(parts) for total in totals]


def _collect(memory: _Memory, values: list[float], parts: int, *, exact: bool) -> Ablation:
    return Ablation(
        values=tuple(values),
        whole=memory.known[(True,) * parts],
        empty=memory.known[(False,) * parts],
        exact=exact,
        scorings=len(memory.known),
    )
