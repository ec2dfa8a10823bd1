"""What a job changed: its adapter against the start, query by query, on the dev queries.

Takes a job, returns figures with their intervals and tests. Reads evaluations/ only: nothing is
ranked again. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass

from reranker.errors import InputError
from reranker.evaluation.differences import TIE_TOLERANCE, PairedDifference, compare_pair
from reranker.jobs.folder import JobFolder, read_json
from reranker.jobs.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryChange:
    """The job's metric on one dev query before training and with the job's adapter. text: what
    the query asks, "" in a job older than that record. gain: above 0 where it got better."""

    query_id: str
    text: str
    before: float
    after: float
    gain: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """metric: nDCG@10 for stage 1, the loss per answer token for stage 2. difference: of the
    gains, so that above 0 is better for either. changes: every query, the largest gain first."""

    metric: str
    step: int
    difference: PairedDifference
    changes: tuple[QueryChange, ...]

    @property
    def changed(self) -> tuple[QueryChange, ...]:
        """The queries that are not as they were."""
        return tuple(c for c in self.changes if abs(c.gain) > TIE_TOLERANCE)


def is_measured(job: Job) -> bool:
    """Whether the job has dev values from before and from after training to compare."""
    return bool(job.summary.get("best_step")) and bool(_read_values(JobFolder(job.folder), 0))


def measure_outcome(job: Job) -> Outcome:
    """The outcome of a job. Raises InputError when it has not been measured twice, or when a file
    of it is damaged."""
    folder = JobFolder(job.folder)
    step = int(job.summary.get("best_step") or 0)
    before = _read_values(folder, 0)
    after = _read_values(folder, step) if step else {}
    if not before or before.keys() != after.keys():
        raise InputError(
            f"expected a job measured before and after training, got {job.job_id!r}; give it dev "
            "data and let it reach an evaluation"
        )
    first, second = (before, after) if job.settings.stage == "stage1" else (after, before)
    texts = read_json(folder.queries)
    changes = [
        QueryChange(
            query_id=query_id,
            text=str(texts.get(query_id, "")),
            before=before[query_id],
            after=after[query_id],
            gain=second[query_id] - first[query_id],
        )
        for query_id in before
    ]
    return Outcome(
        metric=job.metric,
        step=step,
        difference=compare_pair(second, first, names=("after", "before")),
        changes=tuple(sorted(changes, key=lambda change: (-change.gain, change.query_id))),
    )


def _read_values(folder: JobFolder, step: int) -> dict[str, float]:
    values = read_json(folder.evaluations / f"step-{step}.json").get("values", {})
    return {str(query_id): float(value) for query_id, value in values.items()}
