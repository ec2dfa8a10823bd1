"""HTML of the queries of a comparison: the list to walk through, and one query side by side.

Takes contrasts and query views, returns HTML strings; escapes by app/html.py. compare.js gives
its buttons life. Knows no component and no session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from app.compare.comparison import VIEW_DEPTH, Comparison
from app.compare.remarks import MARKED, MAX_COMMENT_CHARS, MAX_TAGS_CHARS, Remark
from app.facts import VERDICT_WORDS, shorten
from app.html import escape, highlight
from app.messages import count
from reranker.evaluation.contrast import QueryContrast
from reranker.evaluation.drilldown import PassageRow, QueryView

LISTED = 200
"""Queries in the list at once; a filter finds the others."""
SHOWN_CHARS = 1_500
NAME_CHARS = 80
UNRANKED_CHARS = 300


def render_contrasts(
    rows: Sequence[QueryContrast], first: str, second: str, selected: str, total: int
) -> str:
    """The queries in their order as buttons. total: how many there are without a filter."""
    if not rows:
        return '<p class="note">No query fits. Show all, or other words.</p>'
    shown = "".join(_render_contrast(row, first, second, selected) for row in rows[:LISTED])
    cut = f", the first {LISTED} are listed" if len(rows) > LISTED else ""
    return (
        f'<p class="note">{len(rows)} of {total} queries{cut}. J and K, or the arrow keys, walk '
        f'through them, M marks.</p><ol class="cmp-list">{shown}</ol>'
    )


def render_query_view(comparison: Comparison, query_id: str) -> str:
    """A query under the shown runs, each a column, and the form for a remark on it.

    Raises InputError for a query that is not compared.
    """
    view, row = comparison.view(query_id), comparison.find_row(query_id)
    baseline = comparison.first if comparison.first in view.runs else view.runs[0]
    names = name_passages(view)
    columns = "".join(
        f'<div class="cmp-column"><h4>{escape(name)}</h4><p class="note">'
        f"{escape(comparison.measure)} <b>{row.values[name]:.4f}</b></p>"
        f"{_render_column(view, name, baseline, names)}</div>"
        for name in view.runs
    )
    return (
        f'<section class="cmp-query" data-query="{escape(view.query_id)}" tabindex="-1" '
        f'aria-label="One query side by side"><div class="cmp-move">'
        f"{_render_move('Previous', view.previous, 'K')}{_render_move('Next', view.next, 'J')}"
        f'</div><h3 dir="auto">{escape(view.text or view.query_id)} '
        f'<span class="doc-id">{escape(view.query_id)}</span></h3>'
        f"{render_effect(comparison, query_id)}"
        f"{render_remark_form(query_id, comparison.remarks.get(query_id, Remark()))}"
        f'<div class="cmp-columns" role="region" aria-label="Runs side by side" tabindex="0">'
        f"{columns}</div>{render_unranked(view)}</section>"
    )


def render_effect(comparison: Comparison, query_id: str) -> str:
    """Whether the second run helped this query, and what it cost."""
    found = comparison.find_effect(query_id)
    words = {"helped": "Yes", "hurt": "No, it hurt", "same": "It changed nothing"}
    cost = "" if found.seconds is None else f" It took {found.seconds:.2f} s more."
    told = (
        f"{words[found.effect]}: {comparison.measure} {found.before:.4f} by {comparison.first}, "
        f"{found.after:.4f} by {comparison.second} ({found.delta:+.4f}).{cost}"
    )
    asked = f"Did {comparison.second} help here?"
    return f'<p class="cmp-effect"><b>{escape(asked)}</b> {escape(told)}</p>'


def render_remark_form(query_id: str, remark: Remark) -> str:
    """Mark, tags and comment of one query; compare.js sends what changes."""
    checked = " checked" if remark.marked else ""
    return (
        f'<form class="cmp-remark" data-query="{escape(query_id)}">'
        f'<label class="cmp-mark"><input type="checkbox" name="marked"{checked}> Mark '
        "<kbd>M</kbd></label>"
        f'<label>Tags <input type="text" name="tags" maxlength="{MAX_TAGS_CHARS}" '
        f'placeholder="between commas" value="{escape(", ".join(remark.tags))}"></label>'
        f'<label class="cmp-comment">Comment <textarea name="comment" rows="1" '
        f'maxlength="{MAX_COMMENT_CHARS}">{escape(remark.comment)}</textarea></label></form>'
    )


def render_unranked(view: QueryView) -> str:
    """Which relevant passages no run has; "" where every one is in some run."""
    if not view.unranked:
        return ""
    known = name_passages(view)
    names = ", ".join(known[row.doc_id] for row in view.rows if not row.ranks)
    counted = count(view.unranked, "relevant passage")
    verb = "is" if view.unranked == 1 else "are"
    return (
        f'<p class="note">{counted} {verb} in none of these runs: '
        f"{escape(shorten(names, UNRANKED_CHARS))}</p>"
    )


def _render_contrast(row: QueryContrast, first: str, second: str, selected: str) -> str:
    current = ' aria-current="true"' if row.query_id == selected else ""
    sign = "gain" if row.delta > 0 else "loss" if row.delta < 0 else "even"
    arrow = {"gain": "▲", "loss": "▼", "even": "="}[sign]
    flag = _render_flag(row.tags)
    facts = f"{row.values[first]:.2f} → {row.values[second]:.2f}, agreement {row.rbo:.2f}"
    return (
        f'<li><button type="button" data-query="{escape(row.query_id)}"{current}>'
        f'<span class="cmp-text" dir="auto">{flag}'
        f"{escape(shorten(row.text or row.query_id, 120))}</span>"
        f'<span class="cmp-delta {sign}">{arrow} {row.delta:+.4f}</span>'
        f'<span class="cmp-facts">{escape(row.query_id)} · {facts}, '
        f"judged {row.judged:.0%}</span></button></li>"
    )


def _render_flag(labels: Sequence[str]) -> str:
    """What a person put to the query, as one sign with words."""
    if not labels:
        return ""
    sign = "★" if MARKED in labels else "✎"
    return f'<span class="cmp-flag" title="{escape(", ".join(labels))}">{sign}</span> '


def _render_move(word: str, query_id: str, key: str) -> str:
    off = "" if query_id else " disabled"
    return (
        f'<button type="button" data-query="{escape(query_id)}" data-move="{word.lower()}"{off}>'
        f"{word} <kbd>{key}</kbd></button>"
    )


def _render_column(view: QueryView, name: str, baseline: str, names: Mapping[str, str]) -> str:
    ranked = sorted((row for row in view.rows if name in row.ranks), key=lambda r: r.ranks[name])
    shown = [row for row in ranked if row.ranks[name] <= VIEW_DEPTH]
    items = "".join(_render_item(row, name, baseline, names[row.doc_id]) for row in shown)
    return f"<ol>{items}</ol>" if items else '<p class="note">This run lacks the query.</p>'


def _render_item(row: PassageRow, name: str, baseline: str, title: str) -> str:
    rank = row.ranks[name]
    move = "" if name == baseline else _render_move_from(rank, row.ranks.get(baseline))
    head = (
        f'<span class="rank">{rank}</span>{render_grade(row.grade)}'
        f'<span class="name" dir="auto" title="{escape(row.doc_id)}">{escape(title)}</span>'
        f"{move}"
    )
    text = _render_text(row, name)
    if not text:
        return f'<li data-doc="{escape(row.doc_id)}"><div class="cmp-item">{head}</div></li>'
    return (
        f'<li data-doc="{escape(row.doc_id)}"><details><summary class="cmp-item">{head}</summary>'
        f"{text}</details></li>"
    )


def render_grade(grade: int | None) -> str:
    """A passage's grade as a chip: filled where relevant, a dash where nobody judged it."""
    if grade is None:
        return '<span class="grade none" title="not judged">–</span>'
    kind = "relevant" if grade > 0 else "not"
    return f'<span class="grade {kind}" title="grade {grade}">{grade}</span>'


