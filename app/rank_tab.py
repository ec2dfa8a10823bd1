"""The Rank tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.chart_panel import build_chart_panel
from app.html import render_intro, render_message, render_note
from app.library import Library
from app.messages import STOPPING, Message
from app.rank_events import (
    AS_PROFILE,
    Choices,
    RankEvents,
    Screen,
    list_choices,
    pad_examples,
    render_source,
)
from reranker.config import Profile

CARDS_JS = (Path(__file__).parent / "cards.js").read_text(encoding="utf-8")
FILE_TYPES = [".jsonl", ".csv", ".tsv", ".txt", ".gz", ".zip"]
QUANTIZATIONS = [("4-bit NF4", "nf4"), ("bf16", "bf16"), ("fp32", "fp32")]
MODES = [("Reason first, then rank", "reason_first"), ("Rank first, then reason", "rank_first")]
FINALS = [
    ("As the student's profile says", AS_PROFILE),
    ("Stage 2 as it is", "stage2"),
    ("Stage 2 blended with stage 1", "blend"),
    ("Stage 1 alone", "stage1"),
]


class Bar(NamedTuple):
    source: Any
    query: Any
    run: Any
    stop: Any
    query_error: Any
    corpus_line: Any
    corpus_error: Any


class Own(NamedTuple):
    text: Any
    rank: Any
    file: Any
    error: Any


def build_rank_tab(events: RankEvents) -> None:
    """Adds the tab's contents to the Blocks that is being built."""
    library = events.library
    bar = _build_bar(library)
    examples, buttons, notes = _build_examples(library)
    advanced = _build_advanced(library)
    own = _build_own()
    screen = _build_results(bar, examples)
    choices = Choices(source=bar.source, query=bar.query, **advanced)
    _join_run(events, bar, choices, screen, buttons, own)
    bar.source.change(
        events.choose_source,
        bar.source,
        [
            bar.corpus_line,
            bar.corpus_error,
            *[c for pair in zip(buttons, notes, strict=True) for c in pair],
        ],
        show_progress="minimal",
        show_progress_on=bar.corpus_line,
        concurrency_limit=4,
        api_visibility="private",
    )
    profiles = library.list_profiles()
    advanced["student"].change(
        lambda name: _make_stages(profiles[name], update=True),
        advanced["student"],
        advanced["stages"],
        queue=False,
        api_visibility="private",
    )


def _build_bar(library: Library) -> Bar:
    first = library.corpora[0].corpus_id
    with gr.Row(elem_classes="bar"):
        source = gr.Dropdown(
            list_choices(library),
            value=first,
            label="Corpus",
            scale=2,
            min_width=200,
            elem_id="corpus",
        )
        query = gr.Textbox(
            label="Query",
            placeholder="What are you looking for?",
            scale=6,
            max_lines=1,
            autofocus=True,
            elem_id="query",
        )
        run = gr.Button("Run", variant="primary", scale=0, min_width=96, elem_id="run")
        stop = gr.Button("Stop", scale=0, min_width=96, interactive=False, elem_id="stop")
    query_error = _html(elem_id="query-error")
    corpus_error = _html(elem_id="corpus-error")
    corpus_line = _html(render_source(library.open_source(first)), elem_id="corpus-line")
    return Bar(source, query, run, stop, query_error, corpus_line, corpus_error)


def _build_examples(library: Library) -> tuple[Any, list[Any], list[Any]]:
    buttons, notes = [], []
    with gr.Accordion("Examples", open=True, elem_classes="examples") as examples:
        with gr.Row():
            for example in pad_examples(library.open_source(library.corpora[0].corpus_id)):
                with gr.Column(min_width=240, elem_classes="example"):
                    button = gr.Button(example.query, size="sm", visible=bool(example.query))
                    buttons.append(button)
                    notes.append(_html(render_note(example.shows)))
    return examples, buttons, notes


def _build_advanced(library: Library) -> dict[str, Any]:
    profiles = library.list_profiles()
    with gr.Accordion("Advanced", open=False):
        with gr.Row():
            depth = gr.Slider(
                5, 100, value=20, step=5, label="Depth",
                info="How many of BM25's candidates are reranked. A pasted list is taken whole.",
            )  # fmt: skip
            stages = _make_stages(profiles[library.student])
            mode = gr.Radio(
                MODES, value="reason_first", label="Mode",
                info="Whether stage 2 writes its notes before or after it orders the passages.",
            )  # fmt: skip
        with gr.Row():
            final = gr.Dropdown(
                FINALS, value=AS_PROFILE, label="Final order",
                info="Which stage has the last word. Every stage's own order stays visible.",
            )  # fmt: skip
            student = gr.Dropdown(
                [(profile.title, name) for name, profile in profiles.items()],
                value=library.student, label="Student",
                info="The weights that read. Published ones need the hub and a GPU.",
            )  # fmt: skip
            quantization = gr.Dropdown(
                QUANTIZATIONS, value=library.quantization, label="Quantisation",
                info="How the weights are held. It never changes by itself.",
            )  # fmt: skip
            grounding = gr.Checkbox(
                value=True, label="Grounded quotes",
                info="Quotes can only be words of their passage; off: checked afterwards.",
            )  # fmt: skip
    return {
        "student": student, "quantization": quantization, "stages": stages, "mode": mode,
        "final": final, "depth": depth, "grounding": grounding,
    }  # fmt: skip


