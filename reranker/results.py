"""A ranking as data for scripts: the stable JSON object and TREC lines.

Takes a `RankingTrace`, returns plain dicts. The field names are a contract (docs/cli.md);
they may be added to, never renamed.
"""

from __future__ import annotations

from typing import Any

from reranker.types import RankedHit, RankingTrace


def describe_ranking(trace: RankingTrace) -> dict[str, Any]:
    """The object `rank --json` prints: the query, what ranked it, and the hits in final order."""
    return {
        "query_id": trace.query.query_id,
        "query": trace.query.text,
        "corpus": trace.corpus_id,
        "student": trace.student.name,
        "quantization": trace.student.quantization,
        "final": trace.final_source,
        "stage2_changes": trace.stage2_changes,
        "defects": [
            {"kind": d.kind, "detail": d.detail, "window": d.window_index, "doc_id": d.doc_id}
            for d in trace.defects
        ],
        "timings": {t.stage: round(t.seconds, 4) for t in trace.timings},
        "hits": [_describe_hit(hit) for hit in trace.ranked_hits()],
    }


def _describe_hit(hit: RankedHit) -> dict[str, Any]:
    justification = hit.justification
    return {
        "doc_id": hit.passage.doc_id,
        "title": hit.passage.title,
        "text": hit.passage.text,
        "bm25_score": hit.bm25_score,
        "score": hit.score,
        "rank_bm25": hit.rank_bm25,
        "rank_stage1": hit.rank_stage1,
        "rank": hit.rank,
        "truncated": hit.truncated,
        "verdict": justification.verdict if justification else None,
        "justification": justification.text if justification else None,
        "justification_source": justification.source if justification else None,
        "evidence": [
            {"start": e.start, "end": e.end, "text": e.text}
            for e in (justification.evidence if justification else ())
        ],
    }
