"""Scores side by side, and how stage 1's are spread: a trace in, a Plotly figure out.

Knows no component and no page. BM25 scores, logits and ranks never share an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import plotly.graph_objects as go

from app.facts import VERDICT_MARKS, VERDICT_WORDS, list_places, name_apart
from app.figure_style import (
    POINTS,
    QUIET_COLOR,
    SELECTED_COLOR,
    STAGE_COLORS,
    STAGE_SYMBOLS,
    add_marks,
    describe_hit,
    describe_path,
    list_doc_ids,
    make_empty,
    make_layout,
    shorten_name,
    thin_out,
)
from reranker.types import VERDICTS, RankedHit, RankingTrace

TEXT_SPACE = 0.55
"""Of a panel's span, kept free beyond its longest bar for the number beside it."""
LABEL_CHARS = 16
"""Names are shorter here than beside the rank flow: two panels stand next to them."""
BAND = {
    "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "layer": "below",
    "fillcolor": "rgba(204, 121, 167, 0.22)", "line": {"color": SELECTED_COLOR, "width": 1.5},
}  # fmt: skip
"""Behind the selected passage's bars, through both panels; charts.js puts it at its row."""
SWARM_STEPS = 40
"""Dots closer than this part of the axis stand above each other, not on each other."""
SWARM_HEIGHT = 0.4
NO_STAGE1 = "Stage 1 has not scored these passages."
NO_SCORES = "These passages came as a list: they have no scores yet."

Panel = tuple[str, str, list[float]]


def draw_scores(trace: RankingTrace) -> go.Figure:
    """BM25's scores and stage 1's raw logits in the present order.

    Two panels, each with its own axis that begins at or holds zero; only the panels of stages
    that scored are there.
    """
    hits = trace.ranked_hits()
    panels: list[Panel] = [
        (stage, title, [value for value in values if value is not None])
        for stage, title, values in (
            ("bm25", "BM25", [hit.bm25_score for hit in hits]),
            ("stage1", "stage-1 logit", [hit.score for hit in hits]),
        )
        if hits and all(value is not None for value in values)
    ]
    if not panels:
        return make_empty("Scores by stage", NO_SCORES)
    figure = go.Figure(layout=make_layout("Scores by stage", band=BAND))
    step = thin_out(len(hits))
    for position, panel in enumerate(panels):
        _add_panel(figure, hits, panel, position, len(panels), step)
    names = name_apart(trace)
    figure.update_yaxes(
        range=[len(hits) + 0.6, 0.4],
        tickvals=[hit.rank for hit in hits[::step]],
        ticktext=[f"{shorten_name(hit, names, LABEL_CHARS)}  {hit.rank}" for hit in hits[::step]],
        ticklabelstandoff=6,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 42}, bargap=0.3)
    return figure


def _add_panel(
    figure: go.Figure, hits: Sequence[RankedHit], panel: Panel, position: int, count: int, step: int
) -> None:
    stage, title, values = panel
    axis = "" if position == 0 else str(position + 1)
    figure.add_bar(
        orientation="h",
        x=values,
        y=[hit.rank for hit in hits],
        xaxis=f"x{axis}",
        marker={"color": STAGE_COLORS[stage], "line": {"width": 0}},
        text=["" if n % step else f"{value:.2f}" for n, value in enumerate(values)],
        textposition="outside",
        textangle=0,
        textfont={"size": 11},
        constraintext="none",
        cliponaxis=False,
        customdata=list_doc_ids(hits),
        hovertext=[describe_hit(hit) for hit in hits],
        hovertemplate=f"%{{hovertext}}<br>{title} %{{x:.2f}}<extra></extra>",
        name=stage,
        meta=POINTS,
    )
    low, high = min(0.0, *values), max(0.0, *values)
    space = TEXT_SPACE * (high - low or 1)
    width = 1 / count
    figure.layout[f"xaxis{axis}"] = {
        "title": {"text": title, "font": {"size": 12}},
        "domain": [position * width, (position + 1) * width - (0.04 if count > 1 else 0)],
        "range": [low - space if low < 0 else 0, high + space],
        "anchor": "y",
        "fixedrange": True,
        "nticks": 4,
        "zeroline": True,
    }


