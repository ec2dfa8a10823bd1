"""The drawer of rankings that exist already: saved traces, this page's history, two side by side.

Arranges the controls and joins them to their events; decides nothing. Links are read when the
page opens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.rank.events import Choices, Screen
from app.rank.history import MAX_ENTRIES
from app.rank.share_events import Link, ShareEvents

LINK_JS = (Path(__file__).parent / "link.js").read_text(encoding="utf-8")
DROP_JS = (Path(__file__).parent / "drop.js").read_text(encoding="utf-8")


class SharePanel(NamedTuple):
    drawer: Any
    file: Any
    file_error: Any
    first: Any
    second: Any
    again: Any
    beside: Any
    clear: Any
    error: Any
    sides: Any


def build_share_panel() -> SharePanel:
    """Adds the drawer to the Blocks that is being built."""
    with gr.Accordion("Earlier and saved rankings", open=False, elem_id="share") as drawer:
        with gr.Row():
            with gr.Column(scale=6, min_width=320):
                first = gr.Dropdown(
                    [], label="First ranking", elem_id="history-first",
                    info=f"The latest {MAX_ENTRIES} are kept until the page is closed or "
                    "reloaded, and no other page sees them.",
                )  # fmt: skip
                second = gr.Dropdown([], label="Second ranking", elem_id="history-second")
                with gr.Row(elem_classes="downloads"):
                    again = gr.Button("Show the first again", size="sm", elem_id="history-again")
                    beside = gr.Button("Side by side", size="sm", elem_id="history-beside")
                    clear = gr.Button("Forget all", size="sm", elem_id="history-clear")
                error = _html(elem_id="history-error")
            with gr.Column(scale=4, min_width=300):
                file = gr.File(
                    label="Show a saved trace: drop it anywhere on the page, or choose it",
                    height=170,
                    elem_id="trace-drop",
                )
                file_error = _html(elem_id="trace-error")
        sides = _html(elem_id="sides")
    return SharePanel(drawer, file, file_error, first, second, again, beside, clear, error, sides)


def join_share_panel(
    events: ShareEvents, panel: SharePanel, choices: Choices, screen: Screen, tab: gr.Tab
) -> None:
    """Joins the drawer to its events, and the page's opening to what its address asks for. tab:
    the one it is in; rankings made on others are listed when it is chosen again."""
    quick: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    panel.file.upload(
        events.show_file,
        panel.file,
        [panel.file, panel.file_error, panel.drawer, *choices, *screen],
        show_progress="minimal",
        show_progress_on=panel.file,
        concurrency_limit=4,
        api_visibility="private",
    )
    tab.select(events.list_newer, [panel.first, panel.second], [panel.first, panel.second], **quick)
    panel.again.click(events.show_again, panel.first, [panel.error, *choices, *screen], **quick)
    panel.beside.click(events.compare, [panel.first, panel.second], panel.sides, **quick)
    panel.clear.click(
        events.clear, None, [panel.first, panel.second, panel.error, panel.sides], **quick
    )
    link = Link(screen.status, screen.query_error, screen.corpus_error)
    gr.on(None, events.follow_link, None, [*link, *choices], **quick)
    gr.on(None, None, None, None, js=DROP_JS, **quick)


def _html(**options: Any) -> Any:
    return gr.HTML("", apply_default_css=False, **options)
