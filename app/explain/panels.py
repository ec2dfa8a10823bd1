"""The controls of the Explain tab: a sub-tab for each analysis, and how to get another ranking.

Arranges components and returns them by name; joins nothing and decides nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.compare.html import render_pictures
from app.explain.edits import CHANGES
from app.explain.html import render_heading
from app.html import render_note
from reranker.explain.attacks import ATTACKS, CONTROL, DEFENCES


class Other(NamedTuple):
    """How to get a ranking that the Rank tab has not made."""

    query: Any
    rank: Any
    told: Any
    file: Any
    error: Any


class Buttons(NamedTuple):
    """What starts each analysis but those of the form; adopted: what is told beside `adopt`."""

    words: Any
    stability: Any
    faithfulness: Any
    attacks: Any
    adopt: Any
    adopted: Any


class Asked(NamedTuple):
    """The controls an estimate reads, in the order `estimate` takes their values."""

    ranking: Any
    passage: Any
    shuffles: Any
    seeds: Any
    reread: Any
    attacks: Any
    defences: Any
    both: Any


class Form(NamedTuple):
    """The what-if form."""

    query: Any
    text: Any
    added: Any
    sentence: Any
    word: Any
    by: Any
    changes: Any
    reset: Any
    error: Any
    run: Any
    stage: Any
    budget: Any
    flip: Any


def build_other() -> Other:
    """A query box and a file box in a drawer."""
    with gr.Accordion("Another ranking", open=False,
                      elem_id="exp-other"):  # fmt: skip
        with gr.Row():
            with gr.Column(min_width=280):
                query = gr.Textbox(
                    label="Query", max_lines=1, max_length=2_000, elem_id="exp-query",
                    info="Ranked over the corpus and with the settings chosen on the Rank tab.",
                )  # fmt: skip
                go = gr.Button("Rank it", size="sm", elem_id="exp-rank")
                told = _html(elem_id="exp-rank-status")
            with gr.Column(min_width=280):
                file = gr.File(label="A saved trace (.json)", height=120, elem_id="exp-file")
                error = _html(elem_id="exp-file-error")
    return Other(query, go, told, file, error)


def build_analyses(ranking: Any, passage: Any) -> tuple[list[Any], Asked, Form, Buttons, list[Any]]:
    """A tab for each analysis: places for its costs, controls, form, buttons and outputs."""
    with gr.Tabs(elem_classes="exp-tabs"):
        with gr.Tab("Which words"):
            words_cost, words_run = _build_head(
                "Which words of the query and of the passage carried its stage-1 score, by several "
                "methods side by side.", "Explain this score", "words",
            )  # fmt: skip
            words = _html(elem_id="exp-words-result")
            with gr.Column(elem_classes="exp-figure"):
                _html(render_heading("Which tokens met"))
                heat = _plot("exp-heat")
                _html(render_pictures("exp-heat", "the token map"))
        with gr.Tab("What if"):
            form, change_cost, flip_cost = _build_form()
            change = _html(elem_id="exp-change-result")
        with gr.Tab("Stability"):
            shuffles = gr.Slider(2, 30, value=8, step=1, label="Shuffled readings",
                                 elem_id="exp-shuffles")  # fmt: skip
            seeds = gr.Slider(1, 5, value=1, step=1, label="Decoding seeds for each",
                              info="Greedy decoding draws nothing: all seeds then agree.",
                              elem_id="exp-seeds")  # fmt: skip
            stability_cost, stability_run = _build_head(
                "Stage 2 reads the list again in shuffled orders. A reader that judges passages by "
                "what they say gives the same order every time.", "Shuffle and read again",
                "stability",
            )  # fmt: skip
            stability = _html(elem_id="exp-stability-result")
            with gr.Row(elem_classes="downloads"):
                adopt = gr.Button("Adopt the agreed order", size="sm", elem_id="exp-adopt")
            adopted = _html(elem_id="exp-adopt-status")
            with gr.Row():
                with gr.Column(scale=6, min_width=320, elem_classes="exp-figure"):
                    intervals = _plot("exp-intervals")
                    _html(render_pictures("exp-intervals", "rank intervals"))
                with gr.Column(scale=4, min_width=300, elem_classes="exp-figure"):
                    places = _plot("exp-places")
                    _html(render_pictures("exp-places", "ranks by place shown"))
        with gr.Tab("Faithfulness"):
            reread = gr.Slider(0, 5, value=0, step=1, elem_id="exp-reread",
                               label="Passages read again without their quotes")  # fmt: skip
            faith_cost, faith_run = _build_head(
                "Do the quotes exist, does the score rest on them rather than on any other words, "
                "and do the verdicts bear out the order.", "Check the reasons", "faithfulness",
            )  # fmt: skip
            faith = _html(elem_id="exp-faithfulness-result")
        with gr.Tab("Red team"):
            attacks, defences, both = _build_attacks()
            attack_cost, attack_run = _build_head(
                "Attacks on the chosen passage, compared with what a harmless sentence does.",
                "Attack this passage", "attacks",
            )  # fmt: skip
            attacked = _html(elem_id="exp-attacks-result")
    costs = [words_cost, change_cost, flip_cost, stability_cost, faith_cost, attack_cost]
    asked = Asked(ranking, passage, shuffles, seeds, reread, attacks, defences, both)
    runs = Buttons(words_run, stability_run, faith_run, attack_run, adopt, adopted)
    outputs = [words, heat, change, stability, intervals, places, faith, attacked]
    return costs, asked, form, runs, outputs


def _build_head(text: str, label: str, name: str) -> tuple[Any, Any]:
    _html(render_note(text))
    cost = _html(elem_id=f"exp-{name}-cost")
    with gr.Row(elem_classes="downloads"):
        run = gr.Button(label, variant="primary", size="sm", elem_id=f"exp-{name}")
    return cost, run


def _build_form() -> tuple[Form, Any, Any]:
    _html(render_note("Change the query or the passage and rank again: candidates stay the same."))
    query = gr.Textbox(label="Query", max_lines=2, max_length=2_000, elem_id="exp-form-query")
    text = gr.Textbox(label="Passage", lines=4, max_lines=14, max_length=20_000,
                      elem_id="exp-form-text")  # fmt: skip
    with gr.Row(elem_classes="exp-sentence"):
        sentence = gr.Dropdown([], label="Sentence", elem_id="exp-sentence", min_width=280, scale=4)
        word = gr.Textbox(label="Word", max_lines=1, elem_id="exp-word", min_width=110)
        by = gr.Textbox(label="becomes", max_lines=1, elem_id="exp-by", min_width=110)
    with gr.Row(elem_classes="downloads"):
        changes = [
            (gr.Button(label, size="sm", elem_id=f"exp-do-{kind}"), kind) for label, kind in CHANGES
        ]
        reset = gr.Button("As it was", size="sm", elem_id="exp-reset")
    error = _html(elem_id="exp-form-error")
    added = gr.Checkbox(label="Add the text as a passage of its own", elem_id="exp-added")
    cost = _html(elem_id="exp-change-cost")
    with gr.Row(elem_classes="downloads"):
        run = gr.Button("Rank with the change", variant="primary", size="sm", elem_id="exp-change")
    with gr.Accordion("Smallest change that flips the top two", open=False, elem_id="exp-flip-box"):
        _html(render_note("Takes words out of the first passage until the second overtakes it."))
        with gr.Row():
            stage = gr.Radio(
                [("Stage 1's order", "stage1"), ("The final order", "final")], value="stage1",
                label="Which order", elem_id="exp-flip-stage",
            )  # fmt: skip
            budget = gr.Slider(50, 2000, value=600, step=50, label="Texts it may score",
                               elem_id="exp-budget")  # fmt: skip
        flip_cost = _html()
        with gr.Row(elem_classes="downloads"):
            flip = gr.Button("Search", size="sm", elem_id="exp-flip")
    form = Form(query, text, added, sentence, word, by, changes, reset, error, run, stage, budget,
                flip)  # fmt: skip
    return form, cost, flip_cost


def _build_attacks() -> tuple[Any, Any, Any]:
    names = [(a.title, a.name) for a in ATTACKS if a.name != CONTROL]
    attacks = gr.CheckboxGroup(
        names, value=[name for _, name in names], label="Attacks", elem_id="exp-attack-names"
    )
    defences = gr.CheckboxGroup(
        [(d.title, d.name) for d in DEFENCES], value=["served", "drop"], label="Defences",
        info="Each is applied to every passage, before both stages.", elem_id="exp-defences",
    )  # fmt: skip
    both = gr.Checkbox(label="Let stage 2 read as well (slow)", elem_id="exp-both")
    return attacks, defences, both


def _plot(name: str) -> Any:
    return gr.Plot(show_label=False, container=False, elem_classes=["chart", name])


def _html(value: str = "", **options: Any) -> Any:
    return gr.HTML(value, apply_default_css=False, **options)
