"""A drawer that shows what the chosen corpus holds: its first passages, or those with some words.

Takes the tab's events and its corpus chooser; adds the drawer where it is called.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.rank.events import SKIP, RankEvents, find_key
from app.rank.html_corpus import render_preview
from app.rank.preview import MAX_WORDS_CHARS, preview_source
from reranker.errors import DearError


def build_corpus_panel(events: RankEvents, chooser: Any) -> None:
    """Adds the drawer and joins it to the chooser."""
    first = events.library.open_source(events.library.corpora[0].corpus_id)
    with gr.Accordion("Look into the corpus", open=False, elem_id="corpus-panel"):
        words = gr.Textbox(
            label="Passages with these words",
            placeholder="Leave empty for the first ones",
            max_lines=1,
            max_length=MAX_WORDS_CHARS,
            elem_id="corpus-words",
        )
        shown = gr.HTML(
            render_preview(preview_source(first)), apply_default_css=False, elem_id="corpus-preview"
        )

    def preview(source_key: str, words: str | None, request: gr.Request) -> Any:
        """A corpus that cannot be opened leaves what is shown; its chooser says why. words: None
        from a box in a drawer that was never opened."""
        try:
            source = events.find_source(source_key, find_key(request))
        except DearError:
            return SKIP
        return render_preview(preview_source(source, words or ""))

    options: dict[str, Any] = {
        "fn": preview,
        "inputs": [chooser, words],
        "outputs": shown,
        "show_progress": "hidden",
        "trigger_mode": "always_last",
        "concurrency_limit": 4,
        "api_visibility": "private",
    }
    words.change(**options)
    chooser.change(**options)
