"""A ranking as one HTML file that opens anywhere: no program, no network, no script.

Takes a trace, returns a whole document; the same trace gives the same document. Styles are the
page's own (assets/css/studio.css) after those that stand in for Gradio's (assets/css/report.css).
The document's own policy forbids scripts, requests and every style but this one.
"""

from __future__ import annotations

import base64
import hashlib
import re

from app.facts import shorten
from app.html import escape, render_cards, render_message, render_strip
from app.messages import Message, describe_stage2
from app.rank.html_charts import render_flow, render_scores, render_terms, style_flow
from app.rank.origin import describe_origin, list_settings
from reranker.config import ASSETS
from reranker.types import RankingTrace

TITLE_CHARS = 120
_DARK_RULE = re.compile(r"^\.dark\b([^{]*)\{(.*?)^\}", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def render_report(trace: RankingTrace) -> str:
    """The whole document. Light or dark as the reader's system asks, light on paper."""
    style = make_style(len(trace.hits))
    query = " ".join(trace.query.text.split())
    charts = render_flow(trace) + render_scores(trace) + render_terms(trace)
    return (
        f"{open_document(query, style)}"
        f"{_render_top(trace, query)}<main>"
        f"<section><h2>Charts</h2>{charts}</section>"
        f"<section><h2>Ranking</h2>{render_cards(trace, {})}</section>"
        f"<section><h2>How this ranking was made</h2>{render_strip(trace)}"
        f"{_render_versions(trace)}</section></main></body></html>\n"
    )


def make_policy(style: str) -> str:
    """Nothing is loaded or run; only this very style applies, known by its SHA-256."""
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;; "
        "base-uri &#x27;none&#x27;; form-action &#x27;none&#x27;"
    )


def make_style(count: int) -> str:
    """The style of a report of `count` passages."""
    return join_sheets("report", "studio") + style_flow(count)


def join_sheets(*names: str) -> str:
    """Sheets of assets/css as one. The page's rules for its dark look follow the reader's system
    here: on the page a class says that it is dark; a report has no script that could set one."""
    sheets = ((ASSETS / "css" / f"{name}.css").read_text(encoding="utf-8") for name in names)
    style = _COMMENT.sub("", "".join(sheets))
    style = _DARK_RULE.sub(r"@media screen and (prefers-color-scheme: dark) {:root\1{\2}}", style)
    return re.sub(r"\s+", " ", style).strip()


def open_document(title: str, style: str) -> str:
    """The beginning of a report, up to and with its opened body; nothing foreign is loaded."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{make_policy(style)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(shorten(title, TITLE_CHARS))} · DeAR Studio</title>"
        f'<style>{style}</style></head><body class="report">'
    )


def _render_top(trace: RankingTrace, query: str) -> str:
    told = " ".join(filter(None, [describe_origin(trace), describe_stage2(trace)]))
    settings = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in list_settings(trace)
        if value
    )
    failed = render_message(Message(text=trace.error, tone="error")) if trace.error else ""
    return (
        f'<header><p class="kind">DeAR Studio · report of one ranking</p>'
        f'<h1 dir="auto">{escape(query)}</h1><p>{escape(told)}</p>{failed}'
        f'<dl class="settings">{settings}</dl></header>'
    )


def _render_versions(trace: RankingTrace) -> str:
    if not trace.versions:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(trace.versions.items()))
    return f'<p class="note">Ranked with {escape(versions)}.</p>'
