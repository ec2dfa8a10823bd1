"""HTML around an item on the judging desk: progress, keys, guidelines, what others said.

Takes records, returns HTML; escapes by app/html.py. Guidelines are Markdown of which neither HTML
nor pictures come through, so that opening them loads nothing and runs nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from markdown_it import MarkdownIt

from app.html import escape
from reranker.annotation.answers import ReasonAnswer
from reranker.annotation.checking import list_shown
from reranker.annotation.item import Item
from reranker.annotation.judgement import Judgement, PersonProgress
from reranker.annotation.project import Project, dump_project

KEYS = (
    ("J or ↓, K or ↑", "next and previous passage"),
    (". and ,", "next and previous part of a justification: the whole, then its steps"),
    ("0 to 9", "grade the passage"),
    ("C, U, W", "the part is correct, unsure, wrong"),
    ("⇧1 to ⇧9", "why, in the order of the list"),
    ("E, V, B", "evidence: accept it, select it in the passage, there is none"),
    ("← → in the passage", "move by a word, with ⇧ stretch; Enter takes it, Esc leaves"),
    ("O", "put the passage last in your order, or take it out"),
    ("⇧↑ and ⇧↓", "move it in your order; T ties it with the one above"),
    ("L", "write a better justification"),
    ("/", "comment; Esc leaves any text"),
    ("N", "next undecided: in this item, then the next item"),
    ("Enter", "save and go to the next item; ⇧Enter saves and stays"),
    ("Z", "undo"),
    ("S, F", "skip the item, flag it"),
    ("] and [", "following and previous item; G: to what you skipped"),
    ("⇧G", "owners: what you saved becomes the known answer (gold), or no more"),
    ("H, ?", "guidelines, these keys"),
)  # fmt: skip
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image").enable("table")


def name_place(place: int) -> str:
    """A, B, … Z, AA: a passage's name on the desk, which is no rank."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def render_key(key: str) -> str:
    return f"<kbd>{escape(key)}</kbd>"


def render_keys() -> str:
    """Every key and what it does."""
    rows = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(act)}</dd>" for key, act in KEYS)
    return f'<dl class="desk-keys">{rows}</dl>'


def render_guidelines(project: Project) -> str:
    """The project's guidelines; plain words where none were written."""
    if not project.guidelines.strip():
        return '<p class="note">No guidelines were written for this project.</p>'
    html: str = _MARKDOWN.render(project.guidelines)
    return f'<div class="desk-prose" dir="auto">{html}</div>'


def render_desk(project: Project, person: str, mode: str, items: int = 0, item_id: str = "") -> str:
    """The desk before its first item: annotate.js fetches that, and again when this is another
    text: settings or items are others, or an item is to be opened (item_id), each time anew."""
    settings = hashlib.sha256(dump_project(project).encode()).hexdigest()[:12]
    wanted = f'data-open="{escape(item_id)}" data-visit="{secrets.token_hex(4)}" '
    return (
        f'<div class="desk" data-project="{escape(project.project_id)}" data-mode="{mode}" '
        f'data-items="{items}" data-settings="{settings}" {wanted if item_id else ""}'
        f'data-person="{escape(person)}" tabindex="-1">'
        '<div class="desk-top"><div class="desk-progress" data-progress></div>'
        '<button type="button" data-act="guidelines" aria-expanded="false">Guidelines '
        f'{render_key("H")}</button><button type="button" data-act="keys" aria-expanded="false">'
        f"Keys {render_key('?')}</button></div>"
        f'<section class="desk-drawer" data-drawer="guidelines" aria-label="Guidelines" hidden>'
        f"{render_guidelines(project)}</section>"
        f'<section class="desk-drawer" data-drawer="keys" aria-label="Keys" hidden>{render_keys()}'
        '</section><p class="message" data-notice role="status" hidden></p><div data-place></div>'
        '<div class="desk-bar"><button type="button" data-act="save" class="primary">Save, next '
        f"{render_key('Enter')}</button>"
        f'<button type="button" data-act="undo">Undo {render_key("Z")}</button>'
        f'<button type="button" data-act="skip">Skip {render_key("S")}</button>'
        '<button type="button" data-act="flag" aria-pressed="false">'
        f"Flag {render_key('F')}</button>"
        f'<button type="button" data-act="undecided">Undecided {render_key("N")}</button>'
        f'<button type="button" data-act="previous">Previous {render_key("[")}</button>'
        f'<button type="button" data-act="following">Following {render_key("]")}</button>'
        '<span class="desk-state" data-state role="status"></span></div></div>'
    )


