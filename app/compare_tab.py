"""The Compare tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.api import RANK_QUEUE
from app.compare_events import CompareEvents, CompareScreen
from app.comparison import DEFAULT_MEASURES
from app.html_compare import render_compare_intro, render_pictures
from app.rank_events import RankEvents

COMPARE_JS = (Path(__file__).parent / "compare.js").read_text(encoding="utf-8")
ORDERS = [("most disagreement first", "contrast"), ("greatest gain first", "delta"),
          ("by query_id", "query")]  # fmt: skip
EFFECTS = [("all queries", "all"), ("where it gained", "gained"), ("where it lost", "lost"),
           ("unchanged", "same")]  # fmt: skip
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
COMPARE_QUEUE: dict[str, Any] = {"concurrency_id": "compare", "concurrency_limit": 1}
"""Comparisons have a queue of their own: they need no student and no GPU."""


class Inputs(NamedTuple):
    runs: Any
    qrels: Any
    texts: Any
    measures: Any
    compare: Any
    files_error: Any
    example: Any
    stop: Any
    example_status: Any
    history: Any
    compare_history: Any
    history_error: Any


class WalkControls(NamedTuple):
    order: Any
    text: Any
    effect: Any


def build_compare_tab(rank_events: RankEvents) -> None:
    """Adds the tab to the Tabs that are being built."""
    events = CompareEvents(rank_events)
    with gr.Tab("Compare", id="compare") as tab:
        inputs = _build_inputs()
        intro = _html(render_compare_intro(), elem_id="cmp-intro")
        with gr.Column(visible=False, elem_id="cmp-results") as results:
            report = _html(elem_id="cmp-report")
            with gr.Column() as body:
                screen, walk = _build_body(intro, results, report, body)
    _join(events, tab, inputs, screen, walk)


def _build_inputs() -> Inputs:
    with gr.Row(elem_classes="cmp-files"):
        runs = gr.File(
            label="Runs: 2 to 8 TREC files (.gz too) or saved traces",
            file_count="multiple", height=130, elem_id="cmp-runs", scale=2, min_width=260,
        )  # fmt: skip
        qrels = gr.File(label="Qrels: TREC or BEIR", height=130, elem_id="cmp-qrels", min_width=200)
        texts = gr.File(
            label="Texts, if you have them: topics or candidates (.jsonl)",
            height=130, elem_id="cmp-texts", min_width=200,
        )  # fmt: skip
    with gr.Row(elem_classes="bar cmp-bar"):
        measures = gr.Textbox(
            DEFAULT_MEASURES,
            label="Measures: differences are about the first",
            max_lines=1,
            max_length=200,
            scale=3,
            min_width=220,
            elem_id="cmp-measures",
        )
        compare = gr.Button("Compare", variant="primary", scale=0, min_width=110, elem_id="cmp-go")
        example = gr.Button(
            "Compare BM25 with stage 1", scale=0, min_width=220, elem_id="cmp-example"
        )
        stop = gr.Button("Stop", scale=0, min_width=80, interactive=False, elem_id="cmp-stop")
    files_error = _html(elem_id="cmp-files-error")
    example_status = _html(elem_id="cmp-example-status")
    with gr.Accordion("Rankings of this page", open=False):
        history = gr.Dropdown(
            [],
            multiselect=True,
            label="Rankings made or opened on the Rank tab",
            info="Each becomes runs: BM25, stage 1, stage 2. Those of a bundled corpus's own "
            "queries are measured by its judgements.",
            elem_id="cmp-history",
        )
        compare_history = gr.Button("Compare these", size="sm", elem_id="cmp-history-go")
        history_error = _html(elem_id="cmp-history-error")
    return Inputs(
        runs, qrels, texts, measures, compare, files_error, example, stop, example_status,
        history, compare_history, history_error,
    )  # fmt: skip


def _build_body(
    intro: Any, results: Any, report: Any, body: Any
) -> tuple[CompareScreen, WalkControls]:
    with gr.Row(elem_classes="cmp-choices"):
        first = gr.Dropdown([], label="Baseline", elem_id="cmp-first", min_width=150)
        second = gr.Dropdown([], label="Set beside it", elem_id="cmp-second", min_width=150)
    choice_error = _html(elem_id="cmp-choice-error")
    table = _html(elem_id="cmp-table")
    failures = _html(elem_id="cmp-failures")
    with gr.Row():
        with gr.Column(min_width=300):
            deltas = gr.Plot(show_label=False, container=False, elem_classes="chart cmp-deltas")
            _html(render_pictures("cmp-deltas", "the differences by query"))
        with gr.Column(min_width=300):
            spread = gr.Plot(show_label=False, container=False, elem_classes="chart cmp-spread")
            _html(render_pictures("cmp-spread", "the values of every query"))
    with gr.Row(elem_classes="cmp-choices"):
        order = gr.Dropdown(ORDERS, value="contrast", label="Queries, in which order",
                            elem_id="cmp-order", min_width=150)  # fmt: skip
        effect = gr.Dropdown(EFFECTS, value="all", label="Which of them", elem_id="cmp-effect",
                             min_width=150)  # fmt: skip
        text = gr.Textbox(label="With these words", max_lines=1, max_length=200,
                          elem_id="cmp-text", min_width=150)  # fmt: skip
    with gr.Row(elem_classes="split cmp-split"):
        with gr.Column(scale=3, min_width=280):
            queries = _html(elem_id="cmp-queries", js_on_load=COMPARE_JS)
        with gr.Column(scale=7, min_width=320):
            detail = _html(elem_id="cmp-detail")
            flow = gr.Plot(show_label=False, container=False, elem_classes="chart cmp-flow")
            _html(render_pictures("cmp-flow", "the ranks in each run"))
    with gr.Row(elem_classes="downloads"):
        files = [
            gr.DownloadButton(label, size="sm", interactive=False, elem_id=f"cmp-{name}")
            for label, name in (
                ("Table (CSV)", "csv"),
                ("Table (Markdown)", "markdown"),
                ("Table (LaTeX)", "latex"),
                ("Queries (CSV)", "queries-csv"),
                ("Runs (TREC, zip)", "runs-zip"),
            )
        ]
    screen = CompareScreen(
        intro, results, report, body, first, second, choice_error, table, deltas, spread,
        failures, queries, detail, flow, *files,
    )  # fmt: skip
    return screen, WalkControls(order, text, effect)


def _join(
    events: CompareEvents, tab: Any, inputs: Inputs, screen: CompareScreen, walk: WalkControls
) -> None:
    tab.select(events.list_history, None, inputs.history, queue=False, **QUIET)
    gr.on(
        [inputs.compare.click, inputs.measures.submit],
        events.compare_files,
        [inputs.runs, inputs.qrels, inputs.texts, inputs.measures],
        [inputs.files_error, *screen],
        show_progress_on=inputs.files_error,
        **WORK,
        **COMPARE_QUEUE,
    )
    inputs.example.click(
        events.compare_example,
        inputs.measures,
        [inputs.example_status, inputs.stop, *screen],
        show_progress_on=inputs.example_status,
        **WORK,
        **RANK_QUEUE,
    )
    inputs.stop.click(events.stop_example, None, inputs.example_status, queue=False, **QUIET)
    inputs.compare_history.click(
        events.compare_history,
        [inputs.history, inputs.measures],
        [inputs.history_error, *screen],
        show_progress_on=inputs.history_error,
        **WORK,
        **COMPARE_QUEUE,
    )
    gr.on(
        [screen.first.input, screen.second.input],
        events.change,
        [screen.first, screen.second, inputs.measures],
        list(screen),
        show_progress_on=screen.table,
        **WORK,
        **COMPARE_QUEUE,
    )
    gr.on(
        [walk.order.input, walk.effect.input, walk.text.submit, walk.text.blur],
        events.walk,
        list(walk),
        list(screen),
        **QUIET,
    )
    screen.queries.click(
        events.select, None, [screen.detail, screen.flow], trigger_mode="always_last", **QUIET
    )


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
