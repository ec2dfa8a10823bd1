"""Charts of one ranking as plain HTML and SVG, for reports that open without a program.

Takes a trace, returns markup; escapes by app/html.py. No script and no style attribute: positions
are percentages in SVG, so that a chart fits any width with its text in full size, and colours are
classes of assets/css/report.css. Plotly draws the page's charts; here it would put 4.8 MB of
script into every report.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.facts import Place, describe_flow, list_places, name_apart, name_first_stage, shorten
from app.html import escape
from reranker.types import RankedHit, RankingTrace

ROW = 26
"""Pixels from one rank to the next; report.css gives the names beside the chart the same."""
MOVED_PLACES = 3
"""A passage that moved at least so far between two stages is drawn bold."""
LIT_ROWS = 100
"""So many names light up their line under the pointer: a rule of style for each."""
MAX_TERMS = 6
"""Columns of the table of BM25's terms; what the others added stands in one more."""
TITLE_CHARS = 90
SHAPES = (
    '<defs><circle id="mark-bm25" r="4.5"/>'
    '<rect id="mark-stage1" x="-4.5" y="-4.5" width="9" height="9"/>'
    '<path id="mark-stage2" d="M0 -6 6 0 0 6 -6 0z"/></defs>'
)


def render_flow(trace: RankingTrace) -> str:
    """Each passage's rank after every stage, joined by lines; the names stand beside."""
    hits = trace.ranked_hits()
    paths = [list_places(hit, trace) for hit in hits]
    if not paths:
        return ""
    names = name_apart(trace)
    columns = [sorted(places[c].rank for places in paths) for c in range(len(paths[0]))]
    lines = "".join(
        _render_path(hit, places, columns, names[hit.passage.doc_id])
        for hit, places in zip(hits, paths, strict=True)
    )
    heads = "".join(f"<span>{escape(place.words)}</span>" for place in paths[0])
    labels = "".join(
        f'<li><a href="#card-{hit.rank}"><b>{hit.rank}</b> '
        f'<span dir="auto">{escape(shorten(names[hit.passage.doc_id], TITLE_CHARS))}</span></a>'
        "</li>"
        for hit in hits
    )
    height = ROW * len(hits)
    return (
        f'<figure class="flow"><figcaption>How the ranks changed. {escape(describe_flow(trace))}'
        f'</figcaption><div class="stages">{heads}</div><svg class="lines" width="100%" '
        f'height="{height}" role="img" aria-label="Lines from each passage&#x27;s rank in one '
        f'stage to its rank in the next">{SHAPES}{lines}</svg>'
        f'<ol class="names">{labels}</ol></figure>'
    )


def style_flow(count: int) -> str:
    """Style rules by which a name under the pointer, or its line, lights up the line."""
    lit = "{--width:4px;opacity:1}"
    rules = ",".join(
        f".flow:has(.names li:nth-child({n}):hover) .p{n}"
        for n in range(1, min(count, LIT_ROWS) + 1)
    )
    return f".flow .path:hover{lit}" + (f"{rules}{lit}" if rules else "")


def _render_path(
    hit: RankedHit, places: Sequence[Place], columns: Sequence[list[int]], name: str
) -> str:
    points = [
        (100 * (column + 0.5) / len(places), ROW * (ranks.index(place.rank) + 0.5))
        for column, (place, ranks) in enumerate(zip(places, columns, strict=True))
    ]
    lines = "".join(
        f'<line class="{_name_style(before, after)} {after.stage}" '
        f'x1="{x1:.2f}%" y1="{y1:g}" x2="{x2:.2f}%" y2="{y2:g}"/>'
        for (before, after), ((x1, y1), (x2, y2)) in zip(
            pairwise(places), pairwise(points), strict=True
        )
    )
    marks = "".join(
        f'<use href="#mark-{place.stage}" class="{place.stage}" x="{x:.2f}%" y="{y:g}"/>'
        for place, (x, y) in zip(places, points, strict=True)
    )
    told = " → ".join(f"{place.words} {place.rank}" for place in places)
    return (
        f'<g class="path p{hit.rank}"><title>{escape(shorten(name, TITLE_CHARS))}: {escape(told)}'
        f"</title>{lines}{marks}</g>"
    )


def _name_style(before: Place, after: Place) -> str:
    if abs(before.rank - after.rank) < MOVED_PLACES:
        return "quiet"
    return "risen" if after.rank < before.rank else "fallen"


