"""The Train tab's right side: arranges what follows a job and joins it to its events."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.api import RANK_QUEUE
from app.html import render_note
from app.train.board import NO_JOB, Board
from app.train.events import QUICK, TrainEvents

POLL_SECONDS = 2.0
ASK_DELETE_JS = """(job) => [
  job && confirm("Delete this job with its checkpoints and its adapter? This cannot be undone.")
    ? job : null
]"""
PUSH_NOTE = (
    "Uploads the adapter and its model card to the Hugging Face hub, from this server. The token "
    "is used for that one upload and kept nowhere."
)


class Trying(NamedTuple):
    """The box with a query to rank before and after; its query is part of the board."""

    button: Any
    answer: Any


class Pushing(NamedTuple):
    repo: Any
    token: Any
    private: Any
    button: Any
    answer: Any


def build_board_panel(events: TrainEvents, students: Any) -> Board:
    """Adds the panel to the Blocks that is being built. students: the Rank tab's list."""
    chosen = gr.Dropdown(
        [], value=None, label="Job", elem_id="train-job",
        info="Every job of this server, the newest first.",
    )  # fmt: skip
    job = _html(render_note(NO_JOB), elem_id="train-view")
    with gr.Row(elem_classes="downloads"):
        stop, resume, offer, download, delete = (
            gr.Button(label, size="sm", interactive=False, elem_id=f"train-{name}")
            for label, name in (
                ("Stop and save", "stop"),
                ("Resume", "resume"),
                ("Use it on the Rank tab", "offer"),
                ("Pack the adapter", "pack"),
                ("Delete", "delete"),
            )
        )
        zipped = gr.DownloadButton("Save the .zip", size="sm", visible=False, elem_id="train-zip")
    error = _html(elem_id="train-error")
    curves = gr.Plot(
        show_label=False,
        container=False,
        elem_classes=["chart", "train-chart"],
        elem_id="train-curves",
    )
    gain = _html(elem_id="train-gain")
    with gr.Column(visible=False, elem_classes="train-after") as after:
        query, trying = _build_try()
        pushing = _build_push()
    with gr.Accordion("Log", open=False, elem_id="train-log-drawer"):
        log = _html(elem_id="train-log")
    jobs, first, second, beside = _build_jobs()
    board = Board(
        gr.State(None), chosen, job, curves, log, stop, resume, gain, offer, download, zipped,
        jobs, first, second, gr.Timer(POLL_SECONDS, active=False), error, delete, after, query,
    )  # fmt: skip
    _join_board(events, board, beside)
    _join_adapter(events, board, trying, pushing, students)
    return board


def _build_try() -> tuple[Any, Trying]:
    with gr.Row(elem_classes="train-try"):
        query = gr.Dropdown(
            [], value=None, label="Try both on a query", allow_custom_value=True, scale=4,
            info="The queries held out, what changed most first; or type your own.",
            elem_id="train-query",
        )  # fmt: skip
        button = gr.Button("Try both", scale=0, min_width=110, elem_id="train-try")
    return query, Trying(button, _html(elem_id="train-sides"))


def _build_push() -> Pushing:
    with gr.Accordion("Push to the hub", open=False, elem_id="train-push-drawer"):
        _html(render_note(PUSH_NOTE))
        with gr.Row():
            repo = gr.Textbox(
                label="Repository", placeholder="owner/name", max_lines=1, elem_id="train-repo"
            )
            token = gr.Textbox(
                label="Token with the right to write", type="password", max_lines=1,
                elem_id="train-token",
            )  # fmt: skip
        private = gr.Checkbox(value=True, label="Private repository", elem_id="train-private")
        button = gr.Button("Push", size="sm", elem_id="train-push")
        answer = _html(elem_id="train-pushed")
    return Pushing(repo, token, private, button, answer)


def _build_jobs() -> tuple[Any, Any, Any, tuple[Any, Any]]:
    """The list of jobs, two choosers, and what compares the chosen: a button and its answer."""
    with gr.Accordion("All jobs", open=False, elem_id="train-all"):
        jobs = _html(elem_id="train-jobs")
        with gr.Row():
            first, second = (
                gr.Dropdown([], value=None, label=f"{place} job", min_width=200)
                for place in ("First", "Second")
            )
        differ = gr.Button("What differs in their settings", size="sm", elem_id="train-differ")
        difference = _html(elem_id="train-difference")
    return jobs, first, second, (differ, difference)


def _join_board(events: TrainEvents, board: Board, beside: tuple[Any, Any]) -> None:
    parts, served = list(board), events.board
    gr.on(None, served.open, None, parts, **QUICK)
    board.chosen.input(served.show, board.chosen, parts, **QUICK)
    board.timer.tick(served.follow, [board.chosen, board.seen], parts, **QUICK)
    board.stop.click(served.stop, board.chosen, parts, **QUICK)
    board.resume.click(served.resume, board.chosen, parts, **QUICK)
    board.delete.click(served.delete, board.chosen, parts, js=ASK_DELETE_JS, **QUICK)
    differ, difference = beside
    differ.click(served.compare_settings, [board.first, board.second], difference, **QUICK)


def _join_adapter(
    events: TrainEvents, board: Board, trying: Trying, pushing: Pushing, students: Any
) -> None:
    served = events.adapter
    gr.on(None, served.list_students, None, students, **QUICK)
    board.offer.click(served.use, board.chosen, [board.error, students], **QUICK)
    board.download.click(served.zip_adapter, board.chosen, [board.error, board.zipped], **QUICK)
    trying.button.click(
        events.trying.try_both,
        [board.chosen, board.query],
        trying.answer,
        show_progress="hidden",
        api_visibility="private",
        **RANK_QUEUE,
    )
    board.chosen.change(lambda: "", None, trying.answer, **QUICK)
    pushing.button.click(
        served.push,
        [board.chosen, pushing.repo, pushing.token, pushing.private],
        [pushing.answer, pushing.token],
        show_progress="hidden",
        concurrency_limit=1,
        api_visibility="private",
    )


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
