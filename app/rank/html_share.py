"""HTML of what is shared and kept: the link of a ranking, and two rankings side by side.

Takes links, traces and their agreement, returns HTML strings; escapes by app/html.py. Knows no
component and no session; app/share.js makes the link's button work.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.facts import name_apart, shorten
from app.html import escape
from app.rank.history import Entry
from app.rank.origin import list_settings
from reranker.evaluation.agreement import PERSISTENCE, Agreement
from reranker.types import Passage, RankingTrace

SIDE_ROWS = 50
"""Of each ranking, side by side."""

Ranks = tuple[int | None, int | None]


def render_link(link: str, why_not: str = "") -> str:
    """A button that copies the ranking's link, or the reason why it has none."""
    if not link:
        reason = f'<p class="note">{escape(why_not)}.</p>' if why_not else ""
        return f'<div class="link"><button type="button" disabled>Copy link</button>{reason}</div>'
    return (
        f'<div class="link"><button type="button" data-link="{escape(link)}">Copy link</button>'
        '<p class="note" role="status"></p></div>'
    )


def render_side_by_side(first: Entry, second: Entry, agreement: Agreement[Passage]) -> str:
    """Two rankings as two columns, and above them how far they agree and what was set apart."""
    columns = "".join(
        render_column(entry, agreement.ranks, side) for side, entry in enumerate((first, second))
    )
    differences = "".join(
        f"<li>{escape(name)}: <b>{escape(shorten(before, 120))}</b>, then "
        f"<b>{escape(shorten(after, 120))}</b></li>"
        for name, before, after in list_differences(first.trace, second.trace)
    )
    apart = f"<ul>{differences}</ul>" if differences else "<p>The same query and settings.</p>"
    return (
        '<section class="sides" aria-label="Two rankings side by side">'
        f'<dl class="agreement">{render_agreement(agreement)}</dl>'
        f'<div class="apart">{apart}</div><div class="columns">{columns}</div></section>'
    )


def list_differences(first: RankingTrace, second: RankingTrace) -> list[tuple[str, str, str]]:
    """(what, in the first, in the second) of everything two rankings were asked differently."""
    rows = []
    for trace in (first, second):
        student = trace.student
        rows.append(
            {
                "Query": trace.query.text,
                "Corpus": f"{trace.corpus_id} {trace.corpus_sha256[:8]}",
                "Student": f"{student.name} {student.quantization}",
                "Stage-1 adapter": student.stage1_adapter_sha256[:8],
                "Stage-2 adapter": student.stage2_adapter_sha256[:8],
                **dict(list_settings(trace)),
                "Last stage": trace.final_source,
            }
        )
    return [
        (name, rows[0][name] or "none", rows[1][name] or "none")
        for name in rows[0]
        if rows[0][name] != rows[1][name]
    ]


def render_agreement(agreement: Agreement[Passage]) -> str:
    """How far two orders agree, as terms and values."""
    moved = sum(None not in ranks and ranks[0] != ranks[1] for ranks in agreement.ranks.values())
    facts = (
        (f"In both top {agreement.cutoff}", f"{agreement.shared} of {agreement.cutoff}"),
        ("In both at all", f"{agreement.common} of {len(agreement.ranks)}"),
        ("Of these moved", f"{moved} of {agreement.common}"),
        (f"Rank-biased overlap (p {PERSISTENCE})", f"{agreement.rbo:.2f}"),
    )
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)


def render_column(
    entry: Entry,
    ranks: dict[Passage, Ranks],
    side: int,
    *,
    head: str = "",
    grades: Mapping[str, int] | None = None,
) -> str:
    """One of two rankings. head: instead of the query. grades: shown beside what was judged."""
    grades = grades or {}
    names, trace = name_apart(entry.trace), entry.trace
    passages = {hit.passage.doc_id: hit.passage for hit in trace.hits}
    rows = []
    for rank, doc_id in enumerate(trace.final_order[:SIDE_ROWS], start=1):
        other = ranks[passages[doc_id]][1 - side]
        rows.append(
            f'<li><span class="rank">{rank}</span><span class="name" dir="auto" '
            f'title="{escape(doc_id)}">{_render_grade(grades.get(doc_id))}'
            f"{escape(names[doc_id])}</span>"
            f"{_render_other(rank, other, side)}</li>"
        )
    hidden = len(trace.final_order) - len(rows)
    more = f'<p class="note">{hidden} more are not shown.</p>' if hidden > 0 else ""
    return (
        f'<div><h3 dir="auto">{escape(head or f"{entry.number}. {entry.query}")}</h3>'
        f'<p class="note">{escape(entry.origin)}</p><ol class="side">{"".join(rows)}</ol>'
        f"{more}</div>"
    )


def _render_grade(grade: int | None) -> str:
    return "" if grade is None else f'<span class="grade">grade {grade}</span> '


def _render_other(rank: int, other: int | None, side: int) -> str:
    """Where the other ranking has it: to where from the first, from where in the second."""
    if other is None:
        return f'<span class="other alone">{"gone" if side == 0 else "new"}</span>'
    if other == rank:
        return '<span class="other">same</span>'
    risen = (other < rank) if side == 0 else (rank < other)
    return (
        f'<span class="other">{"to" if side == 0 else "from"} {other} '
        f'<b class="{"risen" if risen else "fallen"}">{"▲" if risen else "▼"} '
        f"{abs(other - rank)}</b></span>"
    )
