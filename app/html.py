"""HTML, made here and nowhere else; everything that comes from outside is escaped here.

Takes traces, messages and plain text, returns HTML strings. Corpus text, model text and
measured numbers get different classes, so that nobody mistakes one for another. Knows no
component; the classes are styled in assets/css/studio.css.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from app.facts import (
    VERDICT_WORDS,
    describe_move,
    list_flags,
    list_integrity,
    list_places,
    name_passage,
)
from app.messages import Message
from reranker.types import (
    Defect,
    Evidence,
    Generation,
    Justification,
    RankedHit,
    RankingTrace,
)

SHOWN_CHARS = 900
"""Of a passage on its card; the whole opens below it."""
MAX_SHOWN_CHARS = 20_000
"""Of a passage that was opened; what is longer ends with a note."""

# A student writes markers between its words: what may be told of them is, the others go.
_HALF_MARKER = re.compile(r"<(\|[^|>]*\|?)?$")
_MARKER = re.compile(r"<\|([^|>]*)\|>")
_REFERENCE = re.compile(r"[cl]\d")
_SHOWN_MARKERS = {"quote": "“", "/quote": "” · ", "t": "“", "/t": "”"} | {
    verdict: f"{words} · " for verdict, words in VERDICT_WORDS.items()
}


def escape(text: str) -> str:
    """`text` safe as content and in a quoted attribute."""
    return html.escape(text, quote=True)


def escape_label(text: str) -> str:
    """`text` for a chart's label, where Plotly reads some tags but not &quot;."""
    return html.escape(text, quote=False)


def highlight(text: str, evidence: Iterable[Evidence], end: int | None = None) -> str:
    """text[:end] with the quoted spans in <mark>; offsets count into the whole `text`.

    Spans may overlap, touch, come unsorted or reach outside; no character is marked twice.
    """
    end = len(text) if end is None else min(end, len(text))
    parts, place = [], 0
    for span in sorted(evidence, key=lambda span: span.start):
        first, last = max(span.start, place), min(span.end, end)
        if first < last:
            parts += [escape(text[place:first]), f"<mark>{escape(text[first:last])}</mark>"]
            place = last
    return "".join([*parts, escape(text[place:end])]).replace("</mark><mark>", "")


def clean_stream(text: str) -> str:
    """Text being decoded as a person reads it: no markers, not even half of one at the end.

    A reference to a word of the query becomes "…": which word it is, is known when the note is
    taken apart.
    """

    def show(match: re.Match[str]) -> str:
        return "…" if _REFERENCE.fullmatch(match[1]) else _SHOWN_MARKERS.get(match[1], "")

    shown = _MARKER.sub(show, _HALF_MARKER.sub("", text))
    return " ".join(shown.replace("“ ", "“").split()).removesuffix(" ·")


def render_message(message: Message | None) -> str:
    """A line beside the control it concerns; empty when there is nothing to say."""
    if message is None:
        return ""
    role = "alert" if message.tone == "error" else "status"
    return f'<p class="message {message.tone}" role="{role}">{escape(message.text)}</p>'


def render_waiting(message: Message, seconds: float) -> str:
    """`message` for a run that waits; status.js puts its place in. seconds: what a turn takes."""
    line = render_message(message)
    return line.replace("<p ", f'<p data-waiting="{seconds:.1f}" ', 1)


def render_header(state: Message) -> str:
    """The page's name and, beside it, whether the student is loaded."""
    return (
        '<a class="skip" href="#status">Skip to the result</a>'
        '<header class="masthead"><h1>DeAR Studio</h1>'
        "<p>Ranks passages in two stages and shows why each stands where it does.</p>"
        f'<p class="state {state.tone}" role="status">{escape(state.text)}</p></header>'
    )


def render_intro() -> str:
    """What will be seen here, on a page that has not ranked anything yet."""
    stages = (
        ("bm25", "BM25", "finds the candidates by their words."),
        ("stage1", "Stage 1", "scores each passage against the query."),
        ("stage2", "Stage 2", "reads them together, quotes evidence, says why, and reorders."),
    )
    shown = "".join(
        f'<li><span class="place {stage}"><b>{name}</b></span> {text}</li>'
        for stage, name, text in stages
    )
    return (
        f'<div class="intro"><ol>{shown}</ol><p class="note">Type a query, or take an example. '
        "Every score, move and repair stays visible; the ranking can be downloaded.</p></div>"
    )


def render_asked(trace: RankingTrace) -> str:
    """Which query the cards below answer: the query box may say another one by now."""
    query = escape(trace.query.text)
    return f'<h2 class="asked">Ranked for <q dir="auto">{query}</q></h2>'


def render_note(text: str) -> str:
    """A quiet line of the page's own words."""
    return f'<p class="note">{escape(text)}</p>' if text else ""


def render_corpus(description: str, facts: Sequence[str]) -> str:
    """What the chosen corpus is: its description, then short facts about it."""
    shown = "".join(f"<li>{escape(fact)}</li>" for fact in facts if fact)
    text = f"<p>{escape(description)}</p>" if description else ""
    return f'<div class="corpus-line">{text}<ul>{shown}</ul></div>'


def render_cards(
    trace: RankingTrace, live: Mapping[str, str], reading: Collection[str] = ()
) -> str:
    """Every candidate in its present order.

    live: raw text being decoded, by doc_id. reading: doc_ids of the window being read now.
    """
    defects: dict[str, list[Defect]] = {}
    for defect in trace.defects:
        defects.setdefault(defect.doc_id, []).append(defect)
    generations = {
        generation.doc_id: generation
        for reading in trace.readings
        for generation in reading.generations
    }
    cards = [
        _render_card(
            hit,
            trace,
            defects.get(hit.passage.doc_id, []),
            generations.get(hit.passage.doc_id),
            live.get(hit.passage.doc_id),
            reading=hit.passage.doc_id in reading,
        )
        for hit in trace.ranked_hits()
    ]
    window = _render_live("", live[""]) if "" in live else ""
    return f'{window}<ol class="cards">{"".join(cards)}</ol>'


