"""What a student can do on dev queries, measured while it trains.

Takes a scorer and dev queries, returns measures, values for each query and the run. The scorer
is the one that serves, so what is measured is what a reader would get. Knows no training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.examples.record import DevQuery
from reranker.stage1.scorer import Scorer
from reranker.training.teacher import Teacher
from reranker.trec import Ranking, sort_ranking

MEASURES = "nDCG@10 RR"
NDCG, TAU = "nDCG@10", "kendall_tau"


@dataclass(frozen=True, kw_only=True, slots=True)
class DevResult:
    """measures: means by name. values: query_id -> nDCG@10. run: query_id -> ranking."""

    measures: dict[str, float]
    values: dict[str, float]
    run: dict[str, Ranking]


class DevMeter:
    """Measures a scorer on the same queries and candidates every time."""

    def __init__(self, queries: Sequence[DevQuery], teacher: Teacher | None) -> None:
        self._queries = queries
        self._taught = [_ask_teacher(query, teacher) for query in queries]

    def measure(self, scorer: Scorer) -> DevResult:
        """nDCG@10 and RR over all queries, and Kendall's tau-b to the teacher's scores, the mean
        over queries where both order something."""
        run: dict[str, Ranking] = {}
        taus = []
        for query, taught in zip(self._queries, self._taught, strict=True):
            scored = scorer.score(query.query.text, query.candidates) if query.candidates else []
            run[query.query.query_id] = sort_ranking([(s.doc_id, s.score) for s in scored])
            if taught and len(scored) > 1:
                taus.append(float(stats.kendalltau([s.score for s in scored], taught).statistic))
        qrels = {query.query.query_id: query.grades for query in self._queries}
        evaluation = evaluate_run(run, qrels, parse_measures(MEASURES))
        measures = dict(evaluation.means)
        ordered = [tau for tau in taus if not math.isnan(tau)]
        if ordered:
            measures[TAU] = math.fsum(ordered) / len(ordered)
        return DevResult(measures=measures, values=dict(evaluation.result(NDCG).values), run=run)


def _ask_teacher(query: DevQuery, teacher: Teacher | None) -> list[float]:
    """The teacher's scores of the candidates; [] where it has not all of them."""
    if teacher is None or not query.candidates:
        return []
    passages = query.candidates
    scores = teacher.score(query.query.text, passages, given=[None] * len(passages))
    known = [score for score in scores if score is not None]
    return known if len(known) == len(passages) else []
