"""Length-sorted batches under a token budget.

Takes lengths in tokens, returns lists of positions. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Positions grouped so that rows x longest row stays within `token_budget`.

    Longest first, so that the peak of memory comes at once rather than late; every position
    appears exactly once, and a row longer than the budget gets a batch of its own.
    """
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda p: -lengths[p]):
        fits = batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= token_budget
        if fits:
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches
