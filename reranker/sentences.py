"""Sentence spans of a passage.

Takes text, returns half-open character spans that lie inside it, in order, without
overlap and without surrounding white space. Knows no tokenizer and no language model:
an English rule of thumb, shared by the digest, the highlights and the training data.
"""

from __future__ import annotations

import re

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
    return tuple(span for s, e in spans if (span := _strip(text, s, e))[0] < span[1])


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
