"""Whether a listwise answer may be learnt from: complete, grounded, and about this list alone.

Takes passages and a model's answer, returns what is wrong with it. Nothing is repaired: a
student learns what it is shown. Knows no model and no network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reranker.parsing import EVIDENCE, FINAL_MARKER, parse_ranking
from reranker.prompts.chat import parse_notes
from reranker.quotes import locate_quote
from reranker.types import Passage

RejectionKind = Literal[
    "cut_off", "no_ranking", "ranking", "notes", "quote_not_found", "foreign_label", "leaked_id"
]
MIN_ID_CHARS = 4
_LABEL = re.compile(r"\[(\d{1,9})\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """Why an answer cannot be learnt from."""

    kind: RejectionKind
    detail: str


def find_rejection(
    answer: str, passages: Sequence[Passage], *, cut_off: bool = False, query: str = ""
) -> Rejection | None:
    """The first thing wrong with an answer over `passages`; None for a good one.

    Asked are: an end, "### Final Reranking:" with every label once, a verdict and a reason for
    each passage, quotes that stand in the passage they are given for, no label that is not in
    the list, and no doc_id (the model was shown labels only; an id it knows came from elsewhere).
    """
    size = len(passages)
    if cut_off:
        return Rejection(kind="cut_off", detail="the answer was cut off at its token limit")
    if FINAL_MARKER.lower() not in answer.lower():
        return Rejection(kind="no_ranking", detail=f"there is no {FINAL_MARKER!r} in the answer")
    defects = parse_ranking(answer, size).defects
    if defects:
        return Rejection(kind="ranking", detail=defects[0][1])
    prose = EVIDENCE.sub("", answer)
    foreign = next((n for n in _LABEL.findall(prose) if not 1 <= int(n) <= size), None)
    if foreign is not None:
        return Rejection(kind="foreign_label", detail=f"[{foreign}] is not in the list")
    leaked = _find_leaked_id(prose, passages, query)
    if leaked:
        return Rejection(kind="leaked_id", detail=f"the id {leaked!r} stands in the answer")
    return _find_bad_note(answer, passages)


def _find_bad_note(answer: str, passages: Sequence[Passage]) -> Rejection | None:
    notes = parse_notes(answer, len(passages))
    for label, (note, passage) in enumerate(zip(notes, passages, strict=True), start=1):
        if note.verdict is None or not note.reason:
            return Rejection(kind="notes", detail=f"[{label}] has no verdict or no reason")
        for quote in note.quotes:
            # The prompt shows title and text as one.
            if locate_quote(quote, f"{passage.title} {passage.text}") is None:
                return Rejection(
                    kind="quote_not_found", detail=f"[{label}] does not hold {quote[:80]!r}"
                )
    return None


def _find_leaked_id(prose: str, passages: Sequence[Passage], query: str) -> str:
    shown = " ".join([query, *(f"{p.title} {p.text}" for p in passages)]).lower()
    for passage in passages:
        doc_id = passage.doc_id
        if len(doc_id) < MIN_ID_CHARS or doc_id.lower() in shown:
            continue  # too short to tell, or a word the model was shown
        if re.search(rf"(?<!\w){re.escape(doc_id)}(?!\w)", prose, re.IGNORECASE):
            return doc_id
    return ""
