"""Changes to a passage or a query, and what they changed word by word.

Takes text, returns text and diffs. English rules of thumb, like reranker/sentences.py; a rule
that finds nothing to change raises InputError and says so. Knows no model.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reranker.errors import InputError
from reranker.types import Hit, Passage

DiffKind = Literal["same", "removed", "added"]
MAX_EDIT_CHARS = 20_000

_AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|must|may|might|does|do|did|has|have|had)\b"
)
_NOT = re.compile(r"\s+not\b|(?<=[a-z])n['’]t\b", re.I)
_SHORT = {"ca": "can", "wo": "will", "sha": "shall"}
"""What stands before n't where it is no whole word."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"\b[A-Z][\w'’-]+(?:\s+(?:of|the|de|van|von)?\s*[A-Z][\w'’-]+)*")
_WORDS = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One passage as it shall read. doc_id: a candidate's, or a new one for a passage that is
    put below the candidates. label: what was done, in a few words."""

    doc_id: str
    text: str
    title: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffPiece:
    """A run of characters that stayed, went or came."""

    kind: DiffKind
    text: str


def apply_edits(hits: Sequence[Hit], edits: Sequence[Edit]) -> tuple[Hit, ...]:
    """The candidates with the edits made; a new doc_id is added as the last candidate.

    Ranks and BM25 scores stay what they were. Raises InputError for an edit that leaves no text.
    """
    wanted = {edit.doc_id: edit for edit in edits}
    for edit in edits:
        if not edit.text.strip() or len(edit.text) > MAX_EDIT_CHARS:
            raise InputError(
                f"expected 1 to {MAX_EDIT_CHARS:,} characters as the passage, got "
                f"{len(edit.text):,}; write what it should say"
            )
    changed = [
        replace(hit, passage=_edit(hit.passage, wanted[hit.passage.doc_id]))
        if hit.passage.doc_id in wanted
        else hit
        for hit in hits
    ]
    known = {hit.passage.doc_id for hit in hits}
    rank = max((hit.rank for hit in hits), default=0)
    for edit in edits:
        if edit.doc_id not in known:
            rank += 1
            passage = Passage(doc_id=edit.doc_id, title=edit.title, text=edit.text.strip())
            scored = hits and hits[-1].bm25_score is not None
            changed.append(Hit(passage=passage, rank=rank, bm25_score=0.0 if scored else None))
    return tuple(changed)


def _edit(passage: Passage, edit: Edit) -> Passage:
    return replace(passage, text=edit.text.strip(), title=edit.title or passage.title)


def delete_span(text: str, start: int, end: int) -> str:
    """Without text[start:end], white space closed up. Raises InputError when nothing is left."""
    left = " ".join(part for part in (text[:start].rstrip(), text[end:].lstrip()) if part)
    if not left:
        raise InputError(
            "expected a passage with more than this sentence, got it alone; replace it instead"
        )
    return left


def negate_span(text: str, start: int, end: int) -> str:
    """The sentence text[start:end] made to say the opposite: a "not" taken out or put behind the
    first auxiliary, else "It is not true that" before it."""
    sentence = text[start:end]
    if _NOT.search(sentence):
        changed = _NOT.sub("", sentence, count=1)
        changed = re.sub(r"\b(ca|wo|sha)\b", lambda short: _SHORT[short[0]], changed, count=1)
    elif match := _AUXILIARY.search(sentence):
        changed = f"{sentence[: match.end()]} not{sentence[match.end() :]}"
    else:
        head = sentence[:1].lower() if not sentence[:2].isupper() else sentence[:1]
        changed = f"It is not true that {head}{sentence[1:]}"
    return text[:start] + changed + text[end:]


def swap_numbers(text: str, start: int, end: int) -> str:
    """Other numbers in text[start:end]: each gets the next one's value, a lone one other digits.

    Raises InputError where there is no number.
    """
    found = list(dict.fromkeys(_NUMBER.findall(text[start:end])))
    if not found:
        raise InputError("expected a number in the sentence, got none; choose another change")
    if len(found) == 1:
        other = {found[0]: re.sub(r"\d", lambda digit: str((int(digit[0]) + 3) % 10), found[0])}
    else:
        other = dict(zip(found, [*found[1:], found[0]], strict=True))
    return text[:start] + _NUMBER.sub(lambda m: other[m[0]], text[start:end]) + text[end:]


def swap_names(text: str, start: int, end: int, others: Sequence[str]) -> str:
    """A name in text[start:end] replaced by one that stands elsewhere. others: texts to take it
    from, this one's own first. Raises InputError where there is no name or no other."""
    names = _find_names(text[start:end])
    if not names:
        raise InputError("expected a name in the sentence, got none; choose another change")
    for source in (text, *others):
        for name in _find_names(source):
            if name not in names and not any(name in n or n in name for n in names):
                return text[:start] + text[start:end].replace(names[0], name) + text[end:]
    raise InputError("expected another name to put in its place, got none; write your own text")


def replace_word(text: str, word: str, by: str) -> str:
    """Every whole `word`, in either case, replaced. Raises InputError where it does not stand."""
    pattern = re.compile(rf"(?<!\w){re.escape(word.strip())}(?!\w)", re.I)
    if not word.strip() or not pattern.search(text):
        raise InputError(f"expected the word {word[:40]!r} in the passage, got none; check it")
    return pattern.sub(lambda match: by, text)


def _find_names(text: str) -> list[str]:
    """Runs of capitalised words, in reading order; a single one only inside a sentence."""
    starts = {0, *(m.end() for m in re.finditer(r"[.!?:]\s+|\n", text))}
    return [m[0] for m in _NAME.finditer(text) if m.start() not in starts or " " in m[0]]


SPAN_EDITS: dict[str, Callable[[str, int, int], str]] = {
    "delete": delete_span,
    "negate": negate_span,
    "numbers": swap_numbers,
}
"""Changes to one sentence that need nothing but the passage."""


def diff_texts(before: str, after: str) -> tuple[DiffPiece, ...]:
    """What became of `before`, word by word, in reading order."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[DiffPiece] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if tag == "equal":
            pieces.append(DiffPiece(kind="same", text="".join(old[i1:i2])))
            continue
        if i1 < i2:
            pieces.append(DiffPiece(kind="removed", text="".join(old[i1:i2])))
        if j1 < j2:
            pieces.append(DiffPiece(kind="added", text="".join(new[j1:j2])))
    return tuple(pieces)
