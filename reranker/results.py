"""A ranking as data for scripts and as text for a terminal.

Takes a `RankingTrace`, returns plain dicts or lines. The field names of the dicts are a contract
(docs/cli.md, docs/api.md); they may be added to, never renamed.
"""

from __future__ import annotations

import textwrap
from typing import Any

from reranker.types import Justification, RankedHit, RankingTrace

WIDTH = 96


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


def describe_scores(trace: RankingTrace) -> dict[str, Any]:
    """The object the endpoint `score` returns (docs/api.md): stage 1's logits in input order."""
    ranks = {doc_id: rank for rank, doc_id in enumerate(trace.stage1_order, start=1)}
    return {
        "query": trace.query.text,
        "student": trace.student.name,
        "quantization": trace.student.quantization,
        "timings": {t.stage: round(t.seconds, 4) for t in trace.timings if t.stage == "stage1"},
        "scores": [
            {
                "doc_id": score.doc_id,
                "score": score.score,
                "rank": ranks[score.doc_id],
                "truncated": score.truncated,
                "passage_tokens": score.passage_tokens,
                "nearness": score.nearness[0] if score.nearness else None,
                "feedback_score": score.feedback.score if score.feedback else None,
                "feedback_nearness": score.feedback.nearness if score.feedback else None,
            }
            for score in trace.stage1
        ],
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


def format_ranking(trace: RankingTrace) -> str:
    """A ranking as text: one block a passage, with its history, verdict, reason and quote."""
    seconds = ", ".join(f"{t.stage} {t.seconds:.2f} s" for t in trace.timings)
    changed = f"stage 2 changed {trace.stage2_changes} of {len(trace.hits)} places"
    lines = [
        _flatten(trace.query.text),
        f"{trace.student.name}, {trace.student.quantization}; {seconds}; "
        f"{changed if trace.readings else 'stage 2 did not run'}",
        "",
    ]
    if not trace.hits:
        lines.append("No passage holds any word of the query.")
    for hit in trace.ranked_hits():
        score = "" if hit.score is None else f"  logit {hit.score:.2f}"
        history = " > ".join(str(r) for r in (hit.rank_bm25, hit.rank_stage1, hit.rank) if r)
        title = textwrap.shorten(_flatten(hit.passage.title or hit.passage.text), 60)
        lines.append(
            f"{hit.rank:>3}. {title} ({_flatten(hit.passage.doc_id)})  ranks {history}{score}"
        )
        if hit.justification:
            lines.extend(_format_justification(hit.justification))
    lines.extend(f"defect: {d.kind} {_flatten(f'{d.doc_id} {d.detail}')}" for d in trace.defects)
    return "\n".join(lines)


def _format_justification(justification: Justification) -> list[str]:
    verdict = (justification.verdict or "no verdict").replace("_", " ")
    source = "" if justification.source == "model" else "[not the student's words] "
    lines = _indent(f"{source}{verdict}: {_flatten(justification.text)}", "     ")
    for evidence in justification.evidence:
        lines += _indent(f"“{textwrap.shorten(_flatten(evidence.text), 2 * WIDTH)}”", "   | ")
    return lines


def _flatten(text: str) -> str:
    """Text in one line that cannot command the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _indent(text: str, margin: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin)
