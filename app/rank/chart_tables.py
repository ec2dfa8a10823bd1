"""What each chart shows as rows of values: for spreadsheets, and for readers who cannot see it.

Takes a trace, returns `Table`s. Values are the trace's own, never rounded; knows no HTML and
no figure. Column names are those of
app/rank/exports.py; `name` is what the charts call a passage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.facts import has_terms, name_apart
from reranker.types import RankedHit, RankingTrace

Value = str | int | float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Column names and rows of equal length. The second column is the passage's doc_id."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def tabulate_flow(trace: RankingTrace) -> Table:
    """Each passage's rank after every stage; `moved` counts places gained since the first."""
    columns = ("rank", "doc_id", "name", "rank_bm25", "rank_stage1", "moved")
    return _tabulate(
        trace,
        columns,
        lambda hit: (
            hit.rank_bm25,
            hit.rank_stage1,
            hit.rank_bm25 - hit.rank,
        ),
    )


def tabulate_scores(trace: RankingTrace) -> Table:
    """BM25's score and stage 1's logit of each passage in the present order."""
    columns = ("rank", "doc_id", "name", "bm25_score", "score")
    return _tabulate(trace, columns, lambda hit: (hit.bm25_score, hit.score))


def tabulate_distribution(trace: RankingTrace) -> Table:
    """The logits with the verdicts they are grouped by."""
    columns = ("rank", "doc_id", "name", "score", "rank_stage1", "verdict")
    return _tabulate(
        trace,
        columns,
        lambda hit: (
            hit.score,
            hit.rank_stage1,
            hit.justification.verdict if hit.justification else None,
        ),
    )


def tabulate_terms(trace: RankingTrace) -> Table:
    """What every query word adds to every passage: a column `term:word` for each, 0 = absent."""
    weights = {
        hit.passage.doc_id: tuple(term.weight for term in hit.terms) if has_terms(trace) else ()
        for hit in trace.hits
    }
    terms = trace.hits[0].terms if has_terms(trace) else ()
    columns = ("rank", "doc_id", "name", "bm25_score", *(f"term:{term.term}" for term in terms))
    return _tabulate(trace, columns, lambda hit: (hit.bm25_score, *weights[hit.passage.doc_id]))


def _tabulate(
    trace: RankingTrace,
    columns: tuple[str, ...],
    read: Callable[[RankedHit], tuple[Value, ...]],
) -> Table:
    names = name_apart(trace)
    rows = tuple(
        (hit.rank, hit.passage.doc_id, names[hit.passage.doc_id], *read(hit))
        for hit in trace.ranked_hits()
    )
    return Table(columns=columns, rows=rows)
