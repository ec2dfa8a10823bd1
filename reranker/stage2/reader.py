"""What stage 2 is asked for each window, whichever prompt form the student takes.

Takes a `WindowView`, returns a `WindowReading`. The two forms, digest_reader.py and
chat_reader.py, share this view and the mending of answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from reranker.parsing import ParsedRanking
from reranker.progress import Cancelled, TextDelta
from reranker.quotes import locate_quote
from reranker.stage2.decode import Decoded
from reranker.types import (
    Defect,
    DefectKind,
    Evidence,
    Generation,
    Justification,
    Mode,
    Passage,
    PassageScore,
    Verdict,
    Window,
    WindowReading,
)

FALLBACK_TEXT = "The student wrote no usable note on this passage."

Purpose = Literal["note", "ranking", "reading"]
OnDelta = Callable[[TextDelta], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowView:
    """One window as stage 2 sees it; passages, scores and ranks run in parallel.

    ranks: 1-based places in the whole list when the window is read. guard: whether texts are made
    harmless in the prompt.
    """

    index: int
    window: Window
    query: str
    passages: tuple[Passage, ...]
    scores: tuple[PassageScore, ...]
    ranks: tuple[int, ...]
    guard: bool = True


class WindowReader(Protocol):
    """Reads one window: justifications and a permutation."""

    def read(
        self,
        view: WindowView,
        *,
        mode: Mode,
        grounding: bool,
        on_delta: OnDelta,
        cancelled: Cancelled,
    ) -> WindowReading: ...


def hash_prompt(prompt: str) -> str:
    """SHA-256 of a prompt, so that a trace can prove what was asked without holding it."""
    return hashlib.sha256(prompt.encode()).hexdigest()


def record_generation(
    purpose: Purpose, prompt: str, decoded: Decoded, doc_id: str = ""
) -> Generation:
    return Generation(
        purpose=purpose,
        prompt_sha256=hash_prompt(prompt),
        prompt_tokens=decoded.prompt_tokens,
        text=decoded.text,
        tokens=decoded.tokens,
        doc_id=doc_id,
        stopped_by=decoded.stopped_by,
    )


def justify(
    view: WindowView, position: int, verdict: Verdict | None, reason: str, quotes: list[str]
) -> tuple[Justification, list[Defect]]:
    """A justification with its quotes located in the passage, and a defect for each that is
    not there and for a reason that was not written.

    Labels such as [2] mean places in the window, which nobody sees later; they become doc_ids.
    """
    passage = view.passages[position]
    evidence: list[Evidence] = []
    defects: list[Defect] = []
    for quote in filter(None, quotes):
        found = locate_quote(quote, passage.text)
        if found:
            evidence.append(found)
        else:
            defects.append(make_defect(view, "quote_not_found", quote, passage.doc_id))
    if not reason:
        defects.append(make_defect(view, "no_justification", FALLBACK_TEXT, passage.doc_id))
    justification = Justification(
        doc_id=passage.doc_id,
        verdict=verdict,
        text=_name_passages(reason, view) or FALLBACK_TEXT,
        evidence=tuple(evidence),
        source="model" if reason else "fallback",
    )
    return justification, defects


def _name_passages(reason: str, view: WindowView) -> str:
    def name(match: re.Match[str]) -> str:
        label = int(match[1])
        known = 1 <= label <= len(view.passages)
        return f"[{view.passages[label - 1].doc_id}]" if known else match[0]

    return re.sub(r"\[(\d{1,4})\]", name, reason)


def make_defect(view: WindowView, kind: DefectKind, detail: str, doc_id: str = "") -> Defect:
    return Defect(
        kind=kind,
        detail=detail,
        window_index=view.index,
        doc_id=doc_id,
    )


def ranking_defects(view: WindowView, parsed: ParsedRanking) -> list[Defect]:
    return [make_defect(view, kind, detail) for kind, detail in parsed.defects]
