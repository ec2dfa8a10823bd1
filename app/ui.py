"""The whole page: header, tabs, look, and how it is served.

Takes a library, returns the Blocks and starts it. Each tab is arranged in its own module.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr

from app.annotate.desk import Desk
from app.annotate.events import AnnotateEvents
from app.annotate.ranking import join_ranking
from app.annotate.results import ResultEvents
from app.annotate.tab import AnnotateLinks, build_annotate_tab, build_off
from app.annotate.training import join_training
from app.api import add_api, answer_in_json
from app.compare.tab import build_compare_tab
from app.explain.tab import build_explain_tab
from app.html import render_header, render_note
from app.library import Library
from app.login import Logins
from app.messages import Message
from app.people import is_annotation_on
from app.rank.events import RankEvents
from app.rank.history import MAX_ENTRIES
from app.rank.tab import build_rank_tab
from app.session import Sessions
from app.train.events import TrainEvents
from app.train.tab import build_train_tab
from reranker.config import ASSETS

ACCESS_JS = (Path(__file__).parent / "access.js").read_text(encoding="utf-8")
STYLES = ("studio", "share", "compare", "explain", "annotate", "train")
MAX_UPLOAD = "64mb"
CACHE_SECONDS = (3600, 24 * 3600)
"""How often Gradio's own copies of uploads and downloads are looked through, and how old they
may grow."""
MAX_WAITING = 50
"""Runs that may wait in the queue before a visitor is asked to come back later."""
POLL_SECONDS = 0.5
PRIVACY = (
    "Queries, passages and results stay on the machine that runs this page; nothing is sent "
    "elsewhere. Your browser stores which annotation project you opened and the judgements you "
    "have not saved yet, nothing else. Saved judgements stay on that machine. This page's latest "
    f"{MAX_ENTRIES} rankings stay in the machine's memory until the page is closed or reloaded, "
    "files you upload or download on its disk for at most a day or two. No other visitor sees "
    "them. A copied link holds the query and the settings. Training jobs are kept: their tab says "
    "what, and who sees it."
)


def build_page(library: Library, logins: bool = False) -> gr.Blocks:
    """The Blocks, not yet served. logins: visitors will have to log in."""
    sessions = Sessions()
    events = RankEvents(library, sessions)
    with gr.Blocks(
        title="DeAR Studio", analytics_enabled=False, fill_width=True, delete_cache=CACHE_SECONDS
    ) as page:
        header = gr.HTML(render_header(describe_state(library)), apply_default_css=False)
        with gr.Tabs(elem_classes="main-tabs") as tabs:
            with gr.Tab("Rank", id="rank") as rank_tab:
                choices, door = build_rank_tab(events, rank_tab, is_annotation_on(logins))
            build_explain_tab(events, choices)
            build_compare_tab(events)
            with gr.Tab("Annotate", id="annotate"):
                links = _build_annotate(page, library, sessions, logins)
            with gr.Tab("Train", id="train"):
                training = build_train_tab(TrainEvents(library, sessions), choices.student)
            if links is not None:
                join_training(links, training, tabs)
                join_ranking(door, links, tabs)
        gr.HTML(render_note(PRIVACY), apply_default_css=False)

        async def follow_warm_up() -> AsyncIterator[str]:
            yield render_header(describe_state(library))
            while not library.warmed.is_set():
                await asyncio.sleep(POLL_SECONDS)
            yield render_header(describe_state(library))

        page.load(
            follow_warm_up,
            None,
            header,
            show_progress="hidden",
            concurrency_limit=None,
            api_visibility="private",
        )
        page.unload(events.forget)
        add_api(library)
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)


def _build_annotate(
    page: gr.Blocks, library: Library, sessions: Sessions, logins: bool
) -> AnnotateLinks | None:
    if not is_annotation_on(logins):
        build_off()
        return None
    desk = Desk()
    return build_annotate_tab(
        page, AnnotateEvents(library, sessions, desk), ResultEvents(desk, sessions)
    )


def describe_state(library: Library) -> Message:
    """Whether the student is loaded yet."""
    student = f"student {library.student}, {library.quantization}"
    if library.warm_error is not None:
        return library.warm_error
    if not library.warmed.is_set():
        return Message(text=f"Warming up: loading {student}…", tone="busy")
    return Message(text=f"Ready: {student}", tone="done")


def serve_page(
    page: gr.Blocks,
    library: Library,
    host: str | None,
    port: int | None,
    logins: Logins | None = None,
) -> None:
    """Serves until interrupted. The page answers first, then the student is loaded.

    Nothing is recorded in the browser (run_history) and no file of this machine is served
    besides the page's own. host: None leaves the choice to Gradio, as on a Space.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    if library.borrows_gpu:
        library.warm_up()
    open_page(page, host, port, logins)
    if not library.borrows_gpu:
        library.warm_up()
    page.block_thread()


def open_page(
    page: gr.Blocks, host: str | None, port: int | None, logins: Logins | None = None
) -> None:
    """Starts serving in the background; with logins, only to those who know one."""
    page.launch(
        server_name=host,
        server_port=port,
        auth=logins,
        prevent_thread_lock=True,
        max_file_size=MAX_UPLOAD,
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        allowed_paths=[],
        footer_links=["api", "settings"],
        mcp_server=True,
        theme=make_theme(),
        js=ACCESS_JS,
        css_paths=[ASSETS / "css" / f"{name}.css" for name in STYLES],
    )
    answer_in_json(page)


def make_theme() -> gr.themes.Base:
    """Gradio's plain theme with fonts it brings along, and greys that are dark enough to read."""
    # Gradio's own default, weight 600, is a file that lacks most letters; 700 is whole.
    sans = (gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.zinc,
        radius_size=gr.themes.sizes.radius_sm,
        font=sans,
    )
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="#0072B2",
        button_primary_background_fill_dark="#0072B2",
        button_primary_background_fill_hover="#005A8C",
        button_primary_background_fill_hover_dark="#0A84C6",
    )
