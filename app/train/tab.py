"""The Train tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import gradio as gr

from app.html import render_note
from app.train.board_panel import build_board_panel
from app.train.events import OFF, QUICK, Checked, TrainEvents, is_training_on
from app.train.html import render_off
from app.train.options import OPTIONS, OWN_FILE, Group, Option, list_formats, list_settings
from reranker.jobs.presets import make_settings

PRESETS = [
    ("Quick: minutes on a laptop", "quick"),
    ("Paper: DeAR's own settings", "paper"),
    ("Custom", "custom"),
]
STAGES = [("Stage 1: scores", "stage1"), ("Stage 2: reasons and order", "stage2")]
INTRO = (
    "Fine-tunes a student on this machine, as a process of its own: close or reload this page and "
    "it goes on. What it writes on disk is all this page shows. Jobs, and the files they "
    "learn from, stay there until they are deleted; whoever can open this page sees the jobs."
)


class FormControls(NamedTuple):
    """The controls of the form, in the order `read_values` takes them; options come last."""

    student: Any
    stage: Any
    preset: Any
    source: Any
    file: Any
    format: Any
    corpus: Any


class TrainDoor(NamedTuple):
    """What another tab needs to open this one with its data chosen. check: the event that reads
    the form and reports on its data."""

    events: TrainEvents
    form: FormControls
    options: list[Any]
    check: dict[str, Any]


def build_train_tab(events: TrainEvents, students: Any) -> TrainDoor | None:
    """Adds the tab's contents to the Blocks that is being built. students: the Rank tab's list.

    None where training is switched off.
    """
    if not is_training_on():
        _html(render_off(OFF))
        return None
    _html(render_note(INTRO))
    with gr.Row(elem_classes="train-split"):
        with gr.Column(scale=5, min_width=320, elem_classes="train-form"):
            form, options = _build_form(events)
            checked, start_error, files = _build_checked()
        with gr.Column(scale=6, min_width=320, elem_classes="train-board"):
            board = build_board_panel(events, students)
    check = _join_form(events, form, options, checked, files)
    checked.start.click(
        events.start,
        [*form, *options],
        [start_error, *board],
        show_progress="hidden",
        concurrency_limit=1,
        api_visibility="private",
    )
    return TrainDoor(events, form, options, check)


def _build_form(events: TrainEvents) -> tuple[FormControls, list[Any]]:
    library, offer = events.library, events.offer
    titles = {info.corpus_id: info.title for info in library.corpora}
    profiles = library.list_profiles()
    with gr.Row():
        student = gr.Dropdown(
            [(profiles[name].title, name) for name in offer.students],
            value=library.student, label="Student", elem_id="train-student",
            info="Whose adapter is trained; its base stays as it is.",
        )  # fmt: skip
        stage = gr.Radio(
            STAGES, value="stage1", label="Stage", elem_id="train-stage",
            info="Stage 1 learns from judged lists, stage 2 from written answers.",
        )  # fmt: skip
    with gr.Row():
        source = gr.Dropdown(
            [*[(titles[name], name) for name in offer.sources], ("A file of mine", OWN_FILE)],
            value=next(iter(offer.sources), OWN_FILE), label="Training data",
            elem_id="train-source", info="Queries with judged passages.",
        )  # fmt: skip
        preset = gr.Dropdown(
            PRESETS, value="quick", label="Preset", elem_id="train-preset",
            info="Fills every setting below; changing one makes it custom.",
        )  # fmt: skip
    formats = list_formats("stage1")
    data_format = gr.Dropdown(
        formats, value=formats[0][1], label="Form of the file", visible=False,
        elem_id="train-format", info="What each line holds is described in docs/training.md.",
    )  # fmt: skip
    corpus = gr.Dropdown(
        [("Only the file's own passages", ""), *[(titles[n], n) for n in offer.corpora]],
        value="", label="Corpus for negatives", visible=False, elem_id="train-corpus",
        info="Where BM25 draws hard negatives and dev candidates from, for .jsonl files.",
    )  # fmt: skip
    file = gr.File(
        label="Your file (.jsonl, or a BEIR .zip)", file_types=[".jsonl", ".zip"], height=150,
        visible=False, elem_id="train-file",
    )  # fmt: skip
    controls = FormControls(student, stage, preset, source, file, data_format, corpus)
    return controls, _build_options()


def _build_options() -> list[Any]:
    """A control for every option, in the order of OPTIONS."""
    values = list_settings(make_settings("quick", "stage1"))
    built: dict[str, Any] = {}
    with gr.Accordion("All settings, explained", open=False, elem_id="train-settings"):
        with gr.Tabs():
            for group in get_args(Group):
                with gr.Tab(group, elem_classes="train-options"):
                    with gr.Row():
                        for option in OPTIONS:
                            if option.group == group:
                                built[option.name] = _build_option(option, values[option.name])
    return [built[option.name] for option in OPTIONS]


def _build_option(option: Option, value: Any) -> Any:
    shared: dict[str, Any] = {
        "value": value,
        "label": option.label,
        "info": option.info,
        "visible": option.stage in ("", "stage1"),
        "elem_id": f"train-{option.name.replace('.', '-')}",
        "min_width": 200,
    }
    if option.choices:
        return gr.Dropdown(list(option.choices), **shared)
    if isinstance(value, bool):
        return gr.Checkbox(**shared)
    if isinstance(value, int):
        return gr.Number(precision=0, minimum=0, **shared)
    return gr.Number(minimum=0, step=0.00001 if value < 0.01 else 0.05, **shared)


def _build_checked() -> tuple[Checked, Any, tuple[Any, Any]]:
    """What follows the form, the place of an error at the start, and what loads settings: a
    button and its answer."""
    data = _html(elem_id="train-data")
    error = _html(elem_id="train-data-error")
    memory = _html(elem_id="train-memory")
    with gr.Row(elem_classes="downloads"):
        start = gr.Button("Start training", variant="primary", elem_id="train-start")
        config = gr.DownloadButton(
            "Save the settings", size="sm", interactive=False, elem_id="train-save"
        )
        load = gr.UploadButton(
            "Load settings", size="sm", file_types=[".json"], elem_id="train-load"
        )
    start_error = _html(elem_id="train-start-error")
    loaded = _html(elem_id="train-loaded")
    command = _html(elem_id="train-command")
    return Checked(data, error, memory, command, start, config), start_error, (load, loaded)


def _join_form(
    events: TrainEvents,
    form: FormControls,
    options: list[Any],
    checked: Checked,
    files: tuple[Any, Any],
) -> dict[str, Any]:
    values = [*form, *options]
    check: dict[str, Any] = {
        "fn": events.check,
        "inputs": values,
        "outputs": list(checked),
        "trigger_mode": "always_last",
        **QUICK,
    }
    own = [form.format, form.corpus, form.file]
    fill: dict[str, Any] = {
        "fn": events.fill,
        "inputs": [form.student, form.stage, form.preset, form.source],
        "outputs": [form.source, *own, *options],
        **QUICK,
    }
    for control in (form.student, form.stage, form.preset):
        control.input(**fill).then(**check)
    form.source.input(events.choose_source, [form.source, form.stage], own, **QUICK).then(**check)
    for control in (form.format, form.corpus):
        control.input(**check)
    gr.on([form.file.upload, form.file.clear], **check)
    # A setting changed by hand leaves the preset it came from.
    gr.on([option.input for option in options], lambda: "custom", None, form.preset, **QUICK).then(
        **check
    )
    gr.on(None, **check)
    load, loaded = files
    load.upload(events.load_config, load, [loaded, *values], **QUICK).then(**check)
    return check


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
