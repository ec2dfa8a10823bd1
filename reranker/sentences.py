"""Sentence spans of a passage.

Takes text, returns half-open character spans that lie inside it, in order, without
overlap and without surrounding white space. Knows no tokenizer and no language model:
an English rule of thumb, shared by the digest, the highlights and the training data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_CHARS = 320

_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st vs etc eg ie al fig no vol ed eds inc ltd co corp gen col lt sgt "
    "rev hon gov sen rep jan feb mar apr jun jul aug sep sept oct nov dec approx ca cf dept est "
    "mt op pp".split()
)
_BREAK = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])|\n\s*\n|\n(?=\s*[-*•])")
_LONGEST_WORD = 24  # no abbreviation is longer; looking further back would cost n squared
_LAST_WORD = re.compile(r"([A-Za-z][A-Za-z.]*)\.$")


def split_sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Spans (start, end) of the sentences of `text`, 0-based, end exclusive."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BREAK.finditer(text):
        end = match.start() + len(match.group().rstrip())
        gap = match.group()
        is_paragraph = gap.startswith("\n") or gap.count("\n") > 1
        if not is_paragraph and _is_abbreviation(text[max(start, end - _LONGEST_WORD) : end]):
            continue
        spans.append((start, end))
        start = match.end()
    spans.append((start, len(text)))
    stripped = (_strip(text, start, end) for start, end in spans)
    return tuple(piece for s, e in stripped if s < e for piece in _cut_long(text, s, e))


def _cut_long(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span in pieces of at most MAX_CHARS, cut at a semicolon, comma or space: a quote of
    hundreds of words (a table, a listing) shows nothing."""
    while end - start > MAX_CHARS:
        limit = start + MAX_CHARS
        places = (text.rfind(mark, start + MAX_CHARS // 2, limit) for mark in ("; ", ", ", " "))
        cut = next((place + 1 for place in places if place > 0), limit)
        yield _strip(text, start, cut)
        start = _strip(text, cut, end)[0]
    yield start, end


def _is_abbreviation(ending: str) -> bool:
    """Whether the full stop of a sentence's `ending` belongs to an abbreviation or an initial."""
    match = _LAST_WORD.search(ending)
    if not match:
        return False
    word = match.group(1)
    return word.lower().replace(".", "") in _ABBREVIATIONS or (len(word) == 1 and word != "I")


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
