"""What a job changed: its adapter against the start, query by query, on the dev queries.

Takes a job, returns figures with their intervals. Reads evaluations/ only: nothing is ranked
again. Knows no model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from reranker.errors import InputError
from reranker.evaluation.statistics import (
    Interval,
    Significance,
    bootstrap_difference,
    randomization_test,
)
from reranker.jobs.folder import JobFolder, read_json
from reranker.jobs.job import Job
from reranker.jobs.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryChange:
    """nDCG@10 of one dev query before training and with the job's adapter."""

    query_id: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """changes: the largest gain first. difference, significance: of the mean nDCG@10."""

    step: int
    changes: tuple[QueryChange, ...]
    difference: Interval
    significance: Significance

    @property
    def wins(self) -> int:
        return sum(change.after > change.before for change in self.changes)

    @property
    def losses(self) -> int:
        return sum(change.after < change.before for change in self.changes)


def measure_outcome(job: Job) -> Outcome:
    """The outcome of a stage-1 job. Raises InputError when it has not been measured twice."""
    folder = JobFolder(job.folder)
    step = int(job.summary.get("best_step") or 0)
    before = _read_values(folder, 0)
    after = _read_values(folder, step) if step else {}
    if not before or before.keys() != after.keys():
        raise InputError(
            f"expected a stage-1 job measured before and after training, got {job.job_id!r}; "
            "give it dev queries and let it reach an evaluation"
        )
    changes = [QueryChange(query_id=q, before=before[q], after=after[q]) for q in before]
    return Outcome(
        step=step,
        changes=tuple(sorted(changes, key=lambda c: (c.before - c.after, c.query_id))),
        difference=bootstrap_difference(after, before),
        significance=randomization_test(after, before),
    )


def compare_settings(
    first: TrainingSettings, second: TrainingSettings
) -> dict[str, tuple[object, object]]:
    """Dotted names of the settings that differ, with both values."""
    one, two = _flatten(asdict(first)), _flatten(asdict(second))
    return {name: (one[name], two[name]) for name in one if one[name] != two[name]}


def _flatten(record: dict[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _read_values(folder: JobFolder, step: int) -> dict[str, float]:
    values = read_json(folder.evaluations / f"step-{step}.json").get("values", {})
    return {str(query_id): float(value) for query_id, value in values.items()}
