"""The charts beside the ranking: arranges them, and says what each shows of a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.plots import make_plot
from app.rank.exports import format_csv, name_files
from app.rank.figures import CHARTS, Chart
from app.rank.html_chart_tools import render_chart_tools, render_selection
from reranker.types import RankingTrace

CHARTS_JS = (Path(__file__).parent / "charts.js").read_text(encoding="utf-8")


def build_chart_panel() -> dict[str, Any]:
    """Adds a tab for each chart to the Blocks that is being built; the parts that
    `show_charts` fills, by name."""
    parts: dict[str, Any] = {}
    gr.HTML(render_selection(), apply_default_css=False, js_on_load=CHARTS_JS)
    with gr.Tabs():
        for chart in CHARTS:
            with gr.Tab(chart.title, elem_classes="chart-tab"):
                parts[chart.key] = gr.Plot(
                    show_label=False, container=False, elem_classes=["chart", f"chart-{chart.key}"]
                )
                parts[f"{chart.key}_tools"] = gr.HTML(apply_default_css=False)
    return parts


def show_charts(trace: RankingTrace) -> dict[str, Any]:
    """What to put into the panel's parts for this trace, by the same names."""
    shown: dict[str, Any] = {}
    for chart in CHARTS:
        shown[chart.key] = make_plot(chart.draw(trace))
        shown[f"{chart.key}_tools"] = _render_tools(chart, trace)
    return shown


def _render_tools(chart: Chart, trace: RankingTrace) -> str:
    table = chart.tabulate(trace)
    return render_chart_tools(
        key=chart.key,
        title=chart.title,
        heading=f"{chart.title}: {trace.query.text}",
        caption=chart.describe(trace),
        table=table,
        csv=format_csv(table.columns, table.rows),
        file_name=f"{name_files(trace)}-{chart.key}",
    )
