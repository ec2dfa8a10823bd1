"""The table of an evaluation: systems down, measures across, with intervals and tests.

Takes what was measured (system -> results), returns a `ResultTable`. Knows no file format (see
`table_exports.py`) and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reranker.errors import InputError
from reranker.evaluation.differences import PairedDifference, compare_to_baseline
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.measures import MeasureResult
from reranker.evaluation.published import PublishedFigure, list_published
from reranker.evaluation.statistics import RESAMPLES, Interval, bootstrap_mean

SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRow:
    """One system. intervals: measure -> mean with its bootstrap interval.

    difference: against the baseline in the main measure, None for the baseline itself. failures:
    queries without a ranking, counted as 0. seconds_per_query: None where no time was taken.
    """

    system: str
    description: str
    intervals: Mapping[str, Interval]
    difference: PairedDifference | None
    failures: int = 0
    seconds_per_query: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the randomisation test, after Holm's correction, stays below SIGNIFICANCE."""
        return self.difference is not None and self.difference.holm_randomization < SIGNIFICANCE


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultTable:
    """All systems. main: the measure that differences are about. queries: how many were measured.

    published: figures of the literature for this collection, which nobody measured here.
    """

    collection: str
    measures: tuple[str, ...]
    main: str
    baseline: str
    queries: int
    rows: tuple[ResultRow, ...]
    published: tuple[PublishedFigure, ...] = ()
    warning: str = ""


def build_table(
    measured: Mapping[str, Sequence[MeasureResult]],
    *,
    collection: str,
    baseline: str,
    main: str = "",
    descriptions: Mapping[str, str] | None = None,
    failures: Mapping[str, int] | None = None,
    seconds: Mapping[str, float | None] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ResultTable:
    """The table of `measured`. main: "" takes the first measure.

    Raises InputError for no systems, different measures, or an unknown baseline or main measure.
    """
    measures = _find_measures(measured)
    main = main or measures[0]
    if main not in measures:
        raise InputError(f"expected a measure among {', '.join(measures)}, got {main!r}")
    values = {
        system: next(result.values for result in results if result.measure == main)
        for system, results in measured.items()
    }
    found = compare_to_baseline(values, baseline, resamples=resamples, seed=seed)
    differences = {difference.system: difference for difference in found}
    rows = tuple(
        ResultRow(
            system=system,
            description=(descriptions or {}).get(system, ""),
            intervals={
                result.measure: bootstrap_mean(result.values, resamples=resamples, seed=seed)
                for result in results
            },
            difference=differences.get(system),
            failures=(failures or {}).get(system, 0),
            seconds_per_query=(seconds or {}).get(system),
        )
        for system, results in measured.items()
    )
    return ResultTable(
        collection=collection,
        measures=measures,
        main=main,
        baseline=baseline,
        queries=len(values[baseline]),
        rows=rows,
        published=list_published(collection, measures),
        warning=next((interval.warning for interval in rows[0].intervals.values()), ""),
    )


def _find_measures(measured: Mapping[str, Sequence[MeasureResult]]) -> tuple[str, ...]:
    """The measures every system has, in order."""
    names = {tuple(result.measure for result in results) for results in measured.values()}
    if len(names) != 1 or not all(names):
        raise InputError("expected systems measured alike, got different measures; measure again")
    return names.pop()


def tabulate_experiment(experiment: Experiment, *, main: str = "") -> ResultTable:
    """The table of an experiment, with its times and failures."""
    return build_table(
        experiment.measure(),
        collection=experiment.collection,
        baseline=experiment.baseline,
        main=main,
        descriptions={system.name: system.description for system in experiment.systems},
        failures={system.name: len(system.failures) for system in experiment.systems},
        seconds={system.name: system.seconds_per_query for system in experiment.systems},
    )
