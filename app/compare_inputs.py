"""Where runs come from on the Compare tab: arranges the controls and joins them to their events."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.api import RANK_QUEUE
from app.compare_events import CompareEvents
from app.compare_screen import CompareScreen

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
COMPARE_QUEUE: dict[str, Any] = {"concurrency_id": "compare", "concurrency_limit": 1}
"""Comparisons have a queue of their own: they need no student and no GPU."""
HISTORY = (
    "Each becomes runs: BM25, stage 1, stage 2. Those of a bundled corpus's own queries are "
    "measured by its judgements."
)


class Inputs(NamedTuple):
    """The controls, source by source."""

    runs: Any
    qrels: Any
    texts: Any
    compare: Any
    files_error: Any
    example: Any
    stop: Any
    example_status: Any
    history: Any
    compare_history: Any
    history_error: Any


def build_inputs() -> Inputs:
    """A tab for every place that runs come from."""
    with gr.Tabs(elem_classes="cmp-sources"):
        with gr.Tab("Files"):
            files = _build_files()
        with gr.Tab("Run systems now"):
            example = _build_example()
        with gr.Tab("Rankings of this page"):
            history = _build_history()
    return Inputs(*files, *example, *history)


def _build_files() -> tuple[Any, ...]:
    with gr.Row(elem_classes="cmp-files"):
        runs = gr.File(
            label="Runs", file_count="multiple", height=130, elem_id="cmp-runs", scale=2,
            min_width=260,
        )  # fmt: skip
        qrels = gr.File(label="Qrels", height=130, elem_id="cmp-qrels", min_width=200)
        texts = gr.File(label="Texts (optional)", height=130, elem_id="cmp-texts", min_width=200)
    compare = gr.Button("Compare", variant="primary", scale=0, min_width=110, elem_id="cmp-go")
    return runs, qrels, texts, compare, _html(elem_id="cmp-files-error")


def _build_example() -> tuple[Any, ...]:
    with gr.Row(elem_classes="bar cmp-bar"):
        example = gr.Button(
            "Compare BM25 with stage 1", scale=0, min_width=220, elem_id="cmp-example"
        )
        stop = gr.Button("Stop", scale=0, min_width=80, interactive=False, elem_id="cmp-stop")
    return example, stop, _html(elem_id="cmp-example-status")


def _build_history() -> tuple[Any, ...]:
    history = gr.Dropdown(
        [], multiselect=True, label="Rankings made or opened on the Rank tab", info=HISTORY,
        elem_id="cmp-history",
    )  # fmt: skip
    compare = gr.Button("Compare these", size="sm", elem_id="cmp-history-go")
    return history, compare, _html(elem_id="cmp-history-error")


def join_inputs(
    events: CompareEvents, tab: Any, inputs: Inputs, screen: CompareScreen, measures: Any
) -> None:
    """tab: the tab itself, whose opening lists this page's rankings."""
    tab.select(events.list_history, None, inputs.history, queue=False, **QUIET)
    inputs.compare.click(
        events.compare_files,
        [inputs.runs, inputs.qrels, inputs.texts, measures],
        [inputs.files_error, *screen],
        show_progress_on=inputs.files_error,
        **WORK,
        **COMPARE_QUEUE,
    )
    inputs.example.click(
        events.compare_example,
        measures,
        [inputs.example_status, inputs.stop, *screen],
        show_progress_on=inputs.example_status,
        **WORK,
        **RANK_QUEUE,
    )
    inputs.stop.click(events.stop_example, None, inputs.example_status, queue=False, **QUIET)
    inputs.compare_history.click(
        events.compare_history,
        [inputs.history, measures],
        [inputs.history_error, *screen],
        show_progress_on=inputs.history_error,
        **WORK,
        **COMPARE_QUEUE,
    )


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