def render_progress(progress: PersonProgress) -> str:
    """How many are done and left, how fast, and how long that will take."""
    total = progress.done + progress.left
    words = [f"<b>{progress.done:,}</b> of {total:,} judged"]
    if progress.skipped:
        words.append(f"{progress.skipped:,} skipped")
    if progress.pace_seconds is not None:
        words.append(f"{describe_seconds(progress.pace_seconds)} an item")
    if progress.remaining_seconds:
        words.append(f"about {describe_seconds(progress.remaining_seconds)} left")
    return (
        f'<progress max="{max(total, 1)}" value="{progress.done}" aria-label="Judged"></progress>'
        f"<span>{' · '.join(words)}</span>"
    )


def describe_seconds(seconds: float) -> str:
    """45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def render_reveal(item: Item, named: Mapping[str, str]) -> str:
    """What was hidden while the item was judged: each system's order, with its scores."""
    rows = []
    for order in item.orders:
        scores = order.scores or [None] * len(order.doc_ids)
        places = " ".join(
            f"<li><b>{named[doc_id]}</b>{'' if score is None else f' <i>{score:.2f}</i>'}</li>"
            for doc_id, score in zip(order.doc_ids, scores, strict=True)
            if doc_id in named
        )
        rows.append(f"<dt>{escape(order.system)}</dt><dd><ol>{places}</ol></dd>")
    if not rows:
        return ""
    return (
        f'<div class="desk-reveal"><h4>What the systems ranked</h4><dl>{"".join(rows)}</dl></div>'
    )


def render_others(
    project: Project, item: Item, others: Sequence[Judgement], named: Mapping[str, str]
) -> str:
    """Everybody's answers side by side, for the adjudicator. Rows people differ in are marked."""
    people = [judgement.person for judgement in others]
    rows: list[tuple[str, list[str]]] = []
    for passage in sorted(item.passages, key=lambda p: (len(named[p.doc_id]), named[p.doc_id])):
        given = [j.answers.grades.get(passage.doc_id) for j in others]
        rows.append(
            (f"{named[passage.doc_id]} grade", ["–" if g is None else str(g) for g in given])
        )
        for shown in list_shown(project, item):
            if shown.doc_id == passage.doc_id:
                answers = [j.answers.find_reason(shown.doc_id, shown.system) for j in others]
                said = [_describe_reason(a) for a in answers]
                rows.append((f"{named[passage.doc_id]} justification", said))
    rows.append(("order", [_describe_order(j, named) for j in others]))
    rows.append(("comment", [j.answers.comment or "–" for j in others]))
    head = "".join(f'<th scope="col" dir="auto">{escape(person)}</th>' for person in people)
    body = "".join(
        f'<tr class="{"differs" if len(set(cells)) > 1 else "agrees"}"><th scope="row">{name}'
        f"{' ≠' if len(set(cells)) > 1 else ''}</th>"
        + "".join(f'<td dir="auto">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    return (
        '<div class="desk-others desk-table" tabindex="0" role="region" '
        'aria-label="What people said">'
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _describe_reason(answer: ReasonAnswer | None) -> str:
    if answer is None:
        return "–"
    words = [answer.whole.verdict or "–", *answer.whole.reasons]
    words += [f"step {n} {s.verdict}" for n, s in enumerate(answer.steps, start=1) if s.verdict]
    if answer.evidence:
        spans = ", ".join(f"{span.start}–{span.end}" for span in answer.spans)
        words.append(f"evidence {answer.evidence} {spans}".strip())
    return "; ".join(words)


def _describe_order(judgement: Judgement, named: Mapping[str, str]) -> str:
    tiers = (" = ".join(named[doc_id] for doc_id in tier) for tier in judgement.answers.order)
    return " > ".join(tiers) or "–"
