"""Charts of a comparison: contrasts, tables and query views in, Plotly figures out.

Knows no component and no page. Gain and loss are told by direction and by colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.facts import shorten
from app.figure_style import QUIET_COLOR, make_empty, make_layout
from app.html import escape_label
from app.rank.score_figures import spread_out
from reranker.evaluation.contrast import QueryContrast, sort_contrasts
from reranker.evaluation.drilldown import PassageRow, QueryView
from reranker.evaluation.result_table import ResultTable

GAIN_COLOR, LOSS_COLOR = "#009E73", "#D55E00"
"""Of Okabe and Ito's palette, and no stage's."""
DOT_COLOR = "#56B4E9"
FLOW_RANKS = 20
"""Ranks of each run in the rank flow."""
TOP = {"b": 42, "l": 8, "r": 12, "t": 12}


def draw_deltas(rows: Sequence[QueryContrast], first: str, second: str, measure: str) -> go.Figure:
    """One bar a query, the greatest gain of `second` over `first` on the left."""
    name = f"{measure}: {shorten(second, 30)} less {shorten(first, 30)}"
    if not rows:
        return make_empty(name, "No query fits.")
    ordered = sort_contrasts(rows, "delta")
    figure = go.Figure(layout=make_layout(name))
    figure.add_bar(
        x=list(range(1, len(ordered) + 1)),
        y=[row.delta for row in ordered],
        marker={"color": [GAIN_COLOR if row.delta > 0 else LOSS_COLOR for row in ordered]},
        customdata=[row.query_id for row in ordered],
        hovertext=[_describe(row, first, second) for row in ordered],
        hovertemplate="%{hovertext}<br>difference %{y:+.4f}<extra></extra>",
        name="deltas",
        meta={"role": "queries"},
    )
    # Queries that did not change have no bar to click on; a dot stands for each.
    even = [(n, row) for n, row in enumerate(ordered, start=1) if not row.delta]
    figure.add_scatter(
        x=[n for n, _ in even],
        y=[0] * len(even),
        mode="markers",
        marker={"symbol": "diamond", "size": 6, "color": QUIET_COLOR},
        customdata=[row.query_id for _, row in even],
        hovertext=[_describe(row, first, second) for _, row in even],
        hovertemplate="%{hovertext}<br>no difference<extra></extra>",
        name="even",
        meta={"role": "queries"},
    )
    figure.update_xaxes(
        title={"text": "queries, greatest gain first", "font": {"size": 12}},
        range=[0.3, max(len(ordered), 8) + 0.7],
        showgrid=False,
        fixedrange=True,
        nticks=6,
    )
    figure.update_yaxes(
        title={"text": f"Δ {escape_label(measure)}", "font": {"size": 12}},
        zeroline=True,
        fixedrange=True,
    )
    figure.update_layout(margin=TOP, bargap=0.15)
    return figure


def draw_spread(
    values: Mapping[str, Mapping[str, float]], table: ResultTable, texts: Mapping[str, str]
) -> go.Figure:
    """Every query's value under every run as a dot, and the mean with its interval as a bar.

    values: run -> query_id -> measure.
    """
    figure = go.Figure(layout=make_layout(f"{table.main} of every query"))
    numbers = [value for held in values.values() for value in held.values()]
    gap = ((max(numbers) - min(numbers)) or 1.0) / 90 if numbers else 0.0
    for place, row in enumerate(table.rows):
        ordered = sorted(values[row.system].items(), key=lambda pair: (pair[1], pair[0]))
        heights = spread_out([value for _, value in ordered], gap)
        figure.add_scatter(
            x=[value for _, value in ordered],
            y=[place - height for height in heights],
            mode="markers",
            marker={"size": 6, "color": DOT_COLOR, "opacity": 0.75},
            customdata=[query_id for query_id, _ in ordered],
            hovertext=[_name_query(query_id, texts) for query_id, _ in ordered],
            hovertemplate="%{hovertext}<br>%{x:.4f}<extra></extra>",
            name=row.system,
            meta={"role": "queries"},
        )
        found = row.intervals[table.main]
        figure.add_scatter(
            x=[found.estimate],
            y=[place],
            mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": "#0072B2"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [found.high - found.estimate],
                "arrayminus": [found.estimate - found.low],
                "thickness": 3,
                "width": 7,
                "color": "#0072B2",
            },
            hovertemplate=f"mean %{{x:.4f}} [{found.low:.4f}, {found.high:.4f}]<extra></extra>",
            name="mean",
        )
    figure.update_yaxes(
        range=[len(table.rows) - 0.45, -0.55],
        tickvals=list(range(len(table.rows))),
        ticktext=[escape_label(shorten(row.system, 22)) for row in table.rows],
        ticklabelstandoff=6,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_xaxes(
        title={"text": escape_label(table.main), "font": {"size": 12}},
        fixedrange=True,
        nticks=6,
        zeroline=False,
    )
    figure.update_layout(margin=TOP)
    return figure


def draw_query_flow(view: QueryView) -> go.Figure:
    """Where each passage stands in each run; relevant ones as heavy lines with their grade."""
    figure = go.Figure(layout=make_layout("Ranks in each run"))
    places = {name: place for place, name in enumerate(view.runs)}
    for row in sorted(view.rows, key=lambda row: (row.grade or 0) > 0):  # relevant ones on top
        ranks = {name: rank for name, rank in row.ranks.items() if rank <= FLOW_RANKS}
        if not ranks:
            continue
        _add_path(figure, row, ranks, places)
    figure.update_xaxes(
        range=[-0.3, len(view.runs) - 0.7],
        tickvals=list(places.values()),
        ticktext=[escape_label(shorten(name, 16)) for name in view.runs],
        side="top",
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(
        range=[FLOW_RANKS + 0.6, 0.4], dtick=5, tick0=0, fixedrange=True, zeroline=False,
        title={"text": "rank", "font": {"size": 12}},
    )  # fmt: skip
    figure.update_layout(margin={"l": 8, "r": 12, "t": 30, "b": 8})
    return figure


def _add_path(
    figure: go.Figure, row: PassageRow, ranks: Mapping[str, int], places: Mapping[str, int]
) -> None:
    relevant = (row.grade or 0) > 0
    color = GAIN_COLOR if relevant else QUIET_COLOR
    grade = "not judged" if row.grade is None else f"grade {row.grade}"
    title = row.passage.title if row.passage is not None else ""
    label = escape_label(shorten(title or row.doc_id, 60))
    # A run between two that rank the passage may lack it: the line breaks there.
    figure.add_scatter(
        x=list(places.values()),
        y=[ranks.get(name) for name in places],
        mode="lines+markers",
        line={"color": color, "width": 2.5 if relevant else 1},
        marker={"size": 8 if relevant else 5, "symbol": "square" if relevant else "circle"},
        opacity=0.95 if relevant else 0.5,
        hovertext=label,
        hovertemplate=f"%{{hovertext}}<br>{grade}, rank %{{y}}<extra></extra>",
        name=grade,
        connectgaps=False,
    )


def _describe(row: QueryContrast, first: str, second: str) -> str:
    text = escape_label(shorten(row.text or row.query_id, 70))
    runs = (f"{escape_label(shorten(name, 30))} {row.values[name]:.4f}" for name in (first, second))
    return f"{text}<br>{', '.join(runs)}"


def _name_query(query_id: str, texts: Mapping[str, str]) -> str:
    return escape_label(shorten(texts.get(query_id) or query_id, 70))
