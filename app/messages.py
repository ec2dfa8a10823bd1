"""From errors to what a person reads. The one place that does so.

Takes an exception and where on the page it belongs, returns a `Message`. Writes no HTML and
recovers nothing: what was on the page stays there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from app.facts import describe_timings
from reranker.errors import (
    CancelledError,
    DearError,
    HubError,
    InputError,
    QuantizationError,
    StudentError,
    TraceError,
)
from reranker.progress import StageProgress
from reranker.types import RankingTrace

logger = logging.getLogger(__name__)

Tone = Literal["info", "busy", "done", "stopped", "error"]

NO_QUERY = "Type a query first: what are you looking for?"
QUERY_TOO_LONG = "This query is too long: {given:,} characters, at most {limit:,}. Shorten it."
NOTHING_FOUND = (
    "No passage of this corpus contains a word of the query. "
    "Try other words, or choose another corpus."
)
WAITING = "Waiting for a turn: one ranking runs at a time."
STOPPED_WAITING = "Stopped before it began."
STOPPING = "Stopping…"
NOTHING_COMPUTED = "Nothing was computed."
LINK_FILLED = "A link filled in the query and the settings. Nothing runs until you press Run."
LINK_PARTLY = (
    "A link filled in what it could; the rest was refused. Nothing runs until you press Run."
)
NOT_KEPT = "Choose a ranking first: this page keeps the latest twenty until it is closed."
SAME_TWICE = "Choose two different rankings to set side by side."
CLEARED = "This page's rankings are forgotten. The one on the page stays until the next."
NO_GPU = "expected a GPU from this Space, got none ({reason}); try again later"

_LEADS: tuple[tuple[type[DearError], str], ...] = (
    (QuantizationError, "This quantisation does not work here"),
    (StudentError, "The student cannot be used"),
    (TraceError, "The trace cannot be used"),
    (HubError, "Not pushed"),
    (InputError, ""),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One thing to tell. `text` is plain text; html.py escapes it."""

    text: str
    tone: Tone = "info"


def explain_error(error: BaseException, *, kept: str = "") -> Message:
    """What went wrong and what to do; `kept` names what stays on the page.

    Errors the core raises on purpose already say what to do. Anything else is a fault of the
    program: its text may hold paths or other people's data, so it goes to the log, not the page.
    """
    if isinstance(error, CancelledError):
        return Message(text=join_sentences("Stopped.", kept), tone="stopped")
    if isinstance(error, DearError):
        lead = next((lead for kind, lead in _LEADS if isinstance(error, kind)), "")
        text = f"{lead}: {error}" if lead else capitalize(str(error))
        ended = text if text.endswith(("?", "!", "…")) else f"{text.rstrip('.')}."
        return Message(text=join_sentences(ended, kept), tone="error")
    logger.error("unexpected error", exc_info=error)
    name = type(error).__name__
    return Message(
        text=join_sentences(
            f"The program failed ({name}). Whoever runs it finds the details in its log.", kept
        ),
        tone="error",
    )


def capitalize(text: str) -> str:
    """`text` with a capital first letter, unless it begins with a place ("notes.csv:3: …")."""
    head = text.split(" ", 1)[0]
    return text if head.endswith(":") else text[:1].upper() + text[1:]


def join_sentences(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def describe_progress(progress: StageProgress | None, trace: RankingTrace | None = None) -> Message:
    """What is being done, with numbers where there are any. trace: what is finished, whose stages'
    times are told while stage 2 takes its own."""
    if progress is None:
        return Message(text="BM25 has found the candidates. Preparing the student…", tone="busy")
    if progress.stage == "load":
        return Message(text=f"{capitalize(progress.message or 'loading')}…", tone="busy")
    if progress.stage == "stage1":
        return Message(
            text=f"Stage 1: scored {progress.done} of {progress.total} passages…", tone="busy"
        )
    if progress.stage == "stage2":
        window = f"window {progress.done + 1} of {progress.total}"
        detail = f" ({progress.message})" if progress.message else ""
        so_far = f"Seconds so far: {describe_timings(trace)}." if trace is not None else ""
        return Message(text=join_sentences(f"Stage 2: {window}{detail}…", so_far), tone="busy")
    if progress.stage == "shuffles":
        reading = f"shuffled reading {progress.done + 1} of {progress.total}"
        return Message(text=f"Stage 2: {reading}, {progress.message}…", tone="busy")
    return Message(text="Searching with BM25…", tone="busy")


def describe_result(trace: RankingTrace) -> Message:
    """The finished ranking in one sentence or two."""
    seconds = sum(timing.seconds for timing in trace.timings)
    stages = describe_timings(trace)
    text = f"Ranked {count(len(trace.final_order), 'passage')} in {seconds:.1f} s"
    text = f"{text} ({stages})." if stages else f"{text}."
    return Message(text=join_sentences(text, describe_stage2(trace)), tone="done")


def describe_stage2(trace: RankingTrace) -> str:
    """Whether stage 2 changed anything; empty where it did not run."""
    if not trace.readings:
        return ""
    if not trace.stage2_changes:
        return "Stage 2 changed no place."
    return f"Stage 2 changed {trace.stage2_changes} of {len(trace.final_order)} places."


def count(number: int, noun: str) -> str:
    """1 passage, 2,000 passages."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