def _render_move_from(rank: int, before: int | None) -> str:
    if before is None:
        return '<span class="cmp-shift">new</span>'
    if before == rank:
        return '<span class="cmp-shift">=</span>'
    risen = rank < before
    return (
        f'<span class="cmp-shift {"risen" if risen else "fallen"}">{"▲" if risen else "▼"} '
        f"{abs(before - rank)}</span>"
    )


def _render_text(row: PassageRow, name: str) -> str:
    """The passage with what the run quotes of it, and the run's justification, where known."""
    parts = []
    note = row.justifications.get(name)
    if note is not None:
        verdict = f"{VERDICT_WORDS[note.verdict]} · " if note.verdict else ""
        kind = "model" if note.source == "model" else "fallback"
        parts.append(f'<p class="{kind}" dir="auto">{escape(verdict + note.text)}</p>')
    if row.passage is not None:
        shown = highlight(row.passage.text, note.evidence if note else (), SHOWN_CHARS)
        more = "…" if len(row.passage.text) > SHOWN_CHARS else ""
        parts.append(f'<p class="passage" dir="auto">{shown}{more}</p>')
    return "".join(parts)


def name_passages(view: QueryView) -> dict[str, str]:
    """A name for every passage of the view by which it can be told from the others: its title, or
    the beginning of its text where others have that title too; the doc_id where it has no text."""
    titles = Counter(row.passage.title for row in view.rows if row.passage is not None)
    names = {}
    for row in view.rows:
        name = row.doc_id
        if row.passage is not None:
            alone = row.passage.title and titles[row.passage.title] == 1
            name = row.passage.title if alone else row.passage.text
        names[row.doc_id] = shorten(" ".join(name.split()) or row.doc_id, NAME_CHARS)
    return names
