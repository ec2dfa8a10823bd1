"""Where runs come from on the Compare tab: arranges the controls and joins them to their events."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.compare.events import OWN_FILE, CompareEvents
from app.compare.experiments import is_keeping_on
from app.compare.screen import CompareScreen
from app.compare.systems import FIRST_STAGE, MAX_DEPTH, MAX_QUERIES, SYSTEM_NAMES, list_judged
from app.html import render_note
from app.library import Library
from app.stopping import say_stopping

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
COMPARE_QUEUE: dict[str, Any] = {"concurrency_id": "compare", "concurrency_limit": 1}
"""Comparisons have a queue of their own: they need no student and no GPU."""
EVALUATE_QUEUE: dict[str, Any] = {"concurrency_id": "evaluate", "concurrency_limit": 1}
"""One evaluation at a time; its queries take turns with other visitors' rankings."""
KEEP = "Keep the experiment on this machine: whoever opens this page can choose it"
OWN = (
    "A BEIR folder as .zip (corpus.jsonl, queries.jsonl, qrels/), or candidates as .jsonl or in "
    "RankGPT's .json with their qrels. It is seen by this page only."
)
SAVED = (
    "Folders that python -m reranker evaluate --out wrote where this server keeps experiments, and "
    "those kept from this page. One from elsewhere opens as a .zip under Files."
)
HISTORY = (
    "Each becomes runs: BM25, stage 1, stage 2. Those of a bundled corpus's own queries are "
    "measured by its judgements."
)


class FileInputs(NamedTuple):
    runs: Any
    qrels: Any
    texts: Any
    compare: Any
    error: Any


class Evaluation(NamedTuple):
    run: Any
    stop: Any
    status: Any
    saved: Any


class Chooser(NamedTuple):
    chosen: Any
    compare: Any
    error: Any


class Inputs(NamedTuple):
    """The controls, source by source. evaluate: all but the measures."""

    files: FileInputs
    evaluate: tuple[Any, ...]
    evaluation: Evaluation
    experiments: Chooser
    history: Chooser


def build_inputs(library: Library) -> Inputs:
    """A tab for every place that runs come from."""
    with gr.Tabs(elem_classes="cmp-sources"):
        with gr.Tab("Files"):
            files = _build_files()
        with gr.Tab("Run systems now"):
            evaluate, evaluation = _build_evaluation(library)
        with gr.Tab("Saved experiments"):
            experiments = _build_chooser("experiments", "Saved on this server", SAVED)
        with gr.Tab("Rankings of this page"):
            title = "Rankings made or opened on the Rank tab"
            history = _build_chooser("history", title, HISTORY)
    return Inputs(files, evaluate, evaluation, experiments, history)


def _build_files() -> FileInputs:
    with gr.Row(elem_classes="cmp-files"):
        runs = gr.File(
            label="Runs", file_count="multiple", height=130, elem_id="cmp-runs", min_width=260
        )
        qrels = gr.File(label="Qrels", height=130, elem_id="cmp-qrels", min_width=260)
        texts = gr.File(label="Texts (optional)", height=130, elem_id="cmp-texts", min_width=260)
    compare = gr.Button("Compare", variant="primary", scale=0, min_width=110, elem_id="cmp-go")
    return FileInputs(runs, qrels, texts, compare, _html(elem_id="cmp-files-error"))


