"""Figures of the Explain tab: heat-map of tokens, rank intervals on the rank flow, place effects.

Takes results of analyses, returns Plotly figures. Knows no component and no page.
"""

from __future__ import annotations

import plotly.graph_objects as go

from app.figure_style import STAGE_COLORS, make_layout
from app.html import escape_label
from app.rank.flow_figure import draw_flow
from reranker.explain.attribution import HeatMap
from reranker.explain.stability import Stability
from reranker.types import RankingTrace

HEAT = ((0.0, "rgba(230,159,0,0)"), (1.0, "rgba(230,159,0,1)"))
"""Stage 1's colour, from nothing to all of it; transparent shows either page's ground."""
MAX_LABELS = 60


def draw_heat(heat: HeatMap) -> go.Figure:
    """Cosine of each query token (rows) with each passage token (columns); a ring where a query
    token finds its match, which is what the score is made of."""
    figure = go.Figure(layout=make_layout("Which tokens met"))
    rows, columns = len(heat.query_tokens), len(heat.passage_tokens)
    queries = [escape_label(token) for token in heat.query_tokens]
    words = [escape_label(token) for token in heat.passage_tokens]
    figure.add_heatmap(
        z=heat.cosines,
        x=list(range(columns)),
        y=list(range(rows)),
        zmin=0,
        zmax=1,
        colorscale=HEAT,
        showscale=False,
        xgap=1,
        ygap=1,
        text=[[f"{q} · {w}" for w in words] for q in queries],
        hovertemplate="%{text}<br>cosine %{z:.2f}<extra></extra>",
        name="cosines",
    )
    best = [max(range(columns), key=row.__getitem__) for row in heat.cosines]
    figure.add_scatter(
        x=best,
        y=list(range(rows)),
        mode="markers",
        marker={"symbol": "circle-open", "size": 11, "color": "#0072B2", "line": {"width": 2}},
        hoverinfo="skip",
        name="matches",
    )
    every = 1 + (columns - 1) // MAX_LABELS
    figure.update_yaxes(
        tickvals=list(range(rows)), ticktext=queries, autorange="reversed", fixedrange=True,
        showgrid=False, zeroline=False,
    )  # fmt: skip
    figure.update_xaxes(
        tickvals=list(range(0, columns, every)), ticktext=words[::every], tickangle=-60,
        fixedrange=True, showgrid=False, zeroline=False,
    )  # fmt: skip
    figure.update_layout(margin={"l": 80, "r": 8, "t": 8, "b": 80})
    return figure


def draw_intervals(trace: RankingTrace, found: Stability) -> go.Figure:
    """The rank flow up to stage 2's own order, with each passage's lowest and highest rank over
    shuffled readings drawn at its last column."""
    own = trace.with_stage(final_order=trace.stage2_order, final_source="stage2")
    figure = draw_flow(own)
    last = 2 if trace.stage1 else 1
    spreads = [s for s in found.spreads if s.low < s.high]
    if spreads:
        figure.add_scatter(
            x=[last] * len(spreads),
            y=[s.rank for s in spreads],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [s.high - s.rank if s.high > s.rank else 0 for s in spreads],
                "arrayminus": [s.rank - s.low if s.low < s.rank else 0 for s in spreads],
                "color": STAGE_COLORS["stage2"],
                "thickness": 1.5,
                "width": 4,
            },
            mode="markers",
            marker={"opacity": 0, "size": 8},
            hovertext=[
                f"{escape_label(s.doc_id)}<br>rank {s.rank}, {s.low} to {s.high} when shuffled"
                for s in spreads
            ],
            hoverinfo="text",
            name="intervals",
            cliponaxis=False,
        )
    return figure


def draw_places(found: Stability) -> go.Figure:
    """How much better (up) or worse a passage comes out by the place it was shown at."""
    figure = go.Figure(layout=make_layout("Rank by the place shown"))
    figure.add_bar(
        x=[effect.place for effect in found.places],
        y=[-effect.deviation for effect in found.places],
        marker={"color": STAGE_COLORS["stage2"]},
        hovertext=[
            f"shown at place {e.place}: {-e.deviation:+.1f} ranks against its own mean"
            for e in found.places
        ],
        hoverinfo="text",
        name="places",
    )
    figure.update_xaxes(title={"text": "place shown at"}, fixedrange=True, showgrid=False)
    figure.update_yaxes(title={"text": "ranks won"}, fixedrange=True, zeroline=True)
    figure.update_layout(margin={"l": 48, "r": 8, "t": 8, "b": 40})
    return figure
