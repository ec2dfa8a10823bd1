"""The Explain tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.explain.edits import EditForm
from app.explain.events import ExplainEvents, ExplainScreen
from app.explain.html import render_explain_intro
from app.explain.panels import Asked, Buttons, Form, Other, build_analyses, build_other
from app.explain.subject import Subject, SubjectEvents
from app.rank.events import Choices, RankEvents
from app.stopping import say_stopping

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
EXPLAIN_QUEUE: dict[str, Any] = {"concurrency_id": "explain", "concurrency_limit": 1}
"""Analyses have a queue of their own; rankings take turns with them on the student's lock."""
PICKED_JS = (
    "(picked, number) => [document.querySelector('.card.selected')?.dataset.doc || '', number]"
)
"""Which passage is selected on the Rank tab; only the page knows."""


def build_explain_tab(rank_events: RankEvents, choices: Choices) -> None:
    """Adds the tab to the Tabs that are being built. choices: the Rank tab's controls."""
    events = ExplainEvents(rank_events)
    with gr.Tab("Explain", id="explain") as tab:
        with gr.Row(elem_classes="exp-subject"):
            ranking = gr.Dropdown([], label="Ranking", elem_id="exp-ranking", min_width=280)
            passage = gr.Dropdown([], label="Passage", elem_id="exp-passage", min_width=280)
        picked = gr.Textbox(visible=False)
        subject = _html(elem_id="exp-subject")
        intro = _html(render_explain_intro(), elem_id="exp-intro")
        other = build_other()
        with gr.Row(elem_classes="exp-run"):
            status = _html(elem_id="exp-status")
            stop = gr.Button(
                "Stop", interactive=False, size="sm", scale=0, min_width=90, elem_id="exp-stop"
            )
        with gr.Column(visible=False, elem_id="exp-body") as body:
            costs, asked, form, runs, outputs = build_analyses(ranking, passage)
            with gr.Row(elem_classes="downloads"):
                files = [
                    gr.DownloadButton(label, size="sm", interactive=False, elem_id=f"exp-{name}")
                    for label, name in (("Result (JSON)", "json"), ("Result (CSV)", "csv"))
                ]
    screen = ExplainScreen(status, stop, *files, *outputs)
    held = Subject(ranking, passage, intro, subject, body)
    subjects = SubjectEvents(rank_events)
    _join_subject(subjects, tab, picked, held, other, choices)
    _join_costs(events, asked, costs)
    _join_form(events, held, form)
    _join_runs(events, asked, form, runs, screen)
    runs.adopt.click(
        subjects.adopt,
        [ranking, asked.shuffles, asked.seeds],
        [runs.adopted, *held],
        queue=False,
        **QUIET,
    )


def _join_subject(
    events: SubjectEvents, tab: Any, picked: Any, held: Subject, other: Other, choices: Choices
) -> None:
    tab.select(events.open, [picked, held.ranking], list(held), js=PICKED_JS, queue=False, **QUIET)
    held.ranking.input(events.choose, held.ranking, list(held), queue=False, **QUIET)
    other.file.upload(
        events.open_file, other.file, [other.file, other.error, *held], queue=False, **QUIET
    )
    gr.on(
        [other.rank.click, other.query.submit],
        events.rank_here,
        [other.query, *choices],
        [other.told, *held],
        **QUIET,
        **EXPLAIN_QUEUE,
    )


def _join_costs(events: ExplainEvents, asked: Asked, costs: list[Any]) -> None:
    gr.on(
        [control.change for control in asked],
        events.estimate,
        list(asked),
        costs,
        queue=False,
        trigger_mode="always_last",
        **QUIET,
    )


def _join_form(events: ExplainEvents, held: Subject, form: Form) -> None:
    edits = EditForm(events)
    gr.on(
        [held.ranking.change, held.passage.change, form.reset.click],
        edits.fill,
        [held.ranking, held.passage],
        [form.query, form.text, form.sentence, form.error],
        queue=False,
        trigger_mode="always_last",
        **QUIET,
    )
    for button, kind in form.changes:
        button.click(
            edits.make_change(kind),
            [held.ranking, form.text, form.sentence, form.word, form.by],
            [form.text, form.error],
            queue=False,
            **QUIET,
        )


def _join_runs(
    events: ExplainEvents, asked: Asked, form: Form, runs: Buttons, screen: ExplainScreen
) -> None:
    number, passage = asked.ranking, asked.passage
    joined: tuple[tuple[Any, Any, list[Any]], ...] = (
        (runs.words, events.explain_words, [number, passage]),
        (form.run, events.try_change, [number, passage, form.query, form.text, form.added]),
        (form.flip, events.find_flip, [number, form.stage, form.budget]),
        (runs.stability, events.measure_stability, [number, asked.shuffles, asked.seeds]),
        (runs.faithfulness, events.check_faithfulness, [number, asked.reread]),
        (
            runs.attacks,
            events.try_attacks,
            [number, passage, asked.attacks, asked.defences, asked.both],
        ),
    )
    for button, event, inputs in joined:
        button.click(
            event,
            inputs,
            list(screen),
            show_progress="minimal",
            show_progress_on=screen.status,
            api_visibility="private",
            **EXPLAIN_QUEUE,
        )
    say_stopping(screen.stop, screen.status)
    screen.stop.click(events.stop, None, None, queue=False, **QUIET)


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
