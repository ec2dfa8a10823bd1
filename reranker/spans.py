"""Where a verbatim quotation of a text may start and end.

Takes a text, returns byte offsets at word boundaries. Knows neither tokens nor what is quoted.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

# Over a text's shape (see _shape): a word, with a number's points and a word's apostrophes.
_WORD = re.compile(r"[wd](?:[wdm]|(?<=d)\.(?=d)|'(?=[wd]))*")
_CHUNK = re.compile(r"[^ ]+")


def plan_spans(
    source: str, barriers: Iterable[bytes], max_bytes: int
) -> tuple[dict[int, int], set[int]]:
    """Byte offsets: where a span may start, with the furthest end it can reach, and all ends.

    A span ends within max_bytes and before the next barrier; a start that reaches no end so is
    left out. Only where that leaves none is a word too long for max_bytes cut, between characters.
    """
    starts, ends = _word_boundaries(source)
    text = source.encode()
    stops = sorted(m.start() for b in barriers if b for m in re.finditer(re.escape(b), text))
    spans: dict[int, int] = {}
    for start in starts:
        stop = bisect_left(stops, start)
        cap = min([start + max_bytes, *stops[stop : stop + 1]])
        end = ends[bisect_right(ends, cap) - 1] if ends and cap >= ends[0] else start
        if end > start:
            spans[start] = end
    if not spans and ends and not stops:
        word = starts[bisect_left(starts, ends[0]) - 1]
        cut = word + len(text[word : word + max_bytes].decode(errors="ignore").encode())
        return {word: cut}, {cut}
    return spans, set(ends)


def _word_boundaries(source: str) -> tuple[list[int], list[int]]:
    """Rising byte offsets where a span of `source` may start and where it may end.

    It starts at a word, at punctuation leading up to one, or at the space before (which many
    tokenizers join to the word), and ends after a word or after punctuation on its heels, so
    that it always holds a word.
    """
    shape = "".join(map(_shape, source))
    starts: set[int] = set()
    ends: set[int] = set()
    for chunk in _CHUNK.finditer(shape):
        words = [match.span() for match in _WORD.finditer(shape, *chunk.span())]
        first, last = words[0][0] if words else chunk.end(), words[-1][1] if words else chunk.end()
        before = {chunk.start() - 1} if chunk.start() else set()
        starts |= before | {*range(chunk.start(), first), *(start for start, _ in words)}
        ends |= {end for _, end in words} | ({*range(last, chunk.end() + 1)} if words else set())
    offsets = [0, *accumulate(len(character.encode()) for character in source)]
    # A combining mark belongs to the character before it.
    starts -= {place for place, kind in enumerate(shape) if kind == "m"}
    ends -= {place for place, kind in enumerate(shape) if kind == "m"}
    return sorted(offsets[p] for p in starts), sorted(offsets[p] for p in ends)


def _shape(character: str) -> str:
    """The kind of a character: digit, word, mark, apostrophe, point, space or punctuation."""
    if character.isspace():
        return " "
    if character.isalnum():
        return "d" if character.isdecimal() else "w"
    if character in "'’":
        return "'"
    if character in ".,:":
        return "."
    return "m" if unicodedata.category(character).startswith("M") else "p"
