"""nDCG@10 of orders read out of traces, query by query.

Takes traces, qrels and how to read an order, returns values by query_id. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.trec import Qrels, rank_by_position
from reranker.types import RankingTrace

MEASURE = "nDCG@10"


def measure_ndcg(
    traces: Sequence[RankingTrace],
    qrels: Qrels,
    order: Callable[[RankingTrace], Sequence[str]] = lambda trace: trace.final_order,
) -> dict[str, float]:
    """nDCG@10 of each trace's query, by query_id; queries that are not judged are left out."""
    run = {t.query.query_id: rank_by_position(order(t)) for t in traces}
    judged = {query_id: qrels[query_id] for query_id in run if query_id in qrels}
    found = evaluate_run(run, judged, parse_measures(MEASURE)).result(MEASURE)
    return dict(found.values)
