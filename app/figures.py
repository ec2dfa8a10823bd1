"""Charts of one ranking: a trace in, a Plotly figure out.

Knows no component and no page. Colours of text and grid are left to assets/css/studio.css,
which knows whether the page is dark; what has a meaning is coloured here, and never by colour
alone. Passage titles are escaped, because Plotly reads some tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.facts import Place, list_places, name_apart, name_passage, shorten
from app.html import escape_label
from reranker.types import RankedHit, RankingTrace

STAGE_COLORS = {"bm25": "#7F7F7F", "stage1": "#E69F00", "stage2": "#0072B2"}
"""Okabe and Ito's palette, one colour for each stage everywhere; the same in studio.css."""
STAGE_SYMBOLS = {"bm25": "circle", "stage1": "square", "stage2": "diamond"}
QUIET_COLOR = "#9A9A9A"
MOVED_PLACES = 3
"""A passage that moved at least so far between two stages is drawn bold."""
LABEL_CHARS = 22
LABELLED = 30
"""Passages with their title beside them; with more of them only every second one has it."""
MARKER_SPACE = "\u2003"
"""Before a title, as wide as half a marker at any width of the chart."""
FONT = "Source Sans Pro, system-ui, sans-serif"

Path = tuple[RankedHit, tuple[Place, ...]]


def draw_flow(trace: RankingTrace) -> go.Figure:
    """Each passage's rank after BM25, stage 1 and stage 2, joined by a line.

    Bold lines moved MOVED_PLACES or more, in the colour of the stage that moved them: solid
    where they rose, dashed where they fell.
    """
    paths: list[Path] = [(hit, list_places(hit, trace)) for hit in trace.ranked_hits()]
    figure = go.Figure(layout=_make_layout("How the ranks changed"))
    columns = paths[0][1] if paths else ()
    for position in range(len(columns) - 1):
        _add_lines(figure, paths, position)
    for position in range(len(columns)):
        _add_markers(figure, paths, position)
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
    figure.update_yaxes(
        range=[len(paths) + 0.6, 0.4],
        visible=False,
        fixedrange=True,
    )
    figure.update_layout(margin={"l": 8, "r": 150, "t": 34, "b": 8}, hovermode="closest")
    return figure


def draw_scores(trace: RankingTrace) -> go.Figure:
    """Stage 1's raw logits in the present order, on an axis that holds zero."""
    hits = [hit for hit in trace.ranked_hits() if hit.score is not None]
    figure = go.Figure(layout=_make_layout("Stage-1 scores"))
    figure.add_bar(
        orientation="h",
        x=[hit.score for hit in hits],
        y=[hit.rank for hit in hits],
        marker={"color": STAGE_COLORS["stage1"]},
        text=[f"{hit.score:.2f}" for hit in hits],
        textposition="outside",
        cliponaxis=False,
        hovertext=[_describe_hit(hit) for hit in hits],
        hovertemplate="%{hovertext}<br>stage-1 score %{x:.2f}<extra></extra>",
    )
    shown, names = hits[:: _thin_out(len(hits))], name_apart(trace)
    figure.update_yaxes(
        autorange="reversed",
        tickvals=[hit.rank for hit in shown],
        ticktext=[f"{_shorten_name(hit, names)}  {hit.rank}" for hit in shown],
        ticklabelstandoff=6,
        showgrid=False,
        fixedrange=True,
    )
    figure.update_xaxes(
        title={"text": "stage-1 score (logit)"}, rangemode="tozero", fixedrange=True, nticks=5
    )
    figure.update_layout(margin={"l": 8, "r": 44, "t": 8, "b": 40}, bargap=0.35)
    return figure


def _make_layout(name: str) -> go.Layout:
    return go.Layout(
        font={"family": FONT, "size": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        dragmode=False,
        meta={"name": name},
    )


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
        for _, places in paths:
            before, after = places[position].rank, places[position + 1].rank
            if _name_style(before, after) == style:
                xs += [position, position + 1, None]
                ys += [before, after, None]
        figure.add_scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", name=style)


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
        hovertext=[f"{_describe_hit(hit)}<br>{_describe_places(places)}" for hit, places in paths],
        hoverinfo="text",
        name=stage,
        cliponaxis=False,
    )


def _add_labels(figure: go.Figure, paths: Sequence[Path], names: Mapping[str, str]) -> None:
    shown = paths[:: _thin_out(len(paths))]
    figure.add_scatter(
        x=[len(places) - 1 for _, places in shown],
        y=[places[-1].rank for _, places in shown],
        mode="text",
        text=[
            f"{MARKER_SPACE}{places[-1].rank}  {_shorten_name(hit, names)}" for hit, places in shown
        ],
        textposition="middle right",
        hoverinfo="skip",
        name="titles",
        cliponaxis=False,
    )


def _thin_out(count: int) -> int:
    """Every how many-th passage gets its title."""
    return 1 + (count - 1) // LABELLED if count else 1


def _name_column(place: Place) -> str:
    words = place.words if place.words == "BM25" else place.words.capitalize()
    return f"<b>{escape_label(words)}</b>"


def _shorten_name(hit: RankedHit, names: Mapping[str, str]) -> str:
    return escape_label(shorten(names[hit.passage.doc_id], LABEL_CHARS))


def _describe_hit(hit: RankedHit) -> str:
    return f"{escape_label(shorten(name_passage(hit), 60))} ({escape_label(hit.passage.doc_id)})"


def _describe_places(places: Sequence[Place]) -> str:
    return escape_label(" → ".join(f"{place.words} {place.rank}" for place in places))
