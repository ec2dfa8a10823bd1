"""The one tokeniser: text in, words out, each with its stem and its place in the text.

Takes a string; returns stems (for indexing and matching) or `Token` records (for showing and
highlighting). Knows nothing of passages, scores or indexes. Every module that asks "which
query words occur here?" must ask it with these functions, or its answer differs from BM25's.

A word is a run of letters, digits and combining marks, with apostrophes allowed inside; an
underscore separates words, so that get_event_loop is three. Chinese and Japanese characters
are words by themselves. A word is normalised (NFKC, case folding) and stemmed by Snowball's
English stemmer, which leaves words it has no rule for as they are.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from itertools import groupby
from typing import NamedTuple

import Stemmer

STOPWORDS = frozenset(
    """
    a about am an and any are as at be been being but by can could did do does for from had has
    have he her his how i if in into is it its me my of on or our she should so such than that
    the their them then there these they this those to us was we were what when where which who
    whom whose why will with would you your
    """.split()
)
"""Common English words a query does without. "no" and "not" are not among them."""


def _mark_ranges() -> str:
    """Combining marks of the basic plane as the inside of a character class."""
    marks = (c for c in range(0x300, 0x10000) if unicodedata.category(chr(c)).startswith("M"))
    ranges = []
    for _, run in groupby(enumerate(marks), key=lambda pair: pair[1] - pair[0]):
        codes = [code for _, code in run]
        ranges.append(f"\\u{codes[0]:04x}-\\u{codes[-1]:04x}")
    return "".join(ranges)


_CJK = "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"(?![{_CJK}])[^\W_]"
_PART = rf"{_LETTER}(?:{_LETTER}|[{_mark_ranges()}])*"
_WORD = re.compile(rf"[{_CJK}]|{_PART}(?:['\u2019]{_PART})*")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")

_RULES = 1  # raise by one whenever the rules above change: saved indexes are keyed by it
TOKENIZER_VERSION = f"{_RULES}-snowball{Stemmer.version()}-unicode{unicodedata.unidata_version}"
"""Names everything a stem depends on. An index built under another version is not reused."""

_per_thread = threading.local()


class Token(NamedTuple):
    """One word of a text: surface == text[start:end] (0-based, half-open).

    `stem` is what BM25 matches on.
    """

    surface: str
    stem: str
    start: int
    end: int


def tokenize(text: str, *, keep_common: bool = False) -> list[str]:
    """The stems of a text in reading order, without common words unless `keep_common`."""
    if text.isascii():
        words = _ASCII_WORD.findall(text.lower())
    else:
        words = [word for match in _WORD.finditer(text) for word in _normalize(match.group())]
    return _stem(words if keep_common else [word for word in words if word not in STOPWORDS])


def tokenize_with_offsets(text: str, *, keep_common: bool = False) -> list[Token]:
    """The tokens of a text with their places; the stems are exactly those of `tokenize`.

    A character that normalises to several words (as ½ does, to 1 and 2) gives several tokens
    with the same offsets.
    """
    places = []
    words = []
    for match in _WORD.finditer(text):
        for word in _normalize(match.group()):
            if keep_common or word not in STOPWORDS:
                places.append((match.group(), match.start(), match.end()))
                words.append(word)
    return [
        Token(surface=surface, stem=stem, start=start, end=end)
        for (surface, start, end), stem in zip(places, _stem(words), strict=True)
    ]


def tokenize_query(query: str) -> list[Token]:
    """The tokens of a query that are searched for: all but the common words.

    A query of nothing but common words ("what is it?") keeps them, so that it still finds
    something. Without a single word the list is empty.
    """
    return tokenize_with_offsets(query) or tokenize_with_offsets(query, keep_common=True)


def _normalize(surface: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", surface.replace("\u2019", "'")).casefold()
    return _WORD.findall(unicodedata.normalize("NFKC", folded))


def _stem(words: list[str]) -> list[str]:
    # A Snowball stemmer keeps state between calls and must not be shared between threads.
    stemmer = getattr(_per_thread, "stemmer", None)
    if stemmer is None:
        stemmer = _per_thread.stemmer = Stemmer.Stemmer("english")
    stems: list[str] = stemmer.stemWords(words)
    return stems
