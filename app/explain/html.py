"""HTML of the Explain tab: which words carried a score, and what a change changed.

Takes results of analyses, returns HTML strings; escapes by app/html.py. What the trust analyses
found is html_trust.py's. Colour has ten steps by class; every number also stands in a title or a
table.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.facts import VERDICT_WORDS, describe_final
from app.html import escape
from app.messages import count
from reranker.explain.attribution import Attribution
from reranker.explain.cost import Cost
from reranker.explain.counterfactual import Change, Counterfactual, Standing, TextDiff
from reranker.explain.edits import DiffPiece
from reranker.explain.flip import Flip
from reranker.explain.shares import METHOD_WORDS, MethodShares
from reranker.types import RankingTrace

LEVELS = 9
SHOWN_CHANGES = 20


def render_explain_intro() -> str:
    """What this tab is for, before there is a ranking."""
    return (
        '<div class="intro"><p>Rank something on the <b>Rank</b> tab, show a saved trace there, or '
        "rank a query below. Then ask of that ranking: which words carried a score, what if a "
        "sentence were gone, would another order of reading have given the same, do the quotes "
        "carry the verdicts, and could a passage talk its way up.</p></div>"
    )


def render_subject(trace: RankingTrace) -> str:
    """The ranking that is questioned, in a line."""
    student = f"{trace.student.name}, {trace.student.quantization}"
    stage2 = (
        f"read by stage 2, final order: {describe_final(trace)}"
        if trace.readings
        else "stage 2 did not run"
    )
    return (
        f'<p class="note">“<span dir="auto">{escape(trace.query.text)}</span>” · '
        f"{count(len(trace.hits), 'passage')} · {escape(student)} · {stage2}</p>"
    )


def render_cost(cost: Cost) -> str:
    """What an analysis will take, before it starts."""
    parts = []
    if cost.scorings:
        parts.append(f"{count(cost.scorings, 'text')} scored by stage 1")
    if cost.readings:
        parts.append(f"{count(cost.readings, 'reading')} of the list by stage 2")
    what = " and ".join(parts) or "nothing to compute"
    return (
        f'<p class="note cost">About {describe_seconds(cost.seconds)} at the pace of this ranking: '
        f"{what}.</p>"
    )


def render_heading(text: str) -> str:
    """A heading above a figure."""
    return f"<h4>{escape(text)}</h4>"


def describe_seconds(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def open_table(label: str, *, narrow: bool = False) -> str:
    """A table that scrolls by itself and never widens the page. narrow: a few short columns."""
    width = " exp-narrow" if narrow else ""
    return (
        f'<div class="cmp-scroll{width}" role="region" tabindex="0" '
        f'aria-label="{escape(label)}"><table>'
    )


def render_attribution(found: Attribution) -> str:
    """Every method's text with its words lit, then sums, agreement, sentences and query words."""
    texts = "".join(_render_method(found, shares) for shares in found.methods)
    return (
        f'<section class="exp-words" aria-label="Which words"><p>Stage 1 gave this passage a logit '
        f"of <b>{found.score:.2f}</b>.</p>{texts}{_render_sums(found)}"
        f"{_render_agreements(found)}{_render_query(found)}</section>"
    )


def _render_method(found: Attribution, shares: MethodShares) -> str:
    strongest = max((abs(share) for share in shares.shares), default=0.0)
    parts, place = [], 0
    for (start, end), share in zip(shares.spans, shares.shares, strict=True):
        if start < place:  # tokens of one span, as some tokenizers make them
            continue
        text = escape(found.text[start:end])
        parts.append(escape(found.text[place:start]))
        parts.append(f'<span class="{_level(share, strongest)}" title="{share:+.2f}">{text}</span>')
        place = end
    parts.append(escape(found.text[place:]))
    opened = " open" if shares.method in ("match", "occlusion") else ""
    return (
        f'<details data-key="words {shares.method}"{opened}><summary>'
        f"{METHOD_WORDS[shares.method].capitalize()}</summary>"
        f'<p class="passage lit" dir="auto">{"".join(parts)}</p></details>'
    )


def _level(share: float, strongest: float) -> str:
    """A class for how strong: p1 to p9 raised the score, n1 to n9 lowered it."""
    step = round(LEVELS * abs(share) / strongest) if strongest else 0
    return f"{'p' if share > 0 else 'n'}{step}" if step else "zero"


