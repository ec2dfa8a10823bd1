"""Retrieval measures of a run, computed by ir_measures (trec_eval underneath) and, for ERR, here.

Takes a `Run` and `Qrels` (see `reranker/trec.py`) and measures, returns an `Evaluation`.
Knows no model and draws nothing. The order of a run's tuples is the ranking: every provider
under ir_measures breaks ties its own way, so each gets scores without ties (n - position).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
from ir_measures import Measure

from reranker.errors import InputError
from reranker.evaluation.err import expected_reciprocal_rank
from reranker.trec import MAX_GRADE, Qrels, Ranking, Run, rank_by_position

DEFAULT_MEASURES = "nDCG@10 nDCG@5 nDCG@1 RR Judged@10"
MAX_CUTOFF = 1_000_000
_MEASURE = re.compile(r"[^\s,(@]+(?:\([^)]*\))?(?:@[^\s,]*)?|\S")


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureResult:
    """One measure over the queries of the qrels.

    measure: its name as ir_measures writes it ("nDCG@10"). mean: over all queries of the
    qrels (a sum for counts such as NumRet). values: query_id -> value, sorted by query_id.
    """

    measure: str
    mean: float
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What measures say about a run, and about how many queries they say it.

    run_queries counts those with at least one passage. missing: query_ids of the qrels that
    the run lacks; they count as 0. unjudged: query_ids of the run that the qrels lack; they
    count for nothing.
    """

    results: tuple[MeasureResult, ...]
    run_queries: int
    qrels_queries: int
    missing: tuple[str, ...]
    unjudged: tuple[str, ...]

    @property
    def means(self) -> dict[str, float]:
        """measure name -> mean, in the order the measures were asked for."""
        return {result.measure: result.mean for result in self.results}

    def result(self, measure: str) -> MeasureResult:
        """The result of the measure called `measure`; KeyError when it was not asked for."""
        for result in self.results:
            if result.measure == measure:
                return result
        raise KeyError(measure)


def parse_measures(text: str) -> list[Measure]:
    """Measures written as ir_measures does, apart by spaces or commas: "nDCG@10 RR AP(rel=2)".

    Duplicates are dropped. Raises InputError for an empty text, an unknown measure or
    parameter, and for a measure no installed provider computes.
    """
    measures: list[Measure] = []
    for name in _MEASURE.findall(text):
        if name == ",":
            continue
        measure = _parse_measure(name)
        if measure not in measures:
            measures.append(measure)
    if not measures:
        raise InputError(
            f"expected at least one measure, got {text!r}; write for example {DEFAULT_MEASURES!r}"
        )
    return measures


def add_judged(measures: Sequence[Measure]) -> list[Measure]:
    """`measures` and Judged@k for every cut-off k among them (at 10 where there is none).

    How much of a ranking was judged at all belongs beside every figure.
    """
    cutoffs = {m.params["cutoff"] for m in measures if "cutoff" in m.params} or {10}
    judged = [ir_measures.Judged @ cutoff for cutoff in sorted(cutoffs)]
    return [*measures, *(measure for measure in judged if measure not in measures)]


def evaluate_run(run: Run, qrels: Qrels, measures: Sequence[Measure]) -> Evaluation:
    """Measure `run` against `qrels`.

    Means run over all queries of the qrels: one that the run lacks counts as 0, as under
    `trec_eval -c`, so that a system cannot gain by leaving hard queries out. nDCG is
    trec_eval's (gain = grade, discount log2(1 + rank)). Scores in `run` are not looked at,
    its order is. Raises InputError when run and qrels share no query, or a query's ranking
    holds a doc_id twice.
    """
    for measure in measures:
        _require_safe_parameters(measure, str(measure))
    ranked = {query_id: ranking for query_id, ranking in run.items() if ranking}
    missing = tuple(sorted(qrels.keys() - ranked.keys()))
    if len(missing) == len(qrels):
        raise InputError(
            "expected a run and qrels with queries in common, got none "
            f"(run: {_sample(run)}; qrels: {_sample(qrels)}); check that both belong together"
        )
    orders = {
        query_id: _without_ties(ranked[query_id], query_id) for query_id in qrels.keys() & ranked
    }
    values: dict[Measure, dict[str, float]] = {measure: {} for measure in measures}
    for measure in measures:
        if measure.NAME == "ERR":
            values[measure] = _measure_err(ranked, qrels, measure.params["cutoff"])
    others = [measure for measure in measures if measure.NAME != "ERR"]
    for metric in ir_measures.iter_calc(others, qrels, orders) if others else ():
        values[metric.measure][metric.query_id] = float(metric.value)
    return Evaluation(
        results=tuple(_aggregate(measure, values[measure]) for measure in measures),
        run_queries=len(ranked),
        qrels_queries=len(qrels),
        missing=missing,
        unjudged=tuple(sorted(ranked.keys() - qrels.keys())),
    )