def _make_stages(profile: Profile, *, update: bool = False) -> Any:
    """The stages a student has to offer; as an update it leaves the control's name alone."""
    one, none = ("Stage 1", "1"), ("None: BM25's order", "none")
    whole = profile.stage2 is not None
    info = "Stage 1 scores each passage; stage 2 reads them together and explains."
    return gr.Radio(
        [("Both", "both"), one, ("Stage 2", "2"), none] if whole else [one, none],
        value="both" if whole else "1",
        info=info if whole else "This student has no stage 2: no notes, only scores.",
        **({} if update else {"label": "Stages"}),
    )


def _build_own() -> Own:
    with gr.Accordion("Your own passages", open=False):
        with gr.Row():
            with gr.Column():
                text = gr.Textbox(
                    label="Paste candidates",
                    info="One passage a line, or separated by blank lines. They are reranked as "
                    "they are, without retrieval, and seen by this page only.",
                    lines=5,
                    max_lines=12,
                    elem_id="pasted",
                )
                rank = gr.Button("Rank these for the query", size="sm", elem_id="rank-pasted")
            file = gr.File(
                label="Or upload a corpus (.jsonl, .csv, .tsv, .txt, BEIR .zip)",
                file_types=FILE_TYPES,
                height=190,
                elem_id="upload",
            )
        error = _html(elem_id="own-error")
    return Own(text, rank, file, error)


def _build_results(bar: Bar, examples: Any) -> Screen:
    status = _html(elem_id="status")
    intro = _html(render_intro(), elem_id="intro")
    with gr.Column(visible=False, elem_id="results") as results:
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=6, min_width=320, elem_classes="ranking"):
                cards = _html(live={}, run=0, js_on_load=CARDS_JS, elem_id="cards")
            with gr.Column(scale=4, min_width=300, elem_classes="charts"):
                charts = build_chart_panel()
        strip = _html(elem_id="strip")
        with gr.Row(elem_classes="downloads"):
            files = [
                gr.DownloadButton(label, size="sm", interactive=False, elem_id=name)
                for label, name in (
                    ("Trace (JSON)", "trace-file"),
                    ("Ranking (TREC)", "trec-file"),
                    ("Ranking (CSV)", "table-file"),
                )
            ]
    return Screen(
        status, bar.query_error, bar.corpus_error, examples, intro, results, bar.stop, cards,
        *[*charts.values(), strip, *files],
    )  # fmt: skip


def _html(value: str = "", **options: Any) -> Any:
    """HTML that only assets/css/studio.css styles."""
    return gr.HTML(value, apply_default_css=False, **options)


def _join_run(
    events: RankEvents, bar: Bar, choices: Choices, screen: Screen, buttons: list[Any], own: Own
) -> None:
    run_id = gr.State(None)
    quick: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "trigger_mode": "multiple",
        "api_visibility": "private",
    }

    def join(begun: Any) -> None:
        """Its turn, after a run has begun; a later one may begin while an earlier one ends."""
        begun.then(
            events.run,
            [run_id, *choices],
            list(screen),
            trigger_mode="multiple",
            show_progress="minimal",
            show_progress_on=screen.status,
            concurrency_id="rank",
            concurrency_limit=1,
            api_visibility="private",
        )

    begin = {"fn": events.begin, "inputs": bar.query, "outputs": [run_id, *screen], **quick}
    join(bar.run.click(**begin))
    join(bar.query.submit(**begin))
    for button in buttons:
        chosen = button.click(lambda query: query, button, bar.query, **quick)
        join(chosen.then(**begin))
    join(
        own.rank.click(
            events.begin_pasted,
            [own.text, bar.query],
            [bar.source, own.error, run_id, *screen],
            **quick,
        )
    )
    own.file.upload(
        events.add_file,
        own.file,
        [bar.source, own.error],
        show_progress="minimal",
        show_progress_on=own.file,
        api_visibility="private",
    )
    stopping = render_message(Message(text=STOPPING, tone="busy"))
    bar.stop.click(None, None, screen.status, js=f"() => {json.dumps(stopping)}")
    bar.stop.click(events.stop, None, list(screen), **quick)
