"""Curves of one training job: its progress in, a Plotly figure out.

Knows `Progress` and no folder. Every line has a colour, a dash of its own and its name at its
side; stages keep their colours elsewhere, so none of them is used here.
"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figure_style import QUIET_COLOR, make_empty, make_layout
from reranker.jobs.progress import EvaluationLine, Progress

PARTS = {
    "loss": ("whole loss", QUIET_COLOR, "solid"),
    "cross_entropy": ("CE", "#009E73", "solid"),
    "ranknet": ("RankNet", "#D55E00", "dash"),
    "distillation": ("KL", "#56B4E9", "dot"),
}
"""Okabe and Ito's palette again: a part of the loss -> name, colour, dash."""
OTHER = ("#009E73", "dashdot")
DEV_COLOR = "#CC79A7"
SHOWN_POINTS = 600
"""Of a curve; longer ones are thinned out, the last point always stays."""
NO_STEPS = "The curves begin with the first step."


def draw_progress(progress: Progress, metric: str) -> go.Figure:
    """Loss parts, the dev measure and the learning rate over the steps, one above the other.

    metric: the name of the measure the best adapter is chosen by.
    """
    if not progress.steps and not progress.evaluations:
        return make_empty("Training", NO_STEPS)
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, row_heights=[0.5, 0.34, 0.16], vertical_spacing=0.09
    )
    figure.update_layout(make_layout("Training"))
    _add_losses(figure, progress)
    _add_dev(figure, progress.evaluations, metric)
    thinned = progress.steps[:: _thin(len(progress.steps))]
    figure.add_scatter(
        x=[line.step for line in thinned],
        y=[line.learning_rate for line in thinned],
        mode="lines",
        line={"color": QUIET_COLOR, "width": 1.5},
        name="learning rate",
        hovertemplate="step %{x}: %{y:.2e}<extra>learning rate</extra>",
        showlegend=False,
        row=3,
        col=1,
    )
    figure.update_xaxes(fixedrange=True, zeroline=False, rangemode="tozero")
    figure.update_xaxes(title={"text": "step", "font": {"size": 12}}, row=3, col=1)
    figure.update_yaxes(fixedrange=True, zeroline=False, nticks=5)
    for row, title in enumerate(("loss", f"dev {metric}", "rate"), start=1):
        figure.update_yaxes(title={"text": title, "font": {"size": 12}}, row=row, col=1)
    figure.update_yaxes(nticks=3, tickformat=".0e", row=3, col=1)
    figure.update_layout(
        margin={"l": 8, "r": 12, "t": 30, "b": 40},
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def _add_losses(figure: go.Figure, progress: Progress) -> None:
    thinned = progress.steps[:: _thin(len(progress.steps))]
    if progress.steps and thinned[-1] is not progress.steps[-1]:
        thinned = (*thinned, progress.steps[-1])
    names = dict.fromkeys(name for line in progress.steps for name in line.parts)
    for part in names:
        label, color, dash = PARTS.get(part, (part.replace("_", " "), *OTHER))
        lines = [line for line in thinned if part in line.parts]
        figure.add_scatter(
            x=[line.step for line in lines],
            y=[line.parts[part] for line in lines],
            mode="lines" if len(lines) > 1 else "markers",
            line={"color": color, "dash": dash, "width": 2.5 if part == "loss" else 1.75},
            name=label,
            hovertemplate=f"step %{{x}}: %{{y:.4f}}<extra>{label}</extra>",
            row=1,
            col=1,
        )


def _add_dev(figure: go.Figure, evaluations: tuple[EvaluationLine, ...], metric: str) -> None:
    measured = [line for line in evaluations if metric in line.measures]
    if not measured:
        return
    values = [line.measures[metric] for line in measured]
    margin = max(0.02, (max(values) - min(values)) * 0.15)
    figure.update_yaxes(range=[min(values) - margin, max(values) + margin], row=2, col=1)
    figure.add_scatter(
        x=[line.step for line in measured],
        y=values,
        mode="lines+markers",
        line={"color": DEV_COLOR, "width": 2},
        marker={"size": 8, "symbol": "circle"},
        name=f"dev {metric}",
        hovertemplate=f"after step %{{x}}: %{{y:.4f}}<extra>dev {metric}</extra>",
        showlegend=False,
        cliponaxis=False,
        row=2,
        col=1,
    )
    before = next((line for line in measured if line.step == 0), None)
    if before is not None:
        figure.add_hline(
            y=before.measures[metric],
            line={"color": QUIET_COLOR, "dash": "dash", "width": 1.5},
            annotation={"text": "before training", "font": {"size": 11}, "yanchor": "top"},
            annotation_position="bottom right",
            row=2,
            col=1,
        )


def _thin(count: int) -> int:
    return 1 + (count - 1) // SHOWN_POINTS if count else 1
