"""The Project panel of the Annotate tab: a new project, and the owner's controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from app.annotate.form import ProjectForm, write_form
from app.annotate.owner import SOURCES
from reranker.annotation.importing import DEFAULT_DEPTH, MAX_PASSAGES
from reranker.annotation.project import MAX_NAME_CHARS, MAX_OVERLAP, QUESTIONS, ROLES, Project

QUESTION_WORDS = {
    "grade": "relevance of each passage",
    "verdict": "each justification",
    "steps": "its steps",
    "evidence": "its evidence",
    "order": "the order",
    "comment": "a comment",
}
DEFAULT_ITEMS = 10
GOLD = (
    "Gold items have answers that are known to be right, and people are measured against them. "
    "They come with an items file, or: judge an item yourself, save it, and press ⇧G on the desk."
)


class Act(NamedTuple):
    """Something to do: what it reads, its buttons, and where it is told what came of it."""

    inputs: list[Any]
    buttons: tuple[Any, ...]
    told: Any


class Create(NamedTuple):
    """The form of a new project. drawer: closed where there is a project already."""

    drawer: Any
    form: ProjectForm
    act: Act


class Manage(NamedTuple):
    """The owner's controls. people: the list of them."""

    settings: Act
    form: ProjectForm
    items: Act
    roles: Act
    share: Act
    people: Any


def build_create() -> Create:
    """Adds the form of a new project to the page that is being built."""
    with gr.Accordion("A new project", open=True, elem_id="ann-new") as drawer:
        file = gr.File(
            label="From a project file (.yaml), instead of the form", file_types=[".yaml", ".yml"],
            height=140, elem_id="ann-yaml",
        )  # fmt: skip
        blank = Project(project_id="new", name="new")
        form = _build_form(write_form(blank)._replace(name=""), "ann")
        button = gr.Button("Create project", variant="primary", size="sm", elem_id="ann-create")
    return Create(drawer, form, Act([file, *form], (button,), _html("ann-create-error")))


def build_manage(corpora: Sequence[tuple[str, str]]) -> Manage:
    """Adds the owner's controls. corpora: title and id of what the server holds."""
    gr.Markdown("### Items")
    items = _build_items(corpora)
    gr.Markdown("### People")
    people = gr.HTML(apply_default_css=False, elem_id="ann-people")
    roles, share = _build_people()
    gr.Markdown("### Settings")
    form = _build_form(ProjectForm(*[None] * len(ProjectForm._fields)), "ann-set")
    write = gr.Button("Save settings", size="sm", elem_id="ann-write")
    settings = Act(list(form), (write,), _html("ann-settings-error"))
    return Manage(settings, form, items, roles, share, people)


def _build_form(values: ProjectForm, prefix: str) -> ProjectForm:
    with gr.Row():
        name = gr.Textbox(
            values.name, label="Name", max_lines=1, max_length=MAX_NAME_CHARS,
            elem_id=f"{prefix}-name",
        )  # fmt: skip
        overlap = gr.Number(
            values.overlap, label="People on each item", precision=0, minimum=1,
            maximum=MAX_OVERLAP, elem_id=f"{prefix}-overlap",
        )  # fmt: skip
        blind = gr.Checkbox(
            bool(values.blind), label="Blind", elem_id=f"{prefix}-blind",
            info="Scores, systems and the model's order stay hidden until an item is judged.",
        )  # fmt: skip
    questions = gr.CheckboxGroup(
        [(QUESTION_WORDS[question], question) for question in QUESTIONS],
        value=values.questions, label="What is judged", elem_id=f"{prefix}-questions",
    )  # fmt: skip
    guidelines = gr.Textbox(
        values.guidelines, label="Guidelines (Markdown)", lines=4, max_lines=20,
        elem_id=f"{prefix}-guidelines", info="At hand on the desk with the key H.",
    )  # fmt: skip
    with gr.Row():
        scale = gr.Textbox(
            values.scale, label="Scale", lines=5, max_lines=10, elem_id=f"{prefix}-scale",
            info="One grade a line, the worst first: it is grade 0.",
        )  # fmt: skip
        reasons = gr.Textbox(
            values.reasons, label="Reasons", lines=5, max_lines=10, elem_id=f"{prefix}-reasons",
            info="Why a justification may be wrong. One a line: name: what people read.",
        )  # fmt: skip
        systems = gr.Dropdown(
            [], value=values.systems or [], label="Systems whose justifications are shown",
            multiselect=True, allow_custom_value=True, elem_id=f"{prefix}-systems",
            info="Empty: all. The list holds those of the project's items.",
        )  # fmt: skip
    return ProjectForm(name, guidelines, questions, overlap, blind, scale, reasons, systems)


def _build_items(corpora: Sequence[tuple[str, str]]) -> Act:
    with gr.Row():
        source = gr.Dropdown(SOURCES, value="history", label="From", elem_id="ann-source")
        corpus = gr.Dropdown(
            list(corpora), value=corpora[0][1], label="Corpus", elem_id="ann-corpus",
            info="For a corpus with queries, and for runs over one.",
        )  # fmt: skip
        depth = gr.Number(
            DEFAULT_DEPTH, label="Passages an item", precision=0, minimum=1, maximum=MAX_PASSAGES,
            elem_id="ann-depth",
        )  # fmt: skip
    files = gr.File(
        label="Files: traces, items or runs", file_count="multiple", height=140, elem_id="ann-items"
    )
    add = gr.Button("Add items", size="sm", elem_id="ann-add")
    return Act([source, files, corpus, depth], (add,), _html("ann-items-error"))


def _build_people() -> tuple[Act, Act]:
    with gr.Row(elem_classes="ann-row"):
        person = gr.Textbox(
            label="Name, as they log in", max_lines=1, max_length=120, elem_id="ann-person"
        )
        role = gr.Dropdown(
            [*ROLES, ("no role any more", "none")], value="annotator", label="Role",
            elem_id="ann-role",
        )  # fmt: skip
        give = gr.Button("Give role", size="sm", scale=0, min_width=120, elem_id="ann-give")
    with gr.Row(elem_classes="ann-row"):
        number = gr.Number(
            DEFAULT_ITEMS, label="Items for them, whatever the overlap", precision=0, minimum=1,
            elem_id="ann-count",
        )  # fmt: skip
        share = tuple(
            gr.Button(words, size="sm", scale=0, min_width=150, elem_id=f"ann-share-{name}")
            for name, words in (
                ("more", "Give items"),
                ("gold", "Give gold items"),
                ("back", "Take back unjudged"),
            )
        )
    told = _html("ann-people-error")
    gr.Markdown(GOLD, elem_classes="note")
    return Act([person, role], (give,), told), Act([person, number], share, told)


def _html(elem_id: str) -> Any:
    return gr.HTML("", apply_default_css=False, elem_id=elem_id)
