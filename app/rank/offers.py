"""What is offered of a ranking on the page: its files, its link, and the page's history.

Takes a trace, the library and the page's sessions; returns what the controls get, by the names
the screen gives them. Knows no run.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.library import Library
from app.rank.exports import write_report, write_table, write_trace, write_trec
from app.rank.history import History
from app.rank.html_share import render_link
from app.rank.links import find_address, write_link
from app.session import Sessions
from reranker.errors import InputError
from reranker.types import RankingTrace

WRITERS = {
    "report_file": write_report,
    "trace_file": write_trace,
    "trec_file": write_trec,
    "table_file": write_table,
}


def offer_ranking(
    trace: RankingTrace, library: Library, sessions: Sessions, key: str
) -> dict[str, Any]:
    """Everything that can be taken away of a ranking, and the choosers that hold it."""
    folder = sessions.folder(key)
    offered: dict[str, Any] = {}
    for name, write in WRITERS.items():
        try:
            offered[name] = gr.DownloadButton(value=write(trace, folder), interactive=True)
        except InputError:  # TREC cannot hold ids with spaces; the others can
            offered[name] = gr.DownloadButton(value=None, interactive=False)
    try:
        offered["link"] = render_link(write_link(find_address(trace, library)))
    except InputError as error:
        offered["link"] = render_link("", str(error))
    first, second = show_history(sessions.history(key))
    return offered | {"first": first, "second": second}


def withdraw_ranking() -> dict[str, Any]:
    """While a ranking is being made, nothing of the one before is offered in its place."""
    return {name: gr.DownloadButton(interactive=False) for name in WRITERS} | {"link": ""}


def show_history(history: History) -> tuple[Any, Any]:
    """Both choosers, the latest ranking first: the one before the latest, and the latest."""
    choices = [(entry.name, entry.number) for entry in reversed(history.entries)]
    numbers = [number for _, number in choices]
    latest, before = (numbers[0], numbers[:2][-1]) if numbers else (None, None)
    return gr.Dropdown(choices=choices, value=before), gr.Dropdown(choices=choices, value=latest)
