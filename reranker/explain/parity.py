"""What a quantisation changes: the same queries ranked at several precisions.

Takes a way to load a student at a precision, requests and qrels, returns a row per precision set
against a reference. Knows no weights; whoever calls brings them. Seconds are those of the rankings
alone, and only comparable when nothing else ran beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from reranker.errors import CancelledError, InputError
from reranker.evaluation.run_agreement import measure_tau
from reranker.evaluation.statistics import Interval, bootstrap_difference
from reranker.explain.ndcg import measure_ndcg
from reranker.pipeline import rank
from reranker.progress import Cancelled
from reranker.request import RankRequest
from reranker.trec import Qrels, rank_by_position
from reranker.types import Quantization, RankingTrace, RankSettings

if TYPE_CHECKING:
    from reranker.student.student import Student

LoadAt = Callable[[Quantization], "Student"]
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionRow:
    """One precision against the reference. drift and worst_drift: mean and greatest difference of
    a logit; tau: mean Kendall's tau of the final orders; same_top: share of queries with the same
    first passage; delta: of nDCG@10, this minus the reference; seconds: per query."""

    quantization: Quantization
    ndcg: float
    delta: Interval
    drift: float
    worst_drift: float
    tau: float
    same_top: float
    memory_bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    reference: Quantization
    queries: int
    stages: str
    rows: tuple[PrecisionRow, ...]

    def find(self, quantization: Quantization) -> PrecisionRow:
        """KeyError for one that was not measured."""
        for row in self.rows:
            if row.quantization == quantization:
                return row
        raise KeyError(quantization)


def measure_parity(
    load: LoadAt,
    requests: Sequence[RankRequest],
    qrels: Qrels,
    quantizations: Sequence[Quantization],
    *,
    settings: RankSettings,
    progress: OnProgress = lambda done, total, message: None,
    cancelled: Cancelled = lambda: False,
) -> Parity:
    """The first of `quantizations` is the reference. Only one student is held at a time.

    Raises InputError for no request or precision, and what loading and ranking raise.
    """
    if not requests or not quantizations:
        raise InputError("expected queries and precisions to compare, got none; name some")
    total = len(requests) * len(quantizations)
    rankings: dict[Quantization, list[RankingTrace]] = {}
    memory: dict[Quantization, int] = {}
    for number, quantization in enumerate(quantizations):
        student = load(quantization)
        traces = []
        for place, request in enumerate(requests):
            if cancelled():
                raise CancelledError("the comparison of precisions was stopped")
            traces.append(rank(student, request, settings, cancelled=cancelled))
            progress(number * len(requests) + place + 1, total, f"ranked in {quantization}")
        rankings[quantization] = traces
        memory[quantization] = student.info().memory_bytes
    return compare_precisions(rankings, memory, qrels, stages=settings.stages)


def compare_precisions(
    rankings: Mapping[Quantization, Sequence[RankingTrace]],
    memory: Mapping[Quantization, int],
    qrels: Qrels,
    *,
    stages: str = "1",
) -> Parity:
    """Rankings of the same queries in the same order, the reference first."""
    reference = next(iter(rankings))
    values = {name: measure_ndcg(traces, qrels) for name, traces in rankings.items()}
    rows = []
    for name, traces in rankings.items():
        pairs = list(zip(traces, rankings[reference], strict=True))
        drifts = [d for mine, theirs in pairs for d in _list_drifts(mine, theirs)] or [0.0]
        taus = [_compare(mine.final_order, theirs.final_order) for mine, theirs in pairs]
        rows.append(
            PrecisionRow(
                quantization=name,
                ndcg=mean(values[name].values()),
                delta=bootstrap_difference(values[name], values[reference]),
                drift=mean(drifts),
                worst_drift=max(drifts),
                tau=mean(taus),
                same_top=mean(m.final_order[:1] == t.final_order[:1] for m, t in pairs),
                memory_bytes=memory.get(name, 0),
                seconds=mean(_count_seconds(trace) for trace in traces),
            )
        )
    return Parity(
        reference=reference, queries=len(rankings[reference]), stages=stages, rows=tuple(rows)
    )


def _list_drifts(mine: RankingTrace, theirs: RankingTrace) -> list[float]:
    known = {score.doc_id: score.score for score in theirs.stage1}
    return [abs(s.score - known[s.doc_id]) for s in mine.stage1 if s.doc_id in known]


def _compare(mine: Sequence[str], theirs: Sequence[str]) -> float:
    """Kendall's tau; 1 for a list too short to have one."""
    tau = measure_tau(rank_by_position(mine), rank_by_position(theirs))
    return 1.0 if tau is None else tau


def _count_seconds(trace: RankingTrace) -> float:
    return sum(timing.seconds for timing in trace.timings if timing.stage != "bm25")
