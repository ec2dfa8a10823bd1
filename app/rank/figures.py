"""The four charts of a ranking: how each is drawn, said in words, and written as a table.

Takes traces; the drawing itself is in flow_figure.py, score_figures.py and term_figure.py.
Knows no component. Whatever shows a ranking (the page, a report) takes its charts from CHARTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from app.facts import describe_distribution, describe_flow, describe_scores, describe_terms
from app.figure_style import STAGE_COLORS, STAGE_SYMBOLS
from app.rank.chart_tables import (
    Table,
    tabulate_distribution,
    tabulate_flow,
    tabulate_scores,
    tabulate_terms,
)
from app.rank.flow_figure import draw_flow
from app.rank.score_figures import draw_distribution, draw_scores
from app.rank.term_figure import draw_terms
from reranker.types import RankingTrace

__all__ = [
    "CHARTS",
    "STAGE_COLORS",
    "STAGE_SYMBOLS",
    "Chart",
    "draw_distribution",
    "draw_flow",
    "draw_scores",
    "draw_terms",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """One chart. describe: how to read it, in a sentence or two. tabulate: its exact values."""

    key: str
    title: str
    draw: Callable[[RankingTrace], go.Figure]
    describe: Callable[[RankingTrace], str]
    tabulate: Callable[[RankingTrace], Table]


CHARTS: tuple[Chart, ...] = (
    Chart(
        key="flow",
        title="Rank flow",
        draw=draw_flow,
        describe=describe_flow,
        tabulate=tabulate_flow,
    ),
    Chart(
        key="scores",
        title="Scores",
        draw=draw_scores,
        describe=describe_scores,
        tabulate=tabulate_scores,
    ),
    Chart(
        key="distribution",
        title="Distribution",
        draw=draw_distribution,
        describe=describe_distribution,
        tabulate=tabulate_distribution,
    ),
    Chart(
        key="terms",
        title="Terms",
        draw=draw_terms,
        describe=describe_terms,
        tabulate=tabulate_terms,
    ),
)
