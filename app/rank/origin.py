"""Where a ranking comes from: what was asked for, when, over what, and by which student.

Takes traces, returns words. Writes no HTML; knows no result of the ranking.
"""

from __future__ import annotations

from datetime import datetime, timezone

from app.facts import shorten
from reranker.types import RankingTrace


def list_settings(trace: RankingTrace) -> tuple[tuple[str, str], ...]:
    """What was asked for, in words; a value is "" where it does not apply."""
    settings, staged = trace.settings, trace.settings.stages
    stages = {"none": "none", "1": "stage 1", "2": "stage 2", "both": "stages 1 and 2"}
    finals = {"stage2": "stage 2", "stage1": "stage 1", "blend": "blend of stages 2 and 1",
              "agreed": f"agreed over {settings.shuffles} shuffled readings"}  # fmt: skip
    window = f"{settings.window_size}, stride {settings.stride}"
    own_window = settings.window_size is not None or settings.stride is not None
    return (
        ("Depth", f"{settings.depth} candidates"),
        ("Read by stage 2", f"the first {settings.stage2_depth}" if settings.stage2_depth else ""),
        ("Stages", stages[staged]),
        ("Mode", settings.mode.replace("_", " ") if staged in ("2", "both") else ""),
        ("Final order", finals.get(settings.final or "", "as the student's profile says")),
        ("Window", window.replace("None", "the profile's") if own_window else ""),
        ("Quotes", "grounded while decoding" if settings.grounding else "checked afterwards"),
        ("Marks in passages", "" if settings.guard else "not neutralised"),
        ("Seed", str(settings.seed)),
    )


def describe_origin(trace: RankingTrace) -> str:
    """When, over what and by which student a ranking was made, and whether it came to its end."""
    student, created = trace.student, describe_time(trace.created)
    by = f"by student {student.name} ({student.quantization}{_name_device(trace)})"
    ended = f" It ended early: {shorten(trace.error, 200) or 'it was stopped'}"
    return f"Ranked {created} over {trace.corpus_id} {by}.{'' if trace.complete else ended}"


def describe_time(created: str) -> str:
    """2026-11-23 20:25 UTC; a time that is none, which a file may hold, as it stands there."""
    try:
        time = datetime.fromisoformat(created).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return shorten(created, 40) or "at an unknown time"
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _name_device(trace: RankingTrace) -> str:
    return f", {trace.student.device}" if trace.student.device else ""
