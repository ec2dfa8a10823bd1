"""HTML of one item on the judging desk: query, passages, justifications, and what is asked of each.

Takes an `ItemView`, returns HTML; escapes by app/html.py. annotate.js gives its buttons life
and marks what was answered, so nothing is chosen here beforehand. In a blind project neither
scores nor systems nor doc_ids are in the page until the item was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.annotate.html_parts import name_place, render_key, render_others, render_reveal
from app.facts import VERDICT_WORDS, shorten
from app.html import escape
from reranker.annotation.answers import REASON_VERDICTS
from reranker.annotation.checking import list_shown
from reranker.annotation.item import Item, Reasoning, draw_place
from reranker.annotation.judgement import Judgement, Kind
from reranker.annotation.project import Project
from reranker.types import Passage

VERDICT_KEYS = {"correct": "C", "unsure": "U", "wrong": "W"}
EVIDENCE_ACTS = (("accepted", "accept", "E"), ("selected", "select in the passage", "V"),
                 ("none", "there is none", "B"))  # fmt: skip

TITLE_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemView:
    """An item as one person may see it. reveal: scores, systems and orders are shown. others:
    everybody's judgements, for adjudication only. owner: may make saved answers the gold ones."""

    project: Project
    item: Item
    person: str
    kind: Kind
    reveal: bool
    owner: bool = False
    others: tuple[Judgement, ...] = ()


def render_item(view: ItemView) -> str:
    """The whole item; passages in an order drawn for this person."""
    item, asked = view.item, set(view.project.questions)
    shown = list_shown(view.project, item)
    places = sorted(
        range(len(item.passages)),
        key=lambda place: draw_place(view.person, item.item_id, item.passages[place].doc_id),
    )
    cards = "".join(
        _render_passage(view, place, name_place(number), shown)
        for number, place in enumerate(places)
    )
    named = {item.passages[place].doc_id: name_place(n) for n, place in enumerate(places)}
    side = (_render_order() if "order" in asked and len(item.passages) > 1 else "") + (
        _render_comment() if "comment" in asked else ""
    )
    reveal = render_reveal(item, named) if view.reveal else ""
    gold = _render_gold(item) if view.owner else ""
    others = render_others(view.project, item, view.others, named) if view.others else ""
    return (
        f'<section class="desk-item" data-item="{escape(item.item_id)}">'
        f'<h3 class="desk-query" dir="auto">{escape(item.query.text)}</h3>{others}'
        f'<div class="desk-split"><ol class="desk-passages">{cards}</ol>'
        f'<aside class="desk-side">{side}{gold}{reveal}</aside></div></section>'
    )


def _render_passage(view: ItemView, place: int, name: str, shown: Sequence[Reasoning]) -> str:
    passage, asked = view.item.passages[place], set(view.project.questions)
    said = [(n, r) for n, r in enumerate(shown) if r.doc_id == passage.doc_id]
    gated = view.project.blind and "grade" in asked
    reasons = "".join(_render_reason(view, n, r, len(said) > 1) for n, r in said)
    note = (
        '<p class="note desk-gate">Grade the passage; then its justification opens.</p>'
        if gated and said
        else ""
    )
    order = (
        f'<button type="button" data-act="order">in your order {render_key("O")}</button>'
        if "order" in asked and len(view.item.passages) > 1
        else ""
    )
    doc_id = f' <span class="doc-id">{escape(passage.doc_id)}</span>' if view.reveal else ""
    title = passage.title or "Passage"
    # What tells it from the others in the order.
    words = passage.title or shorten(passage.text, TITLE_CHARS)
    return (
        f'<li class="desk-passage{" gated" if gated else ""}" data-p="{place}" data-name="{name}" '
        f'data-title="{escape(words)}" tabindex="-1"><div class="desk-head">'
        f'<h4><b class="desk-name">{name}</b> <span dir="auto">{escape(title)}</span>{doc_id}</h4>'
        f"{order}</div>{_render_text(passage)}"
        f"{_render_grades(view.project) if 'grade' in asked else ''}{note}{reasons}</li>"
    )


def _render_text(passage: Passage) -> str:
    """Offsets of selections count into this element, so it holds the text and nothing else."""
    return f'<p class="passage" data-text dir="auto">{escape(passage.text)}</p>'


