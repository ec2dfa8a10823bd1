"""What each query word adds to a passage's BM25 score: a trace in, a Plotly figure out.

Knows no component and no page. All passages are in the figure, one of them visible: which one
that is, the page changes by itself when another is selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from app.facts import has_terms, name_apart, shorten
from app.figure_style import STAGE_COLORS, make_empty, make_layout
from app.html import escape_label
from reranker.types import Hit, RankingTrace

MAX_TERMS = 20
"""Query words with a bar of their own; what the others add stands in one last bar."""
LEAST_ROWS = 8
"""Rows there is room for, so that few words do not make fat bars."""
NAME_CHARS = 36
TERM_CHARS = 18
TEXT_SPACE = 1.35
NO_TERMS = "These candidates came as a list: BM25 has not scored them."


class _Rows(NamedTuple):
    """Which of the query's words get a bar, and the bars' labels from the top."""

    positions: tuple[int, ...]
    labels: tuple[str, ...]
    rest: tuple[int, ...]

    def read(self, hit: Hit) -> list[float]:
        """A passage's weights, a value for every label."""
        weights = [hit.terms[position].weight for position in self.positions]
        beyond = [hit.terms[position].weight for position in self.rest]
        return [*weights, sum(beyond)] if beyond else weights


def draw_terms(trace: RankingTrace, doc_id: str = "") -> go.Figure:
    """A bar for each query word; words the passage lacks say "absent".

    doc_id: the passage that is visible first; the best-ranked one where it is "" or unknown.
    A pale bar behind each is the most the word adds to any candidate: a short bar in a long pale
    one is a word that counts more elsewhere, a short pale one a word that is common here.
    """
    title = "What each query word adds to BM25"
    if not has_terms(trace):
        return make_empty(title, NO_TERMS)
    figure = go.Figure(layout=make_layout(title))
    hits = {hit.passage.doc_id: hit for hit in trace.hits}
    shown = doc_id if doc_id in hits else trace.ranked_hits()[0].passage.doc_id
    rows, names = _choose_rows(trace.hits), name_apart(trace)
    most = [max(column) for column in zip(*map(rows.read, trace.hits), strict=True)]
    _add_most(figure, most, rows)
    for ranked in trace.ranked_hits():
        hit = hits[ranked.passage.doc_id]
        name = escape_label(shorten(names[hit.passage.doc_id], NAME_CHARS))
        heading = f"<b>{ranked.rank}  {name}</b>"
        _add_bars(figure, hit, rows, heading, visible=ranked.passage.doc_id == shown)
    figure.update_yaxes(
        range=[max(len(most), LEAST_ROWS) - 0.4, -1.6],
        tickvals=list(range(len(most))),
        ticktext=[escape_label(label) for label in rows.labels],
        ticklabelstandoff=6,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_xaxes(
        title={"text": "added to the BM25 score", "font": {"size": 12}},
        range=[0, TEXT_SPACE * max(most) or 1],
        nticks=5,
        fixedrange=True,
    )
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 42}, barmode="overlay")
    return figure


def _choose_rows(hits: Sequence[Hit]) -> _Rows:
    """The query's words in its order; of a long query those that matter most anywhere."""
    terms = [term.term for term in hits[0].terms]
    strengths = [max(hit.terms[place].weight for hit in hits) for place in range(len(terms))]
    strongest = sorted(range(len(terms)), key=lambda place: -strengths[place])[:MAX_TERMS]
    kept = tuple(sorted(strongest))
    rest = tuple(place for place in range(len(terms)) if place not in kept)
    labels = [shorten(terms[place], TERM_CHARS) for place in kept]
    if rest:
        labels.append(f"{len(rest)} more")
    return _Rows(kept, tuple(labels), rest)


def _add_most(figure: go.Figure, most: Sequence[float], rows: _Rows) -> None:
    """Pale bars behind: the most each word adds to any candidate."""
    figure.add_bar(
        orientation="h",
        x=most,
        y=list(range(len(most))),
        width=0.72,
        marker={"color": "rgba(127, 127, 127, 0.2)", "line": {"width": 0}},
        hovertext=[escape_label(label) for label in rows.labels],
        hovertemplate="%{hovertext}: at most %{x:.2f} in any candidate<extra></extra>",
        name="most",
    )


def _add_bars(figure: go.Figure, hit: Hit, rows: _Rows, heading: str, *, visible: bool) -> None:
    """A passage's bars with their numbers; above them two of no length carry its name and score."""
    weights = rows.read(hit)
    total = "" if hit.bm25_score is None else f"BM25 {hit.bm25_score:.2f}, the sum of:"
    numbers = [f"{weight:.2f}" if weight else "× absent" for weight in weights]
    figure.add_bar(
        orientation="h",
        x=[0, 0, *weights],
        y=[-1.2, -0.8, *range(len(weights))],
        width=0.36,
        marker={"color": STAGE_COLORS["bm25"], "line": {"width": 0}},
        text=[heading, total, *numbers],
        textposition="outside",
        textangle=0,
        constraintext="none",
        cliponaxis=False,
        customdata=[hit.passage.doc_id] * (len(weights) + 2),
        hovertext=["", "", *map(escape_label, rows.labels)],
        hovertemplate="%{hovertext} adds %{x:.2f}<extra></extra>",
        name="terms",
        meta={"role": "passage", "doc_id": hit.passage.doc_id},
        visible=visible,
    )
