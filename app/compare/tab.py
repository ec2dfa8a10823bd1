"""The Compare tab: arranges its controls and joins them to their events. Decides nothing.

What runs come from is arranged in app/compare/inputs.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.compare.comparison import DEFAULT_MEASURES, MAX_MEASURES_CHARS
from app.compare.events import CompareEvents
from app.compare.html import render_compare_intro, render_pictures
from app.compare.inputs import COMPARE_QUEUE, QUIET, WORK, build_inputs, join_inputs
from app.compare.screen import CompareScreen
from app.compare.walk import WalkEvents
from app.rank.events import RankEvents

COMPARE_JS = (Path(__file__).parent / "compare.js").read_text(encoding="utf-8")
ORDERS = [("most disagreement first", "contrast"), ("greatest gain first", "delta"),
          ("by query_id", "query")]  # fmt: skip
EFFECTS = [("all queries", "all"), ("where it gained", "gained"), ("where it lost", "lost"),
           ("unchanged", "same")]  # fmt: skip
BOUNDS = (("min-delta", "Difference from"), ("max-delta", "to"), ("min-words", "Words from"),
          ("max-words", "to"), ("min-judged", "Judged at least (%)"))  # fmt: skip
DOWNLOADS = (
    ("Report (HTML)", "report_file"),
    ("Table (CSV)", "table_csv"),
    ("Table (Markdown)", "table_markdown"),
    ("Table (LaTeX)", "table_latex"),
    ("Queries (CSV)", "queries_csv"),
    ("Runs (TREC, zip)", "runs_zip"),
)


class WalkControls(NamedTuple):
    """What is walked through, in the order `WalkEvents.walk` takes it."""

    order: Any
    effect: Any
    text: Any
    label: Any
    min_delta: Any
    max_delta: Any
    min_words: Any
    max_words: Any
    min_judged: Any


class Front(NamedTuple):
    """What a comparison is about."""

    first: Any
    second: Any
    measures: Any


def build_compare_tab(rank_events: RankEvents) -> None:
    """Adds the tab to the Tabs that are being built."""
    events = CompareEvents(rank_events)
    with gr.Tab("Compare", id="compare") as tab:
        inputs = build_inputs(rank_events.library)
        intro = _html(render_compare_intro(), elem_id="cmp-intro")
        with gr.Column(visible=False, elem_id="cmp-results") as results:
            report = _html(elem_id="cmp-report")
            with gr.Column() as body:
                front, overview = _build_overview()
                walk, queries = _build_queries()
                files = _build_downloads()
    screen = CompareScreen(
        intro=intro, results=results, report=report, body=body, first=front.first,
        second=front.second, label=walk.label, **overview, **queries, **files,
    )  # fmt: skip
    join_inputs(events, tab, inputs, screen, front.measures)
    _join_walk(WalkEvents(events.screens), screen, front, walk)


def _build_overview() -> tuple[Front, dict[str, Any]]:
    with gr.Row(elem_classes="cmp-choices"):
        first = gr.Dropdown([], label="Baseline", elem_id="cmp-first", min_width=150)
        second = gr.Dropdown([], label="Set beside it", elem_id="cmp-second", min_width=150)
        measures = gr.Textbox(
            DEFAULT_MEASURES, label="Measures: differences are about the first", max_lines=1,
            max_length=MAX_MEASURES_CHARS, min_width=220, elem_id="cmp-measures",
        )  # fmt: skip
    parts = {
        "choice_error": _html(elem_id="cmp-choice-error"),
        "table": _html(elem_id="cmp-table"),
        "failures": _html(elem_id="cmp-failures"),
    }
    with gr.Row():
        with gr.Column(min_width=300):
            parts["deltas"] = _plot("cmp-deltas", "the differences by query")
        with gr.Column(min_width=300):
            parts["spread"] = _plot("cmp-spread", "the values of every query")
    return Front(first, second, measures), parts


def _build_queries() -> tuple[WalkControls, dict[str, Any]]:
    with gr.Row(elem_classes="cmp-choices"):
        order = gr.Dropdown(ORDERS, value="contrast", label="Queries, in which order",
                            elem_id="cmp-order", min_width=150)  # fmt: skip
        effect = gr.Dropdown(EFFECTS, value="all", label="Which of them", elem_id="cmp-effect",
                             min_width=150)  # fmt: skip
        text = gr.Textbox(label="With these words", max_lines=1, max_length=200,
                          elem_id="cmp-text", min_width=150)  # fmt: skip
        label = gr.Dropdown([("any", "")], value="", label="Marked or tagged",
                            elem_id="cmp-label", min_width=150)  # fmt: skip
    with gr.Accordion("Filter by difference, length and judged share", open=False):
        with gr.Row(elem_classes="cmp-choices"):
            bounds = [
                gr.Textbox(label=words, placeholder="any", max_lines=1, max_length=20,
                           elem_id=f"cmp-{name}", min_width=110)
                for name, words in BOUNDS
            ]  # fmt: skip
    parts = {"walk_error": _html(elem_id="cmp-walk-error")}
    with gr.Row(elem_classes="split cmp-split"):
        with gr.Column(scale=3, min_width=280):
            parts["queries"] = _html(elem_id="cmp-queries", js_on_load=COMPARE_JS)
        with gr.Column(scale=7, min_width=320):
            parts["shown"] = gr.Dropdown(
                [], multiselect=True, label="Runs side by side", elem_id="cmp-shown"
            )
            parts["detail"] = _html(elem_id="cmp-detail")
            parts["flow"] = _plot("cmp-flow", "the ranks in each run")
    return WalkControls(order, effect, text, label, *bounds), parts


def _build_downloads() -> dict[str, Any]:
    with gr.Row(elem_classes="downloads"):
        return {
            name: gr.DownloadButton(
                label, size="sm", interactive=False, elem_id=f"cmp-{name.replace('_', '-')}"
            )
            for label, name in DOWNLOADS
        }


def _join_walk(events: WalkEvents, screen: CompareScreen, front: Front, walk: WalkControls) -> None:
    gr.on(
        [front.first.input, front.second.input, front.measures.submit],
        events.change,
        list(front),
        list(screen),
        show_progress_on=screen.table,
        **WORK,
        **COMPARE_QUEUE,
    )
    typed = [walk.text, *walk[WalkControls._fields.index("min_delta") :]]
    gr.on(
        [
            *(control.input for control in (walk.order, walk.effect, walk.label)),
            *(event for control in typed for event in (control.submit, control.blur)),
        ],
        events.walk,
        list(walk),
        list(screen),
        trigger_mode="always_last",  # what is typed while an answer is under way counts as well
        **QUIET,
    )
    query = [screen.detail, screen.flow]
    screen.shown.input(
        events.choose_shown, screen.shown, query, trigger_mode="always_last", **QUIET
    )
    screen.queries.click(events.select, None, query, trigger_mode="always_last", **QUIET)
    screen.queries.edit(
        events.remark, None, list(screen), trigger_mode="multiple", queue=False, **QUIET
    )


def _plot(name: str, what: str) -> Any:
    """A chart with buttons that save it as a picture."""
    plot = gr.Plot(show_label=False, container=False, elem_classes=f"chart {name}")
    _html(render_pictures(name, what))
    return plot


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