def _render_sums(found: Attribution) -> str:
    rows = "".join(
        f'<tr><th scope="row">{METHOD_WORDS[m.method]}</th>'
        f'<td class="number">{m.explained:.3f}</td><td class="number">{m.wanted:.3f}</td>'
        f'<td class="number">{m.gap:+.3f}</td>'
        f"<td>{'sums up' if m.additive else 'one at a time: need not sum up'}</td>"
        f"<td>{escape(m.against)}</td></tr>"
        for m in found.methods
    )
    return (
        f"<h4>Do the parts add up to the score?</h4>{open_table('Completeness')}<thead><tr>"
        '<th scope="col">method</th><th scope="col" class="number">sum of shares</th>'
        '<th scope="col" class="number">to explain</th><th scope="col" class="number">gap</th>'
        '<th scope="col">promise</th><th scope="col">measured against</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _render_agreements(found: Attribution) -> str:
    rows = "".join(
        f'<tr><th scope="row">{METHOD_WORDS[a.first]} · {METHOD_WORDS[a.second]}</th>'
        f'<td>{a.parts}</td><td class="number">{"–" if a.rho is None else f"{a.rho:+.2f}"}</td>'
        f'<td class="number">{a.shared} of {a.of}</td></tr>'
        for a in found.agreements
    )
    return (
        f"<details data-key='agreement'><summary>Do the methods agree?</summary>"
        f"{open_table('Agreement of methods')}<thead><tr>"
        '<th scope="col">methods</th><th scope="col">over</th><th scope="col" class="number">'
        "Spearman ρ</th>"
        '<th scope="col" class="number">strongest in common</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _render_query(found: Attribution) -> str:
    rows = "".join(
        f'<tr><th scope="row" dir="auto">{escape(w.text)}</th>'
        f'<td class="number">{"–" if w.share is None else f"{w.share:+.2f}"}</td>'
        f'<td class="number">{w.effect:+.2f}</td></tr>'
        for w in found.query_words
    )
    return (
        f"<h4>Words of the query</h4>{open_table('Words of the query', narrow=True)}<thead><tr>"
        '<th scope="col">word</th><th scope="col" class="number">its part of the score</th>'
        '<th scope="col" class="number">lost without it</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def render_diff(pieces: Sequence[DiffPiece]) -> str:
    """Text with what went struck out and what came underlined; tags that readers announce."""
    tags = {"removed": "del", "added": "ins"}
    shown = "".join(
        f"<{tags[p.kind]}>{escape(p.text)}</{tags[p.kind]}>" if p.kind in tags else escape(p.text)
        for p in pieces
    )
    return f'<p class="passage diff" dir="auto">{shown}</p>'


def render_counterfactual(found: Counterfactual) -> str:
    """What was changed, then every passage that moved or reads otherwise."""
    moved = [c for c in found.changes if c.edited or _is_changed(c)]
    remade = (
        '<p class="note">The ranking before was made again: its trace is of other weights or did '
        "not finish.</p>"
        if found.remade
        else ""
    )
    diffs = "".join(map(_render_text_diff, found.diffs))
    rows = "".join(map(_render_change, moved[:SHOWN_CHANGES]))
    rest = len(found.changes) - len(moved)
    table = (
        f"{open_table('What changed')}<thead><tr><th scope='col'>passage</th>"
        '<th scope="col" class="number">final rank</th><th scope="col" class="number">stage 1</th>'
        '<th scope="col" class="number">logit</th><th scope="col">verdict and reason</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
        if moved
        else ""
    )
    left = f"{count(rest, 'passage')} stayed as they were." if rest else "Every passage changed."
    return (
        f'<section class="exp-change" aria-label="What changed">{remade}{diffs}{table}'
        f'<p class="note">{left}</p></section>'
    )


def _is_changed(change: Change) -> bool:
    old, new = change.before, change.after
    return old is None or (old.rank, old.verdict, old.reason) != (new.rank, new.verdict, new.reason)


def _render_text_diff(diff: TextDiff) -> str:
    name = f"{diff.doc_id}: {diff.label}".strip(": ") if diff.doc_id else diff.label
    return f"<h4>{escape(name)}</h4>{render_diff(diff.pieces)}"


def _render_change(change: Change) -> str:
    old, new = change.before, change.after
    mark = ' <span class="note">edited</span>' if change.edited else ""
    sign = f" {'▲' if change.rise > 0 else '▼'} {abs(change.rise)}" if change.rise else ""
    css = "risen" if change.rise > 0 else "fallen" if change.rise else ""
    return (
        f'<tr><th scope="row">{escape(change.doc_id)}{mark}</th>'
        f'<td class="number"><span class="cmp-shift {css}">'
        f"{_pair(old.rank if old else None, new.rank)}{sign}</span></td>"
        f'<td class="number">{_pair(old.rank_stage1 if old else None, new.rank_stage1)}</td>'
        f'<td class="number">{_pair(old.score if old else None, new.score)}</td>'
        f"<td>{_render_reasons(old, new)}</td></tr>"
    )


def _pair(old: float | None, new: float | None) -> str:
    shown = [
        "–" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
        for value in (old, new)
    ]
    return shown[1] if shown[0] == shown[1] else f"{shown[0]} → {shown[1]}"


def _render_reasons(old: Standing | None, new: Standing) -> str:
    def show(stand: Standing) -> str:
        verdict = VERDICT_WORDS[stand.verdict] if stand.verdict else "no verdict"
        return f'{escape(verdict)}: <span class="model-words">{escape(stand.reason)}</span>'

    if old is None or (old.verdict, old.reason) == (new.verdict, new.reason):
        return show(new) if new.reason else "–"
    return f"<del>{show(old)}</del><br><ins>{show(new)}</ins>"


def render_flip(found: Flip) -> str:
    """The fewest words found, or that none were."""
    spent = f"{count(found.scorings, 'text')} scored, {count(found.readings, 'reading')}"
    order = "stage 1's order" if found.stage == "stage1" else "the final order"
    if not found.found:
        return (
            f'<p class="message stopped">Nothing within the budget ({spent}) puts '
            f"{escape(found.second)} above {escape(found.first)} in {order}.</p>"
        )
    sure = "Fewer cannot do it: every one was tried." if found.certain else (
        "The fewest found; fewer may do, the search is greedy beyond one word."
    )  # fmt: skip
    words = ", ".join(f"“{escape(word)}”" for word in found.words)
    return (
        f'<section class="exp-change" aria-label="Smallest change"><p>Without '
        f"<b>{count(len(found.words), 'word')}</b> ({words}), {escape(found.first)} falls behind "
        f"{escape(found.second)} in {order}. {sure}</p>{render_diff(found.pieces)}"
        f'<p class="note">{spent}.</p></section>'
    )
