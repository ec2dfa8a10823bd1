"""Finding a quoted text in its passage.

Takes a quote and a passage's text, returns the `Evidence` span or None. Knows nothing of who
quoted. Exact first; then with case, white space, typographic and compatibility forms made
equal, because a student may write a straight quotation mark where the passage has a curly one,
and because prompts show [3] as (3) and invisible characters as spaces (see prompts/digest.py).
"""

from __future__ import annotations

import re
import unicodedata

from reranker.types import Evidence

_SAME = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "‐": "-", "–": "-", "—": "-", "−": "-"}
    | {"⁄": "/", "[": "(", "]": ")"}
)
_SOFT_HYPHEN = "\u00ad"


def locate_quote(quote: str, text: str) -> Evidence | None:
    """The first place of `quote` in `text`; offsets are 0-based and count into `text`."""
    quote = quote.strip()
    if not quote:
        return None
    start = text.find(quote)
    if start >= 0:
        return Evidence(start=start, end=start + len(quote), text=quote)
    folded, places = _fold(text)
    wanted = _fold(quote)[0].strip()
    start = folded.find(wanted) if wanted else -1
    while start >= 0:
        end = start + len(wanted)
        if _is_whole(places, start) and _is_whole(places, end):
            first, last = places[start], places[end - 1] + 1
            return Evidence(start=first, end=last, text=text[first:last])
        start = folded.find(wanted, start + 1)
    return None


def _is_whole(places: list[int], position: int) -> bool:
    """Whether a cut before the folded `position` lies between two characters of the text: the
    "o" and "f" of "oﬀ" are no quote of it."""
    return not 0 < position < len(places) or places[position - 1] != places[position]


def _fold(text: str) -> tuple[str, list[int]]:
    """`text` in its comparable form, and for each of its characters the place it came from.

    Decomposed (NFKD), so that "é" is the same as one character and as two.
    """
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character == _SOFT_HYPHEN:
            continue
        if unicodedata.category(character) in ("Cc", "Cf"):
            character = " "
        piece = unicodedata.normalize("NFKD", character).translate(_SAME).casefold()
        piece = re.sub(r"\s+", " ", piece)
        if piece == " " and folded and folded[-1] == " ":
            continue
        folded.extend(piece)
        places.extend([place] * len(piece))
    return "".join(folded), places
