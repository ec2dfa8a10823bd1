"""An experiment: what was ranked, by which systems, with what settings, and what came out.

Takes nothing by itself; `reranker/systems/running.py` makes these, `experiment_folder.py` keeps
them. Knows runs and qrels; knows no model and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reranker.errors import InputError
from reranker.evaluation.answers import measure_answers
from reranker.evaluation.measures import (
    MeasureResult,
    add_judged,
    evaluate_run,
    parse_measures,
)
from reranker.trec import Qrels, Run
from reranker.types import Justification, Passage, Query


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemRun:
    """What one system made of the collection.

    description: which weights and settings, in words. seconds: query_id -> wall-clock time of
    this system alone, without the first stage. defects: query_id -> repairs of what a model
    wrote. failures: query_id -> why there is no ranking; such a query counts as 0.
    """

    name: str
    description: str
    run: Run
    seconds: Mapping[str, float] = field(default_factory=dict)
    defects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    justifications: Mapping[str, tuple[Justification, ...]] = field(default_factory=dict)

    @property
    def seconds_per_query(self) -> float | None:
        """None where no time was taken (a run that came as a file)."""
        return sum(self.seconds.values()) / len(self.seconds) if self.seconds else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """Systems over one collection, with everything needed to open it again without the corpus.

    passages: every candidate's text. measures: as ir_measures writes them. baseline: the system
    the others are held against. settings: what was chosen, as text. collection_sha256: see
    `Collection.sha256`; equal ones are over the same queries and candidates.
    """

    collection: str
    collection_sha256: str
    first_stage: str
    licence: str
    note: str
    depth: int
    measures: tuple[str, ...]
    baseline: str
    queries: tuple[Query, ...]
    passages: Mapping[str, Passage]
    qrels: Qrels
    answers: Mapping[str, tuple[str, ...]]
    systems: tuple[SystemRun, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The systems' names, in order."""
        return tuple(system.name for system in self.systems)

    def system(self, name: str) -> SystemRun:
        """The system called `name`. Raises InputError."""
        for system in self.systems:
            if system.name == name:
                return system
        raise InputError(f"expected one of {', '.join(self.names)}, got {name!r}; choose one")

    def measure(self) -> dict[str, tuple[MeasureResult, ...]]:
        """system -> results, one a measure, in the order asked for; Judged@k always among them.

        Where there are answers, Top-k accuracy follows. Every query that has qrels (or answers)
        counts, also one that a system has no ranking for. Raises InputError.
        """
        measures = add_judged(parse_measures(" ".join(self.measures)))
        found: dict[str, tuple[MeasureResult, ...]] = {}
        for system in self.systems:
            results: tuple[MeasureResult, ...] = ()
            if self.qrels:
                results = evaluate_run(system.run, self.qrels, measures).results
            if self.answers:
                accuracy = measure_answers(system.run, self.passages, self.answers)
                results += accuracy.results
            found[system.name] = results
        return found