def draw_distribution(trace: RankingTrace) -> go.Figure:
    """Every stage-1 logit as a dot: all passages, then those of each verdict of stage 2.

    Dots, and not a histogram: with 5 to 100 passages a bin would hold a handful of them, and
    each passage stays visible at its exact value. Height within a row carries no meaning.
    """
    hits = [hit for hit in trace.ranked_hits() if hit.score is not None]
    name = "Stage-1 scores, spread out"
    if not hits:
        return make_empty(name, NO_STAGE1)
    rows = _group_by_verdict(hits)
    figure = go.Figure(layout=make_layout(name))
    scores = [hit.score or 0.0 for hit in hits]
    gap = (max(scores) - min(scores)) / SWARM_STEPS
    for place, (_, members) in enumerate(rows):
        _add_median(figure, [hit.score or 0.0 for hit in members], place)
        _add_swarm(figure, members, place, gap, trace)
    add_marks(figure, width=1.5)
    figure.update_yaxes(
        range=[len(rows) - 0.45, -0.55],
        tickvals=list(range(len(rows))),
        ticktext=[label for label, _ in rows],
        ticklabelstandoff=6,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_xaxes(
        title={"text": "stage-1 logit", "font": {"size": 12}},
        fixedrange=True,
        nticks=6,
        zeroline=False,
    )
    figure.update_layout(margin={"l": 8, "r": 12, "t": 8, "b": 42})
    return figure


def _group_by_verdict(hits: Sequence[RankedHit]) -> list[tuple[str, list[RankedHit]]]:
    """All passages, then a row for every verdict that was given."""
    rows = [(f"<b>all</b>  {len(hits)}", list(hits))]
    for verdict in VERDICTS:
        members = [
            hit for hit in hits if hit.justification and hit.justification.verdict == verdict
        ]
        if members:
            words = f"{VERDICT_MARKS[verdict]} {VERDICT_WORDS[verdict]}"
            rows.append((f"{words}  {len(members)}", members))
    return rows


def _add_median(figure: go.Figure, scores: Sequence[float], place: int) -> None:
    middle = median(scores)
    figure.add_scatter(
        x=[middle, middle],
        y=[place - SWARM_HEIGHT, place + SWARM_HEIGHT],
        mode="lines",
        line={"color": QUIET_COLOR, "width": 2},
        hoverinfo="skip",
        name="median",
    )


def _add_swarm(
    figure: go.Figure, hits: Sequence[RankedHit], place: int, gap: float, trace: RankingTrace
) -> None:
    ordered = sorted(hits, key=lambda hit: hit.score or 0.0)
    scores = [hit.score or 0.0 for hit in ordered]
    figure.add_scatter(
        x=scores,
        y=[place - offset for offset in spread_out(scores, gap)],
        mode="markers",
        marker={
            "color": STAGE_COLORS["stage1"],
            "symbol": STAGE_SYMBOLS["stage1"],
            "size": 9,
            "opacity": 0.85,
            "line": {"color": "#8A5F00", "width": 1},
        },
        customdata=list_doc_ids(ordered),
        hovertext=[describe_path(hit, list_places(hit, trace)) for hit in ordered],
        hovertemplate="%{hovertext}<br>stage-1 logit %{x:.2f}<extra></extra>",
        name="scores",
        meta=POINTS,
        cliponaxis=False,
    )


def spread_out(values: Sequence[float], gap: float) -> list[float]:
    """Heights in ±SWARM_HEIGHT for rising values, so that none closer than `gap` touch.

    Each takes the free level nearest to the middle: 0, 1, -1, 2, -2 and so on.
    """
    taken: dict[int, float] = {}
    levels = []
    for value in values:
        tries = 0
        while True:
            level = (tries + 1) // 2 * (1 if tries % 2 else -1)
            if level not in taken or value - taken[level] >= gap > 0:
                break
            tries += 1
        taken[level] = value
        levels.append(level)
    step = min(0.11, SWARM_HEIGHT / max(1, max(map(abs, levels), default=0)))
    return [level * step for level in levels]
