"""The rank flow: a trace in, a Plotly figure out. Knows no component and no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.facts import Place, list_places, name_apart
from app.figure_style import (
    POINTS,
    QUIET_COLOR,
    STAGE_COLORS,
    STAGE_SYMBOLS,
    add_marks,
    describe_path,
    list_doc_ids,
    make_layout,
    shorten_name,
    thin_out,
)
from app.html import escape_label
from reranker.types import RankedHit, RankingTrace

MOVED_PLACES = 3
"""A passage that moved at least so far between two stages is drawn bold."""
MARKER_SPACE = "\u2003"
"""Before a title, as wide as half a marker at any width of the chart."""
GRIPS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
"""Where on the way between two columns a line can be pointed at: Plotly knows only points."""

Path = tuple[RankedHit, tuple[Place, ...]]


def draw_flow(trace: RankingTrace) -> go.Figure:
    """Each passage's rank after BM25, stage 1 and stage 2, joined by a line.

    Bold lines moved MOVED_PLACES or more, in the colour of the stage that moved them: solid
    where they rose, dashed where they fell.
    """
    paths: list[Path] = [(hit, list_places(hit, trace)) for hit in trace.ranked_hits()]
    figure = go.Figure(layout=make_layout("How the ranks changed"))
    columns = paths[0][1] if paths else ()
    for position in range(len(columns) - 1):
        _add_lines(figure, paths, position)
    add_marks(figure, width=4)
    for position in range(len(columns)):
        _add_markers(figure, paths, position)
    for position in range(len(columns) - 1):
        _add_grips(figure, paths, position)
    _add_labels(figure, paths, name_apart(trace))
    figure.update_xaxes(
        side="top",
        range=[-0.25, max(len(columns) - 1, 0) + 0.25],
        tickvals=list(range(len(columns))),
        ticktext=[_name_column(place) for place in columns],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(range=[len(paths) + 0.6, 0.4], visible=False, fixedrange=True)
    figure.update_layout(margin={"l": 8, "r": 150, "t": 34, "b": 8})
    return figure


def _add_lines(figure: go.Figure, paths: Sequence[Path], position: int) -> None:
    """The lines from one column to the next, a trace for each of quiet, risen and fallen."""
    color = STAGE_COLORS[paths[0][1][position + 1].stage]
    styles = {
        "quiet": {"color": QUIET_COLOR, "width": 1},
        "risen": {"color": color, "width": 3},
        "fallen": {"color": color, "width": 2.5, "dash": "4px,3px"},
    }
    for style, line in styles.items():
        xs: list[float | None] = []
        ys: list[float | None] = []
        doc_ids: list[str] = []
        for hit, places in paths:
            before, after = places[position].rank, places[position + 1].rank
            if _name_style(before, after) == style:
                xs += [position, position + 1, None]
                ys += [before, after, None]
                doc_ids += [hit.passage.doc_id] * 3
        figure.add_scatter(
            x=xs, y=ys, mode="lines", line=line, customdata=doc_ids, hoverinfo="skip", name=style
        )


def _name_style(before: int, after: int) -> str:
    if abs(before - after) < MOVED_PLACES:
        return "quiet"
    return "risen" if after < before else "fallen"


def _add_markers(figure: go.Figure, paths: Sequence[Path], position: int) -> None:
    stage = paths[0][1][position].stage
    figure.add_scatter(
        x=[position] * len(paths),
        y=[places[position].rank for _, places in paths],
        mode="markers",
        marker={"color": STAGE_COLORS[stage], "symbol": STAGE_SYMBOLS[stage], "size": 8},
        customdata=list_doc_ids([hit for hit, _ in paths]),
        hovertext=[describe_path(*path) for path in paths],
        hoverinfo="text",
        name=stage,
        meta=POINTS,
        cliponaxis=False,
    )


def _add_grips(figure: go.Figure, paths: Sequence[Path], position: int) -> None:
    """Unseen points along the lines, so that a whole path answers to the pointer."""
    xs, ys, doc_ids, texts = [], [], [], []
    for path in paths:
        hit, places = path
        before, after = places[position].rank, places[position + 1].rank
        for part in GRIPS:
            xs.append(position + part)
            ys.append(before + part * (after - before))
            doc_ids.append(hit.passage.doc_id)
            texts.append(describe_path(*path))
    figure.add_scatter(
        x=xs,
        y=ys,
        mode="markers",
        marker={"opacity": 0, "size": 8},
        customdata=doc_ids,
        hovertext=texts,
        hoverinfo="text",
        name="grips",
    )


def _add_labels(figure: go.Figure, paths: Sequence[Path], names: Mapping[str, str]) -> None:
    shown = paths[:: thin_out(len(paths))]
    figure.add_scatter(
        x=[len(places) - 1 for _, places in shown],
        y=[places[-1].rank for _, places in shown],
        mode="text",
        text=[
            f"{MARKER_SPACE}{places[-1].rank}  {shorten_name(hit, names)}" for hit, places in shown
        ],
        textposition="middle right",
        customdata=list_doc_ids([hit for hit, _ in shown]),
        hoverinfo="skip",
        name="titles",
        cliponaxis=False,
    )


def _name_column(place: Place) -> str:
    words = place.words if place.words == "BM25" else place.words.capitalize()
    return f"<b>{escape_label(words)}</b>"
