"""What an analysis will cost, estimated before it starts from what its ranking took.

Takes a trace and counts of scorings, rankings and readings, returns seconds. Rough by design:
a machine under load takes longer, and passages already encoded take nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from reranker.types import RankingTrace

SCORING_SECONDS = 0.02
READING_SECONDS = 2.5
"""Where the trace holds no timing of a stage: `mini` on two cores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """scorings: texts stage 1 scores. readings: times stage 2 reads the list. steps: how many
    scorings, readings and rankings the analysis tells one by one."""

    scorings: int
    readings: int
    seconds: float
    steps: int


def estimate_cost(
    trace: RankingTrace, *, scorings: int = 0, readings: int = 0, rankings: int = 0
) -> Cost:
    """seconds: at the pace of the trace itself. rankings: whole ones by stage 2, each of which
    reads the list as often as the trace's own did."""
    steps = scorings + readings + rankings
    readings += rankings * (1 + len(trace.shuffled))
    taken: dict[str, float] = {}
    for timing in trace.timings:
        taken[timing.stage] = taken.get(timing.stage, 0.0) + timing.seconds
    scoring = taken.get("stage1", 0.0) / max(1, len(trace.stage1)) or SCORING_SECONDS
    reading = taken.get("stage2", 0.0) if trace.readings else 0.0
    seconds = scorings * scoring + readings * (reading or READING_SECONDS)
    return Cost(scorings=scorings, readings=readings, seconds=seconds, steps=steps)
