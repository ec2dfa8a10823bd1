"""The Rank tab: arranges its controls and joins them to their events. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.api import RANK_QUEUE
from app.html import render_intro, render_note
from app.library import Library
from app.rank.advanced import build_advanced, make_stages
from app.rank.chart_panel import build_chart_panel
from app.rank.corpus_panel import build_corpus_panel
from app.rank.events import (
    Choices,
    RankEvents,
    Screen,
    list_choices,
    pad_examples,
    render_source,
)
from app.rank.share_events import ShareEvents
from app.rank.share_panel import LINK_JS, SharePanel, build_share_panel, join_share_panel
from app.stopping import say_stopping

CARDS_JS = (Path(__file__).parent / "cards.js").read_text(encoding="utf-8")
STATUS_JS = (Path(__file__).parent / "status.js").read_text(encoding="utf-8")
FILE_TYPES = [".jsonl", ".csv", ".tsv", ".txt", ".gz", ".zip"]


class Bar(NamedTuple):
    source: Any
    query: Any
    run: Any
    stop: Any
    query_error: Any
    corpus_line: Any
    corpus_error: Any


class NextTab(NamedTuple):
    """What takes the ranking on the page to another tab: a button, and where errors go."""

    annotate: Any
    error: Any


class Own(NamedTuple):
    text: Any
    rank: Any
    file: Any
    error: Any


def build_rank_tab(
    events: RankEvents, tab: gr.Tab, annotates: bool = False
) -> tuple[Choices, NextTab]:
    """Adds the contents of `tab` to the Blocks that is being built: the controls a run reads, and
    what leads on. annotates: whether annotation is on."""
    library = events.library
    bar = _build_bar(library)
    with gr.Column(elem_classes="drawers"):
        examples, buttons, notes = _build_examples(library)
        build_corpus_panel(events, bar.source)
        advanced = build_advanced(library)
        own = _build_own()
        share = build_share_panel()
    screen, door = _build_results(bar, examples, share, annotates)
    choices = Choices(source=bar.source, query=bar.query, **advanced)
    _join_run(events, bar, choices, screen, buttons, own)
    join_share_panel(ShareEvents(events), share, choices, screen, tab)
    bar.source.change(
        events.choose_source,
        bar.source,
        [
            bar.corpus_line,
            bar.corpus_error,
            examples,
            *[c for pair in zip(buttons, notes, strict=True) for c in pair],
        ],
        show_progress="minimal",
        show_progress_on=bar.corpus_line,
        concurrency_limit=4,
        api_visibility="private",
    )
    # By hand only: a link or an earlier ranking that names a student brings its stages along.
    advanced["student"].input(
        lambda name: make_stages(library.list_profiles()[name], update=True),
        advanced["student"],
        advanced["stages"],
        queue=False,
        api_visibility="private",
    )
    return choices, door


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
            first = library.open_source(library.corpora[0].corpus_id)
            for example in pad_examples(first, library.student):
                with gr.Column(min_width=240, elem_classes="example"):
                    button = gr.Button(example.query, size="sm", visible=bool(example.query))
                    buttons.append(button)
                    notes.append(_html(render_note(example.shows)))
    return examples, buttons, notes


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


def _build_results(
    bar: Bar, examples: Any, share: SharePanel, annotates: bool
) -> tuple[Screen, NextTab]:
    status = _html(elem_id="status", js_on_load=STATUS_JS)
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
                    ("Report (HTML)", "report-file"),
                    ("Trace (JSON)", "trace-file"),
                    ("Ranking (TREC)", "trec-file"),
                    ("Ranking (CSV)", "table-file"),
                )
            ]
            link = _html(js_on_load=LINK_JS, elem_id="link")
            judge = gr.Button(
                "Annotate this", size="sm", visible=annotates, elem_id="annotate-this"
            )
        judge_error = _html(elem_id="annotate-this-error")
    screen = Screen(
        status, bar.query_error, bar.corpus_error, examples, intro, results, bar.stop, cards,
        *[*charts.values(), strip, *files, link, share.first, share.second],
    )  # fmt: skip
    return screen, NextTab(judge, judge_error)


def _html(value: str = "", **options: Any) -> Any:
    """HTML that only assets/css/studio.css styles."""
    return gr.HTML(value, apply_default_css=False, **options)


def _join_run(
    events: RankEvents, bar: Bar, choices: Choices, screen: Screen, buttons: list[Any], own: Own
) -> None:
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
            None,
            list(screen),
            trigger_mode="multiple",
            show_progress="minimal",
            show_progress_on=screen.status,
            **RANK_QUEUE,
            api_visibility="private",
        )

    begin = {"fn": events.begin, "inputs": list(choices), "outputs": list(screen), **quick}
    join(bar.run.click(**begin))
    join(bar.query.submit(**begin))
    for button in buttons:
        chosen = button.click(lambda query: query, button, bar.query, **quick)
        join(chosen.then(**begin))
    join(
        own.rank.click(
            events.begin_pasted,
            [own.text, *choices],
            [bar.source, own.error, *screen],
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
    own.file.clear(lambda: "", None, own.error, **quick)
    say_stopping(bar.stop, screen.status)
    bar.stop.click(events.stop, None, list(screen), **quick)