def _build_evaluation(library: Library) -> tuple[tuple[Any, ...], Evaluation]:
    judged = list_judged(library)
    students = [(profile.title, name) for name, profile in library.list_profiles().items()]
    with gr.Row(elem_classes="cmp-choices"):
        source = gr.Dropdown(
            [*judged, ("A collection of mine", OWN_FILE)], label="Collection", min_width=180,
            value=judged[0][1] if judged else OWN_FILE, elem_id="cmp-collection",
        )  # fmt: skip
        student = gr.Dropdown(
            students, value=library.student, label="Student", min_width=180, elem_id="cmp-student"
        )
        depth = gr.Number(20, label="Candidates a query", precision=0, minimum=1,
                          maximum=MAX_DEPTH, min_width=130, elem_id="cmp-depth")  # fmt: skip
        read = gr.Number(20, label="Read by stage 2", precision=0, minimum=1,
                         maximum=MAX_DEPTH, min_width=130, elem_id="cmp-read")  # fmt: skip
        limit = gr.Number(0, label="Queries (0: all)", precision=0, minimum=0,
                          maximum=MAX_QUERIES, min_width=130, elem_id="cmp-limit")  # fmt: skip
    with gr.Row(visible=source.value == OWN_FILE, elem_classes="cmp-files") as own:
        file = gr.File(label="Collection", height=130, elem_id="cmp-own", min_width=260,
                       file_types=[".zip", ".jsonl", ".json", ".gz"])  # fmt: skip
        qrels = gr.File(label="Qrels of candidates", height=130, elem_id="cmp-own-qrels",
                        min_width=260)  # fmt: skip
    hint = _html(render_note(OWN), visible=source.value == OWN_FILE)
    systems = gr.CheckboxGroup(
        [(name, key) for key, name in SYSTEM_NAMES.items()], value=[FIRST_STAGE, "stage1"],
        label="Systems", elem_id="cmp-systems",
    )  # fmt: skip
    with gr.Row(elem_classes="bar cmp-bar"):
        run = gr.Button("Run and compare", variant="primary", scale=0, min_width=160,
                        elem_id="cmp-run")  # fmt: skip
        stop = gr.Button("Stop", scale=0, min_width=80, interactive=False, elem_id="cmp-stop")
        saved = gr.DownloadButton("Experiment (zip)", scale=0, min_width=160, interactive=False,
                                  elem_id="cmp-experiment")  # fmt: skip
        keep = gr.Checkbox(False, label=KEEP, visible=is_keeping_on(), elem_id="cmp-keep")
    source.input(
        lambda name: [gr.update(visible=name == OWN_FILE)] * 2, source, [own, hint], queue=False,
        **QUIET,
    )  # fmt: skip
    controls = (source, file, qrels, student, systems, depth, read, limit, keep)
    return controls, Evaluation(run, stop, _html(elem_id="cmp-run-status"), saved)


def _build_chooser(name: str, title: str, info: str) -> Chooser:
    chosen = gr.Dropdown([], multiselect=True, label=title, info=info, elem_id=f"cmp-{name}")
    compare = gr.Button("Compare these", size="sm", elem_id=f"cmp-{name}-go")
    return Chooser(chosen, compare, _html(elem_id=f"cmp-{name}-error"))


def join_inputs(
    events: CompareEvents, tab: Any, inputs: Inputs, screen: CompareScreen, measures: Any
) -> None:
    """tab: the tab itself, whose opening lists what can be chosen."""
    files, evaluation = inputs.files, inputs.evaluation
    lists = [inputs.history.chosen, inputs.experiments.chosen]
    tab.select(events.list_saved, None, lists, queue=False, **QUIET)
    files.compare.click(
        events.compare_files,
        [files.runs, files.qrels, files.texts, measures],
        [files.error, *screen],
        show_progress_on=files.error,
        **WORK,
        **COMPARE_QUEUE,
    )
    for chooser, compare in (
        (inputs.history, events.compare_history),
        (inputs.experiments, events.compare_experiments),
    ):
        chooser.compare.click(
            compare,
            [chooser.chosen, measures],
            [chooser.error, *screen],
            show_progress_on=chooser.error,
            **WORK,
            **COMPARE_QUEUE,
        )
    begun = evaluation.run.click(
        events.begin_evaluation,
        None,
        [evaluation.status, evaluation.run, evaluation.stop],
        queue=False,
        **QUIET,
    )
    begun.then(
        events.evaluate,
        [*inputs.evaluate, measures],
        [evaluation.status, evaluation.run, evaluation.stop, evaluation.saved, *screen],
        **QUIET,
        **EVALUATE_QUEUE,
    ).then(events.list_saved, None, lists, queue=False, **QUIET)
    say_stopping(evaluation.stop, evaluation.status)
    evaluation.stop.click(events.stop_evaluation, None, None, queue=False, **QUIET)


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
