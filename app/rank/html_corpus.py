"""HTML of a look into a corpus: a few of its passages, escaped and cut to a readable length.

Takes a `Preview`, returns an HTML string. Knows no corpus and no component.
"""

from __future__ import annotations

from app.facts import shorten
from app.html import escape
from app.rank.preview import Preview

SHOWN_CHARS = 300
SHOWN_ID_CHARS = 60


def render_preview(preview: Preview) -> str:
    """What is shown and of how many, then the passages."""
    rows = "".join(
        f'<li><h4 dir="auto">{escape(shorten(" ".join(p.title.split()), 120) or "Untitled")} '
        f'<span class="doc-id">{escape(shorten(p.doc_id, SHOWN_ID_CHARS))}</span></h4>'
        f'<p class="passage" dir="auto">{escape(shorten(p.text, SHOWN_CHARS))}</p></li>'
        for p in preview.passages
    )
    listed = f'<ul class="preview">{rows}</ul>' if rows else ""
    return f'<p class="note" role="status">{escape(preview.heading)}</p>{listed}'