def _render_grades(project: Project) -> str:
    buttons = "".join(
        f'<button type="button" data-act="grade" data-value="{grade.value}" aria-pressed="false">'
        f"{render_key(str(grade.value))} {escape(grade.label)}</button>"
        for grade in project.scale
    )
    return f'<div class="desk-row" role="group" aria-label="Relevance">{buttons}</div>'


def _render_reason(view: ItemView, number: int, shown: Reasoning, several: bool) -> str:
    asked = set(view.project.questions)
    name = f" of {escape(shown.system)}" if view.reveal else ""
    apart = f" {number + 1}" if several and not view.reveal else ""
    steps = "steps" in asked and len(shown.steps) > 1
    parts = _render_part(view, number, 0, "The whole") if "verdict" in asked else ""
    text = escape(shown.text)
    if steps:
        text = " ".join(
            f'<span class="desk-step" data-step="{n}">{escape(shown.text[start:end])}</span>'
            for n, (start, end) in enumerate(shown.steps, start=1)
        )
        parts += "".join(
            _render_part(view, number, n, f"Step {n}") for n in range(1, len(shown.steps) + 1)
        )
    verdict = f'<span class="verdict {shown.verdict}">{VERDICT_WORDS[shown.verdict]}</span>' if (
        shown.verdict
    ) else ""  # fmt: skip
    evidence = _render_evidence(shown) if "evidence" in asked else ""
    return (
        f'<div class="desk-reason" data-r="{number}" data-steps="{len(shown.steps)}">'
        f'<p class="desk-label">Justification{apart}{name}</p>'
        f'<p class="model" dir="auto">{verdict}{text}</p>{parts}{evidence}'
        f'<label class="desk-correction">Better wording {render_key("L")}'
        '<textarea data-field="correction" rows="1" maxlength="5000" dir="auto"></textarea>'
        "</label></div>"
    )


def _render_part(view: ItemView, number: int, part: int, name: str) -> str:
    verdicts = "".join(
        f'<button type="button" data-act="verdict" data-value="{verdict}" aria-pressed="false">'
        f"{render_key(VERDICT_KEYS[verdict])} {verdict}</button>"
        for verdict in REASON_VERDICTS
    )
    reasons = "".join(
        f'<button type="button" data-act="reason" data-value="{escape(reason.name)}" '
        f'aria-pressed="false">{render_key(f"⇧{place}")} {escape(reason.label)}</button>'
        for place, reason in enumerate(view.project.reasons, start=1)
    )
    return (
        f'<div class="desk-part" data-r="{number}" data-part="{part}">'
        f'<div class="desk-row" role="group" aria-label="{name}"><span>{name}</span>{verdicts}'
        "</div>"
        f'<div class="desk-row desk-why" role="group" aria-label="Why">{reasons}</div></div>'
    )


def _render_evidence(shown: Reasoning) -> str:
    quotes = "".join(
        f'<q data-start="{e.start}" data-end="{e.end}" dir="auto">{escape(e.text)}</q>'
        for e in shown.evidence
    )
    given = f'<span class="desk-quotes">{quotes}</span>' if quotes else "none was quoted"
    buttons = "".join(
        f'<button type="button" data-act="evidence" data-value="{value}" aria-pressed="false">'
        f"{render_key(key)} {word}</button>"
        for value, word, key in EVIDENCE_ACTS
        if value != "accepted" or shown.evidence
    )
    return (
        f'<div class="desk-row" role="group" aria-label="Evidence"><span>Evidence: {given}</span>'
        f'{buttons}<span class="desk-chosen" data-chosen></span></div>'
    )


def _render_order() -> str:
    return (
        f'<div class="desk-order"><h4>Your order {render_key("O")}</h4>'
        '<p class="note">Best first; leave out what you cannot place. Drag, or ⇧↑ and ⇧↓; '
        "T ties with the one above.</p><ol data-order></ol></div>"
    )


def _render_comment() -> str:
    return (
        f'<label class="desk-comment">Comment {render_key("/")}<textarea data-field="comment" '
        'rows="3" maxlength="10000" dir="auto"></textarea></label>'
    )


def _render_gold(item: Item) -> str:
    """The gold answers themselves stay out: an owner may be judging the item blind."""
    return (
        f'<div class="desk-gold"><button type="button" data-act="gold" '
        f'aria-pressed="{"true" if item.gold is not None else "false"}">Gold item '
        f'{render_key("⇧G")}</button><p class="note">What you saved becomes the known answer that '
        "others are measured against.</p></div>"
    )
