"""Finding a quoted text in its passage.

Takes a quote and a passage's text, returns the `Evidence` span or None. Knows nothing of who
quoted. Exact first; then with case, white space and typographic quotes made equal, because a
student may write a straight quotation mark where the passage has a curly one.
"""

from __future__ import annotations

import re
import unicodedata

from reranker.types import Evidence

_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"})


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
    if start < 0:
        return None
    first, last = places[start], places[start + len(wanted) - 1] + 1
    return Evidence(start=first, end=last, text=text[first:last])


def _fold(text: str) -> tuple[str, list[int]]:
    """`text` in its comparable form, and for each of its characters the place it came from."""
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        piece = unicodedata.normalize("NFKC", character).translate(_SAME).casefold()
        piece = re.sub(r"\s+", " ", piece)
        if piece == " " and folded and folded[-1] == " ":
            continue
        folded.extend(piece)
        places.extend([place] * len(piece))
    return "".join(folded), places
