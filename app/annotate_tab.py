"""The Annotate tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.annotate_events import SOURCES, AnnotateEvents, Board
from app.annotate_results import ResultEvents
from app.html import render_message, render_note
from app.messages import Message
from reranker.annotation.exports import FORMATS
from reranker.annotation.importing import DEFAULT_DEPTH, MAX_PASSAGES
from reranker.annotation.project import MAX_NAME_CHARS, MAX_OVERLAP, QUESTIONS, ROLES
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
QUESTION_WORDS = {
    "grade": "relevance of each passage",
    "verdict": "each justification",
    "steps": "its steps",
    "evidence": "its evidence",
    "order": "the order",
    "comment": "a comment",
}


class TrainLink(NamedTuple):
    """What opens the Train tab: a button for each stage, the project, and where errors go."""

    stage1: Any
    stage2: Any
    project: Any
    error: Any
    results: ResultEvents


class Manage(NamedTuple):
    """The owner's controls: for each act its inputs, its button and its message."""

    guidelines: tuple[Any, Any, Any]
    items: tuple[list[Any], Any, Any]
    people: tuple[list[Any], Any, Any]


def build_off() -> None:
    """What stands in the tab where visitors cannot be told apart."""
    _html(render_note(OFF))


def build_annotate_tab(page: gr.Blocks, events: AnnotateEvents, results: ResultEvents) -> TrainLink:
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
    with gr.Tabs(elem_id="ann-tabs"):
        with gr.Tab("Judge", id="ann-judge"):
            desk = _build_desk(events)
        with gr.Tab("Agreement", id="ann-agreement-tab"):
            measure = gr.Button("Measure agreement", size="sm", elem_id="ann-measure")
            agreement = _html(elem_id="ann-agreement")
        with gr.Tab("Export", id="ann-export-tab"):
            names, export, backup, (stage1, stage2), error, files = _build_exports()
        with gr.Tab("Project", id="ann-project-tab"):
            create = _build_create()
            with gr.Column(visible=False, elem_id="ann-manage") as manage:
                controls, people = _build_manage(events)
    board = Board(
        projects, who, desk, mode, manage, controls.guidelines[0], people, agreement, files
    )
    # Only when the page opens: an event of its own for each change of what is remembered would
    # bring a project back that somebody has left meanwhile.
    page.load(events.open, remembered, list(board), **QUIET)
    _join(events, board, remembered, create, controls)
    measure.click(results.measure, projects, agreement, show_progress_on=agreement, **WORK)
    export.click(results.export, [projects, names], [error, files], **WORK)
    backup.click(results.back_up, None, [error, files], **WORK)
    return TrainLink(stage1, stage2, projects, error, results)


def _build_desk(events: AnnotateEvents) -> Any:
    # Gradio marks server functions, which it cannot do to bound methods.
    def desk_open(sent: Any, request: gr.Request) -> Any:
        return events.desk.open_item(sent, request)

    def desk_save(sent: Any, request: gr.Request) -> Any:
        return events.desk.save(sent, request)

    return _html(elem_id="ann-desk", js_on_load=DESK_JS, server_functions=[desk_open, desk_save])


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


def _build_create() -> tuple[list[Any], Any, Any]:
    with gr.Accordion("A new project", open=True, elem_id="ann-new"):
        with gr.Row():
            name = gr.Textbox(
                label="Name", max_lines=1, max_length=MAX_NAME_CHARS, elem_id="ann-name"
            )
            overlap = gr.Number(
                1, label="People on each item", precision=0, minimum=1, maximum=MAX_OVERLAP,
                elem_id="ann-overlap",
            )  # fmt: skip
            blind = gr.Checkbox(
                True, label="Blind", elem_id="ann-blind",
                info="Scores, systems and the model's order stay hidden until an item is judged.",
            )  # fmt: skip
        questions = gr.CheckboxGroup(
            [(QUESTION_WORDS[question], question) for question in QUESTIONS],
            value=list(QUESTIONS), label="What is judged", elem_id="ann-questions",
        )  # fmt: skip
        guidelines = gr.Textbox(
            label="Guidelines (Markdown)", lines=4, elem_id="ann-new-guidelines",
            info="At hand on the desk with the key H.",
        )  # fmt: skip
        file = gr.File(
            label="Instead of all this: a project file (.yaml)", file_types=[".yaml", ".yml"],
            height=110, elem_id="ann-yaml",
        )  # fmt: skip
        button = gr.Button("Create project", variant="primary", size="sm", elem_id="ann-create")
        error = _html(elem_id="ann-create-error")
    return [name, guidelines, questions, overlap, blind, file], button, error


def _build_manage(events: AnnotateEvents) -> tuple[Manage, Any]:
    corpora = [(info.title, info.corpus_id) for info in events.library.corpora]
    gr.Markdown("### Items")
    with gr.Row():
        source = gr.Dropdown(SOURCES, value="history", label="From", elem_id="ann-source")
        corpus = gr.Dropdown(
            corpora, value=corpora[0][1], label="Corpus", elem_id="ann-corpus",
            info="For a corpus with queries, and for runs over one.",
        )  # fmt: skip
        depth = gr.Number(
            DEFAULT_DEPTH, label="Passages an item", precision=0, minimum=1, maximum=MAX_PASSAGES,
            elem_id="ann-depth",
        )  # fmt: skip
    files = gr.File(
        label="Files: traces, items or runs", file_count="multiple", height=110, elem_id="ann-items"
    )
    add = gr.Button("Add items", size="sm", elem_id="ann-add")
    items_error = _html(elem_id="ann-items-error")
    gr.Markdown("### People")
    people = _html(elem_id="ann-people")
    with gr.Row():
        person = gr.Textbox(
            label="Name, as they log in", max_lines=1, max_length=120, elem_id="ann-person"
        )
        role = gr.Dropdown(
            [*ROLES, ("no role any more", "none")], value="annotator", label="Role",
            elem_id="ann-role",
        )  # fmt: skip
        give = gr.Button("Give role", size="sm", scale=0, min_width=120, elem_id="ann-give")
    people_error = _html(elem_id="ann-people-error")
    gr.Markdown("### Guidelines")
    guidelines = gr.Textbox(
        show_label=False, container=False, lines=6, elem_id="ann-guidelines", label="Guidelines"
    )
    write = gr.Button("Save guidelines", size="sm", elem_id="ann-write")
    guidelines_error = _html(elem_id="ann-guidelines-error")
    manage = Manage(
        guidelines=(guidelines, write, guidelines_error),
        items=([source, files, corpus, depth], add, items_error),
        people=([person, role], give, people_error),
    )
    return manage, people


def _join(
    events: AnnotateEvents,
    board: Board,
    remembered: Any,
    create: tuple[list[Any], Any, Any],
    manage: Manage,
) -> None:
    parts, project = list(board), board.projects
    project.change(lambda chosen: chosen or "", project, remembered, **QUIET)
    project.input(events.choose, project, parts, **QUIET)
    board.mode.input(events.change_mode, [project, board.mode], parts, **QUIET)
    inputs, button, error = create
    button.click(events.create, inputs, [error, *parts], **WORK)
    inputs, button, error = manage.items
    button.click(events.add_items, [project, *inputs], [error, *parts], **WORK)
    inputs, button, error = manage.people
    button.click(events.set_role, [project, *inputs], [error, board.people], **WORK)
    text, button, error = manage.guidelines
    button.click(events.write_guidelines, [project, text], [error, *parts], **WORK)


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
