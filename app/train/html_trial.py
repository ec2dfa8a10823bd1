"""HTML of one query ranked before and after a training job.

Takes two rankings and their grades, returns HTML; everything is escaped. The columns are those of
app/rank/html_share.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.html import escape
from app.rank.history import Entry
from app.rank.html_share import render_agreement, render_column
from reranker.evaluation.agreement import Agreement
from reranker.types import Passage


def render_try(
    first: Entry,
    second: Entry,
    agreement: Agreement[Passage],
    *,
    heads: tuple[str, str],
    told: str,
    grades: Mapping[str, int],
) -> str:
    """Two columns with the grades of judged passages. told: what the grades say of both."""
    columns = "".join(
        render_column(entry, agreement.ranks, side, head=heads[side], grades=grades)
        for side, entry in enumerate((first, second))
    )
    same = "<p>The order is the same.</p>" if _is_same(agreement) else ""
    return (
        '<section class="sides" aria-label="One query before and after the job">'
        f"<p>{escape(told)}</p>{same}"
        f'<dl class="agreement">{render_agreement(agreement)}</dl>'
        f'<div class="columns">{columns}</div></section>'
    )


def _is_same(agreement: Agreement[Passage]) -> bool:
    return all(before == after for before, after in agreement.ranks.values())
