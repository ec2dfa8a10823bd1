"""From judgements to a training job: opens the Train tab with an export chosen.

Takes the Annotate tab's buttons and the Train tab's form, joins them. Starts nothing: whoever
pressed the button sees the data's report first.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.annotate.tab import AnnotateLinks
from app.html import render_message
from app.messages import Message
from app.rank.events import SKIP
from app.train.options import OWN_FILE, list_formats
from app.train.tab import TrainDoor

OFF = (
    "Training is switched off on this server. Make the files above, and train elsewhere: "
    "python -m reranker train {stage} --data {stage}.jsonl --format annotations"
)


def join_training(link: AnnotateLinks, door: TrainDoor | None, tabs: Any) -> None:
    """door: None where training is switched off; then the buttons say how to do it elsewhere."""
    for stage, button in (("stage1", link.stage1), ("stage2", link.stage2)):
        if door is None:
            _join_words(button, stage, link.error)
        else:
            _join_stage(link, door, tabs, stage, button)


def _join_words(button: Any, stage: str, error: Any) -> None:
    def say() -> str:
        return render_message(Message(text=OFF.format(stage=stage)))

    button.click(say, None, error, api_visibility="private")


def _join_stage(link: AnnotateLinks, door: TrainDoor, tabs: Any, stage: Any, button: Any) -> None:
    form = door.form
    filled = [form.source, form.format, form.corpus, form.file, *door.options]
    outputs = [link.error, tabs, form.stage, form.preset, *filled]

    def fill(project_id: str, student: str, request: gr.Request) -> tuple[Any, ...]:
        error, path, data_format = link.results.offer_training(project_id, stage, request)
        if path is None:
            return error, *(SKIP for _ in outputs[1:])
        _, _, corpus, _, *options = door.events.fill(student, stage, "quick", OWN_FILE)
        return (
            error,
            gr.Tabs(selected="train"),
            stage,
            "quick",
            gr.update(value=OWN_FILE, visible=stage == "stage1"),
            gr.update(choices=list_formats(stage), value=data_format, visible=True),
            corpus,
            gr.File(value=path, visible=True),
            *options,
        )

    inputs = [link.project, form.student]
    button.click(fill, inputs, outputs, api_visibility="private").then(**door.check)