def _measure_err(run: Run, qrels: Qrels, cutoff: int) -> dict[str, float]:
    return {
        query_id: expected_reciprocal_rank(
            [grades.get(doc_id, 0) for doc_id, _ in run.get(query_id, ())], cutoff
        )
        for query_id, grades in qrels.items()
    }


def _aggregate(measure: Measure, values: dict[str, float]) -> MeasureResult:
    """Added up in sorted order: the last digit depends on the order of a sum."""
    values = dict(sorted(values.items()))
    aggregator = measure.aggregator()
    for value in values.values():
        aggregator.add(value)
    return MeasureResult(measure=str(measure), mean=float(aggregator.result()), values=values)


def _parse_measure(name: str) -> Measure:
    known = ir_measures.measures.registry
    base = re.split(r"[(@]", name, maxsplit=1)[0]
    if base not in known:
        spelt = {known_name.lower(): str(known[known_name]) for known_name in known}
        near = difflib.get_close_matches(base.lower(), spelt, n=1)
        hint = spelt[near[0]] if near else DEFAULT_MEASURES
        raise InputError(f"expected a measure of ir_measures, got {name!r}; try {hint}")
    try:
        measure = ir_measures.parse_measure(name)
        measure.validate_params()
    except (ValueError, TypeError, NameError, AssertionError) as error:
        raise InputError(
            f"expected a measure like nDCG@10 or AP(rel=2)@100, got {name!r} ({error}); "
            "mend its parameters"
        ) from error
    _require_safe_parameters(measure, name)
    if measure.NAME == "ERR":
        return measure
    if measure.params.get("dcg") == "exp-log2":  # only gdeval.pl, which wants perl, has it
        raise InputError(
            f"expected trec_eval's nDCG, got {name!r}; write its gains instead, for example "
            "nDCG(gains={1:1,2:3,3:7})@10"
        )
    if not ir_measures.DefaultPipeline.supports(measure):
        raise InputError(
            f"expected a measure that an installed package computes, got {name!r}; choose "
            "another or install ir_measures' provider for it"
        )
    return measure


def _require_safe_parameters(measure: Measure, name: str) -> None:
    """Refuse what makes trec_eval's C code abort the whole process (a cut-off or rel of 0)."""
    gains = measure.params.get("gains") or {}
    for key, value in (*measure.params.items(), *((f"gains {g}", v) for g, v in gains.items())):
        limit = MAX_CUTOFF if key == "cutoff" else MAX_GRADE
        least = 0 if key.startswith("gains ") else 1
        whole = key in ("cutoff", "rel") or key.startswith("gains ")
        if whole and not (type(value) is int and least <= value <= limit):
            raise InputError(
                f"expected {key} as a whole number from {least} to {limit:,}, got {value!r} in "
                f"{name!r}; change it"
            )


def _without_ties(ranking: Ranking, query_id: str) -> dict[str, float]:
    scores = dict(rank_by_position([doc_id for doc_id, _ in ranking]))
    if len(scores) != len(ranking):
        raise InputError(
            f"expected each doc_id once per query, got one twice for query {query_id!r}; "
            "remove one of them"
        )
    return scores


def _sample(table: Mapping[str, object]) -> str:
    return ", ".join(sorted(table)[:3]) or "no queries"
