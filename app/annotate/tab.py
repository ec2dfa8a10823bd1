"""The Annotate tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.annotate.events import AnnotateEvents, Board
from app.annotate.owner import OwnerEvents
from app.annotate.panels import Create, Manage, build_create, build_manage
from app.annotate.results import ResultEvents
from app.html import render_message, render_note
from app.messages import Message
from reranker.annotation.exports import FORMATS
from reranker.annotation.push import describe_persistence

SCRIPTS = ("answers", "draw", "saving", "acts", "keys")
DESK_JS = "\n".join(
    (Path(__file__).parent / f"{name}.js").read_text(encoding="utf-8")
    for name in (*(f"annotate_{script}" for script in SCRIPTS), "annotate")
)
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
OFF = (
    "Anyone can open this page, and judgements are kept: whoever runs it can switch annotation on "
    "with logins (--login), a proxy's header (DEAR_USER_HEADER), or DEAR_ANNOTATION=on."
)


class AnnotateLinks(NamedTuple):
    """What joins the tab to others: a training button for each stage, the project and where their
    errors go; for a ranking that comes in, the board and the panels around the desk."""

    stage1: Any
    stage2: Any
    project: Any
    error: Any
    results: ResultEvents
    board: Board
    panels: Any
    events: AnnotateEvents


def build_off() -> None:
    """What stands in the tab where visitors cannot be told apart."""
    _html(render_note(OFF))


def build_annotate_tab(
    page: gr.Blocks, events: AnnotateEvents, results: ResultEvents
) -> AnnotateLinks:
    """Adds the tab's contents to the page that is being built."""
    remembered = gr.BrowserState("", storage_key="dear-annotate-project")
    warning = describe_persistence().warning
    if warning:
        _html(render_message(Message(text=warning, tone="error")), elem_id="ann-warning")
    with gr.Row(elem_classes="ann-top"):
        projects = gr.Dropdown([], label="Project", elem_id="ann-project", scale=2, min_width=240)
        mode = gr.Radio(
            [("Judge", "judge"), ("Adjudicate", "adjudicate")],
            value="judge", label="What to do", elem_id="ann-mode", visible=False, min_width=220,
        )  # fmt: skip
    who = _html(elem_id="ann-who")
    with gr.Tabs(elem_id="ann-tabs") as panels:
        with gr.Tab("Judge", id="ann-judge"):
            desk = _build_desk(events)
        with gr.Tab("Agreement", id="ann-agreement-tab"):
            measure = gr.Button("Measure agreement", size="sm", elem_id="ann-measure")
            agreement = _html(elem_id="ann-agreement")
        with gr.Tab("Export", id="ann-export-tab"):
            names, export, backup, (stage1, stage2), error, files = _build_exports()
        with gr.Tab("Project", id="ann-project-tab"):
            create = build_create()
            with gr.Column(visible=False, elem_id="ann-manage") as manage:
                corpora = [(info.title, info.corpus_id) for info in events.library.corpora]
                owned = build_manage(corpora)
    board = Board(
        projects, who, desk, mode, create.drawer, manage, *owned.form, owned.people, agreement,
        files,
    )  # fmt: skip
    # Only when the page opens: an event of its own for each change of what is remembered would
    # bring a project back that somebody has left meanwhile.
    page.load(events.open, remembered, list(board), **QUIET)
    _join_project(events, board, remembered)
    _join_owner(OwnerEvents(events), board, create, owned)
    measure.click(results.measure, projects, agreement, show_progress_on=agreement, **WORK)
    export.click(results.export, [projects, names], [error, files], **WORK)
    backup.click(results.back_up, None, [error, files], **WORK)
    return AnnotateLinks(stage1, stage2, projects, error, results, board, panels, events)


def _build_desk(events: AnnotateEvents) -> Any:
    # Gradio marks server functions, which it cannot do to bound methods.
    def desk_open(sent: Any, request: gr.Request) -> Any:
        return events.desk.open_item(sent, request)

    def desk_save(sent: Any, request: gr.Request) -> Any:
        return events.desk.save(sent, request)

    def desk_gold(sent: Any, request: gr.Request) -> Any:
        return events.desk.mark_gold(sent, request)

    served = [desk_open, desk_save, desk_gold]
    return _html(elem_id="ann-desk", js_on_load=DESK_JS, server_functions=served)


def _build_exports() -> tuple[Any, ...]:
    names = gr.CheckboxGroup(
        [(found.title, name) for name, found in FORMATS.items()],
        value=["history", "card"], label="Formats", elem_id="ann-formats",
    )  # fmt: skip
    with gr.Row(elem_classes="downloads"):
        export = gr.Button("Make files", size="sm", elem_id="ann-export")
        stage1 = gr.Button("Train stage 1 on these", size="sm", elem_id="ann-train-1")
        stage2 = gr.Button("Train stage 2 on these", size="sm", elem_id="ann-train-2")
        backup = gr.Button("Back up all projects", size="sm", elem_id="ann-backup")
    error = _html(elem_id="ann-export-error")
    files = gr.File(label="Files", file_count="multiple", visible=False, elem_id="ann-files")
    return names, export, backup, (stage1, stage2), error, files


def _join_project(events: AnnotateEvents, board: Board, remembered: Any) -> None:
    parts, project = list(board), board.projects
    project.change(lambda chosen: chosen or "", project, remembered, **QUIET)
    project.input(events.choose, project, parts, **QUIET)
    board.mode.input(events.change_mode, [project, board.mode], parts, **QUIET)


def _join_owner(events: OwnerEvents, board: Board, create: Create, manage: Manage) -> None:
    parts, project = list(board), board.projects
    inputs, [button], told = create.act
    button.click(events.create, inputs, [told, *parts], **WORK)
    inputs, [button], told = manage.settings
    button.click(events.write_settings, [project, *inputs], [told, *parts], **WORK)
    inputs, [button], told = manage.items
    button.click(events.add_items, [project, *inputs], [told, *parts], **WORK)
    inputs, [button], told = manage.roles
    button.click(events.set_role, [project, *inputs], [told, board.people], **WORK)
    inputs, buttons, told = manage.share
    acts = (events.give_items, events.give_gold, events.take_back)
    for button, act in zip(buttons, acts, strict=True):
        button.click(act, [project, *inputs], [told, board.people], **WORK)


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