def render_scores(trace: RankingTrace) -> str:
    """Every passage's BM25 score and stage-1 logit as bars, each on its own axis with zero."""
    hits, names = trace.ranked_hits(), name_apart(trace)
    stages = [
        ("bm25", "BM25 score", [hit.bm25_score for hit in hits]),
        ("stage1", "Stage-1 score (logit)", [hit.score for hit in hits]),
    ]
    shown = [(key, words, values) for key, words, values in stages if any_number(values)]
    if not shown:
        return ""
    heads = "".join(
        f'<th scope="col" class="{key}">{words}<span>{_describe_axis(values)}</span></th>'
        for key, words, values in shown
    )
    rows = "".join(
        f'<tr><th scope="row"><a href="#card-{hit.rank}"><b>{hit.rank}</b> '
        f'<span dir="auto">{escape(shorten(names[hit.passage.doc_id], TITLE_CHARS))}</span></a>'
        "</th>"
        + "".join(_render_bar(values[position], key, values) for key, _, values in shown)
        + "</tr>"
        for position, hit in enumerate(hits)
    )
    return (
        '<figure class="scores-chart"><figcaption>Scores by stage, in the final order. The two '
        "stages do not share a scale.</figcaption><table><thead><tr>"
        f'<th scope="col">Passage</th>{heads}</tr></thead><tbody>{rows}</tbody></table></figure>'
    )


def any_number(values: Sequence[float | None]) -> bool:
    return any(value is not None for value in values)


def _find_axis(values: Sequence[float | None]) -> tuple[float, float]:
    """From the lowest to the highest value, zero included."""
    known = [value for value in values if value is not None]
    return min(0.0, *known, 0.0), max(0.0, *known, 0.0)


def _describe_axis(values: Sequence[float | None]) -> str:
    low, high = _find_axis(values)
    return f"{low:.2f} to {high:.2f}"


def _render_bar(value: float | None, stage: str, values: Sequence[float | None]) -> str:
    if value is None:
        return '<td class="none">not scored</td>'
    low, high = _find_axis(values)
    spread = (high - low) or 1.0
    start, end = sorted((100 * (0 - low) / spread, 100 * (value - low) / spread))
    zero = 100 * (0 - low) / spread
    return (
        f'<td class="{stage}"><span class="bar"><svg width="100%" height="12" aria-hidden="true">'
        f'<rect class="{stage}" x="{start:.2f}%" width="{max(end - start, 0.2):.2f}%" height="12"/>'
        f'<line class="zero" x1="{zero:.2f}%" x2="{zero:.2f}%" y1="0" y2="12"/></svg></span>'
        f'<span class="number">{value:.2f}</span></td>'
    )


def render_terms(trace: RankingTrace) -> str:
    """What each query term added to BM25's scores: the terms that added most, then the rest."""
    totals: dict[str, float] = {}
    for hit in trace.hits:
        for term in hit.terms:
            totals[term.term] = totals.get(term.term, 0.0) + term.weight
    if not totals:
        return ""
    terms = sorted(totals, key=lambda term: -totals[term])[:MAX_TERMS]
    rest = len(totals) - len(terms)
    heads = "".join(f'<th scope="col" dir="auto">{escape(shorten(t, 24))}</th>' for t in terms)
    if rest:
        heads += f'<th scope="col">{rest} more</th>'
    weights = {
        hit.passage.doc_id: {term.term: term.weight for term in hit.terms} for hit in trace.hits
    }
    names = name_apart(trace)
    rows = []
    for ranked in trace.ranked_hits():
        doc_id = ranked.passage.doc_id
        own = weights[doc_id]
        cells = [own.get(term, 0.0) for term in terms]
        if rest:
            cells.append(sum(w for term, w in own.items() if term not in terms))
        shown = "".join(f"<td>{f'{cell:.2f}' if cell else '·'}</td>" for cell in cells)
        rows.append(
            f'<tr><th scope="row"><b>{ranked.rank}</b> <span dir="auto">'
            f"{escape(shorten(names[doc_id], TITLE_CHARS))}</span></th>{shown}</tr>"
        )
    return (
        f'<details class="terms"><summary>What each query word added to {name_first_stage(trace)}'
        f'</summary><div class="wide" tabindex="0" role="region" aria-label="Query words">'
        f'<table><thead><tr><th scope="col">Passage</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )
