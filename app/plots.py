"""A Plotly figure as what gr.Plot sends to the browser, with the toolbar's settings.

Takes a figure, returns `PlotData`. Needed because a figure's own JSON has no place for them.
"""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go
from gradio.components.plot import PlotData

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": False,
    "scrollZoom": False,
    "doubleClick": False,
}


def make_plot(figure: go.Figure) -> PlotData:
    """The figure and CONFIG as one JSON object."""
    return PlotData(
        type="plotly", plot=json.dumps({**json.loads(figure.to_json()), "config": CONFIG})
    )