def _render_card(
    hit: RankedHit,
    trace: RankingTrace,
    defects: Sequence[Defect],
    generation: Generation | None,
    live: str | None,
    *,
    reading: bool,
) -> str:
    doc_id = hit.passage.doc_id
    note = _render_justification(hit.justification) if hit.justification else ""
    if live is not None:
        note = _render_live(doc_id, live)
    told = list_flags(hit, defects, trace.query.text)
    flags = "".join(f"<li>{escape(flag)}</li>" for flag in told)
    return (
        f'<li class="card{" reading" if reading else ""}" id="card-{hit.rank}" '
        f'data-doc="{escape(doc_id)}">'
        f"{_render_head(hit, trace, reading)}{note}{_render_passage(hit)}"
        f"{f'<ul class=flags>{flags}</ul>' if flags else ''}"
        f"{_render_generation(generation) if generation else ''}</li>"
    )


def _render_head(hit: RankedHit, trace: RankingTrace, reading: bool) -> str:
    places = '<span class="arrow" aria-hidden="true">→</span>'.join(
        f'<span class="place {place.stage}">{escape(place.words)} <b>{place.rank}</b></span>'
        for place in list_places(hit, trace)
    )
    move = describe_move(hit)
    moved = f'<span class="move" title="since the first stage">{move}</span>' if move else ""
    now = '<span class="now">being read now</span>' if reading else ""
    scores = [("stage 1", "stage1", hit.score), ("BM25", "bm25", hit.bm25_score)]
    numbers = "".join(
        f'<div class="{stage}"><dt>{name}</dt><dd>{score:.2f}</dd></div>'
        for name, stage, score in scores
        if score is not None
    )
    return (
        f'<div class="head"><span class="rank">{hit.rank}</span><div class="about">'
        f'<h3 dir="auto"><span class="title">{escape(name_passage(hit))}</span> '
        f'<span class="doc-id">{escape(hit.passage.doc_id)}</span></h3>'
        f'<p class="places">{places}{moved}{now}</p></div>'
        f'<dl class="scores">{numbers}</dl></div>'
    )


def _render_justification(justification: Justification) -> str:
    verdict = justification.verdict
    badge = f'<span class="verdict {verdict}">{VERDICT_WORDS[verdict]}</span>' if verdict else ""
    if justification.source == "fallback":
        return f'<p class="fallback">{badge}{escape(justification.text)}</p>'
    return f'<p class="model" dir="auto">{badge}{escape(justification.text)}</p>'


def _render_live(doc_id: str, text: str) -> str:
    return (
        f'<p class="model live" data-live="{escape(doc_id)}" dir="auto">'
        f"{escape(clean_stream(text))}</p>"
    )


def _render_passage(hit: RankedHit) -> str:
    text = hit.passage.text
    evidence = hit.justification.evidence if hit.justification else ()
    if len(text) <= SHOWN_CHARS:
        return f'<p class="passage" dir="auto">{highlight(text, evidence)}</p>'
    beyond = sum(span.end > SHOWN_CHARS for span in evidence)
    marks = f", {beyond} marked there" if beyond else ""
    cut = f"<p>Only the first {MAX_SHOWN_CHARS:,} characters are shown.</p>"
    return (
        f'<p class="passage" dir="auto">{highlight(text, evidence, SHOWN_CHARS)}…</p>'
        f'<details data-key="text {escape(hit.passage.doc_id)}">'
        f"<summary>Whole passage ({len(text):,} characters{marks})</summary>"
        f'<p class="passage" dir="auto">{highlight(text, evidence, MAX_SHOWN_CHARS)}</p>'
        f"{cut if len(text) > MAX_SHOWN_CHARS else ''}</details>"
    )


def _render_generation(generation: Generation) -> str:
    ended = "" if generation.stopped_by == "end" else ", cut off at its length limit"
    return (
        f'<details data-key="raw {escape(generation.doc_id)}"><summary>What the student wrote'
        f" ({generation.tokens} tokens{ended})</summary>"
        f'<p class="model raw" dir="auto">{escape(clean_stream(generation.text))}</p>'
        f'<p class="note">Prompt: {generation.prompt_tokens} tokens, SHA-256 '
        f"<code>{escape(generation.prompt_sha256[:16])}</code></p></details>"
    )


def render_window_texts(trace: RankingTrace) -> str:
    """A drawer with what was written about whole windows: rankings and readings."""
    rows = [
        f"<p>Window {reading.index + 1}, {escape(generation.purpose)} ({generation.tokens} tokens)"
        f'</p><p class="model raw" dir="auto">{escape(clean_stream(generation.text))}</p>'
        for reading in trace.readings
        for generation in reading.generations
        if not generation.doc_id
    ]
    if not rows:
        return ""
    return (
        '<details class="window-texts" data-key="windows"><summary>What the student wrote about '
        f"whole windows ({len(rows)})</summary>{''.join(rows)}</details>"
    )


def render_strip(trace: RankingTrace) -> str:
    """The integrity strip: what went in, what came out, what was repaired, and by which weights."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in list_integrity(trace)
        if value
    )
    return (
        '<section class="strip" aria-label="How this ranking was made">'
        f"<dl>{rows}</dl>{render_window_texts(trace)}</section>"
    )
