"""HTML of how far people agree and how far they are: reports and progress in, tables out.

Knows no component and no store; escapes by app/html.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.annotate.html_parts import describe_seconds
from app.html import escape
from app.people import ALONE
from reranker.annotation.agreement import Coefficient
from reranker.annotation.judgement import PersonProgress
from reranker.annotation.project import Role
from reranker.annotation.report import AgreementReport, Share

NUMBERS = ("value", "95 % interval", "units", "right", "share", "judged", "left", "an item")
LISTED = 100
"""Disagreements in the list; the desk walks through all of them."""


def render_projects_note(person: str, role: Role | None, items: int) -> str:
    """Who is here, with which role, over how many items."""
    name = "" if person == ALONE else f"<b>{escape(person)}</b>, "
    if role is None:
        return f'<p class="note">{name}no project of yours yet.</p>'
    alone = " Everybody who reaches this page is the same person: start it with --login to tell "
    alone = f"{alone}people apart." if person == ALONE else ""
    count = "1 item" if items == 1 else f"{items:,} items"
    return f'<p class="note">{name}{role} · {count}.{alone}</p>'


def render_people(progress: Sequence[PersonProgress], roles: Mapping[str, Role]) -> str:
    """One line a person: role, judged, left, pace."""
    rows = "".join(
        f'<tr><th scope="row" dir="auto">{escape(p.person)}</th>'
        f"<td>{roles.get(p.person, 'no role any more')}</td>"
        f'<td class="number">{p.done:,}</td><td class="number">{p.left:,}</td>'
        f'<td class="number">{"" if p.pace_seconds is None else describe_seconds(p.pace_seconds)}'
        "</td></tr>"
        for p in progress
    )
    return _table(("person", "role", "judged", "left", "an item"), rows)


def render_agreement(report: AgreementReport) -> str:
    """Coefficients by question and person, gold accuracy, and what people differ in."""
    intro = (
        f'<p class="note">{report.judged_items:,} items judged, {report.shared_items:,} of them by '
        "two people or more. α is Krippendorff's, ordinal for grades and nominal for the rest; κ "
        "is Cohen's; intervals are 95 % bootstrap intervals over items, from ten items on.</p>"
    )
    if not report.shared_items:
        return f'{intro}<p class="note">Nothing to compare yet.</p>{_render_shares(report)}'
    rows = "".join(
        _row(f"{found.question}", "α, everybody", found.alpha)
        + "".join(
            _row("", f"κ, {' – '.join(pair)}", kappa) for pair, kappa in found.kappas.pairs.items()
        )
        + "".join(
            _row("", f"mean κ of {person} with the others", replace(mean, units=0))
            for person, mean in found.kappas.people.items()
            if mean.units > 1
        )
        for found in report.questions
    )
    rows += _row("spans", "mean F1 of pairs", report.spans)
    rows += _row("order", "mean τ-b of pairs", report.order)
    table = _table(("question", "measure", "value", "95 % interval", "units"), rows)
    return f"{intro}{table}{_render_shares(report)}{_render_disagreements(report)}"


def _row(question: str, measure: str, found: Coefficient) -> str:
    value = "not defined" if found.value is None else f"{found.value:.4f}"
    interval = (
        "" if found.low is None or found.high is None else f"{found.low:.4f} to {found.high:.4f}"
    )
    return (
        f'<tr><th scope="row">{escape(question)}</th><td dir="auto">{escape(measure)}</td>'
        f'<td class="number">{value}</td><td class="number">{interval}</td>'
        f'<td class="number">{f"{found.units:,}" if found.units else ""}</td></tr>'
    )


def _render_shares(report: AgreementReport) -> str:
    rows = _share_rows("gold answers", report.gold)
    rows += _share_rows("confirmed by adjudication", report.adjudicated)
    return _table(("against", "person", "right", "share"), rows) if rows else ""


def _share_rows(name: str, shares: Mapping[str, Share]) -> str:
    return "".join(
        f'<tr><th scope="row">{name}</th><td dir="auto">{escape(person)}</td>'
        f'<td class="number">{share.right} of {share.total}</td>'
        f'<td class="number">{share.value:.0%}</td></tr>'
        for person, share in shares.items()
    )


def _render_disagreements(report: AgreementReport) -> str:
    if not report.disagreements:
        return '<p class="note">People agree in everything they share.</p>'
    rows = "".join(
        f'<tr><th scope="row" dir="auto">{escape(d.query[:160])}</th>'
        f"<td>{', '.join(f'{q} {n}' for q, n in d.questions.items())}</td>"
        f'<td dir="auto">{escape(", ".join(d.people))}</td>'
        f"<td>{'decided' if d.adjudicated else 'open'}</td></tr>"
        for d in report.disagreements[:LISTED]
    )
    waiting = sum(not d.adjudicated for d in report.disagreements)
    return (
        f'<p class="note">{len(report.disagreements):,} items with a disagreement, {waiting:,} not '
        "decided yet. Under Judge, choose Adjudicate to go through them.</p>"
        + _table(("query", "differing answers", "people", "adjudication"), rows)
    )


def _table(heads: Sequence[str], rows: str) -> str:
    shown = "".join(
        f'<th scope="col" class="{"number" if head in NUMBERS else "words"}">{head}</th>'
        for head in heads
    )
    return (
        '<div class="desk-table" tabindex="0" role="region" aria-label="Table"><table><thead><tr>'
        f"{shown}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
