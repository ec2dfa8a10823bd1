"""What all charts of a ranking share: colours, layout, labels, and the marks of a selection.

Knows Plotly and no trace of a ranking. Colours of text and grid are left to
assets/css/studio.css, which knows whether the page is dark; what has a meaning is coloured
here, and never by colour alone. app/rank/charts.js reads the roles that are given to traces here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.facts import Place, name_passage, shorten
from app.html import escape_label
from reranker.types import RankedHit

STAGE_COLORS = {"bm25": "#7F7F7F", "stage1": "#E69F00", "stage2": "#0072B2"}
"""Okabe and Ito's palette, one colour for each stage everywhere; the same in studio.css."""
STAGE_SYMBOLS = {"bm25": "circle", "stage1": "square", "stage2": "diamond"}
QUIET_COLOR = "#9A9A9A"
SELECTED_COLOR = "#CC79A7"
"""Of the same palette and no stage's: rings, paths and bands of the selected passage."""
LABEL_CHARS = 22
LABELLED = 24
"""Passages with their title beside them; with more of them only every second one has it."""
FONT = "Source Sans Pro, system-ui, sans-serif"

POINTS = {"role": "points"}
"""Meta of a trace whose points stand for passages: customdata holds their doc_ids."""


def make_layout(name: str, **meta: Any) -> go.Layout:
    """The look of an empty chart. meta: what charts.js needs to know beside the name."""
    return go.Layout(
        font={"family": FONT, "size": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        hoverlabel={
            "align": "left",
            "bgcolor": "#27272a",
            "font": {"family": FONT, "size": 12.5, "color": "#ffffff"},
        },
        meta={"name": name, **meta},
    )


def make_empty(name: str, reason: str) -> go.Figure:
    """A chart without data that says why."""
    figure = go.Figure(layout=make_layout(name))
    figure.add_annotation(
        text=escape_label(reason), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def add_marks(figure: go.Figure, *, width: float) -> None:
    """Empty traces that the page fills: the path under the pointer, then the selected passage.

    width: of the line that joins the selected passage's points, in pixels.
    """
    marks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("hovered", {"line": {"color": QUIET_COLOR, "width": width + 3}, "opacity": 0.5}),
        ("selected", {"line": {"color": SELECTED_COLOR, "width": width}}),
    )
    for role, style in marks:
        figure.add_scatter(
            x=[],
            y=[],
            mode="lines+markers",
            marker={
                "symbol": "circle-open",
                "size": 15,
                "color": style["line"]["color"],
                "line": {"width": 3},
            },
            hoverinfo="skip",
            name=role,
            meta={"role": role},
            cliponaxis=False,
            **style,
        )


def thin_out(count: int) -> int:
    """Every how many-th passage gets its title."""
    return 1 + (count - 1) // LABELLED if count else 1


def shorten_name(hit: RankedHit, names: Mapping[str, str], limit: int = LABEL_CHARS) -> str:
    return escape_label(shorten(names[hit.passage.doc_id], limit))


def describe_hit(hit: RankedHit) -> str:
    """Title and doc_id, for a label that opens under the pointer."""
    doc_id = shorten(hit.passage.doc_id, 60)
    return f"{escape_label(shorten(name_passage(hit), 60))} ({escape_label(doc_id)})"


def describe_path(hit: RankedHit, places: Sequence[Place]) -> str:
    """The same, and below it the passage's rank after every stage."""
    words = escape_label(" → ".join(f"{place.words} {place.rank}" for place in places))
    return f"{describe_hit(hit)}<br>{words}"


def list_doc_ids(hits: Sequence[RankedHit]) -> list[str]:
    return [hit.passage.doc_id for hit in hits]
