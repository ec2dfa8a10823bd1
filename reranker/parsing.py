"""Taking a ranking out of generated text, and saying what had to be repaired.

Takes text and a window's size, returns a permutation and its defects. Only [k] labels joined
by > count, so "Step 1", a year or a digit in a reason is never a passage, and nothing inside
quoted evidence counts: those are the passage's words. Knows no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reranker.types import DefectKind

FINAL_MARKER = "Final Reranking:"
# Both kinds of quotation marks; what stands between them is `straight` or `curly`.
EVIDENCE = re.compile(
    r"evidence:\s*(?:\"(?P<straight>[^\"\n]*)\"|“(?P<curly>[^”\n]*)”)", re.IGNORECASE
)
_MARKER = re.compile(re.escape(FINAL_MARKER), re.IGNORECASE)
_CHAIN = re.compile(r"\[\d+\](?:\s*>\s*\[\d+\])*")
_LABEL = re.compile(r"\[(\d+)\]")
_LABEL_DIGITS = 9  # more than any window needs, and int() refuses thousands of them


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedRanking:
    """permutation: 0-based, covers the window exactly once. defects: (kind, detail) pairs."""

    permutation: tuple[int, ...]
    defects: tuple[tuple[DefectKind, str], ...]


def parse_ranking(text: str, size: int, *, leads: bool = False) -> ParsedRanking:
    """The ranking in `text` for a window of `size` passages labelled from 1.

    The first chain after the last "Final Reranking:" is read (after the first one where the
    ranking `leads` the answer), else the longest chain of the text. Labels that are missing
    keep their order at the end; each repair is a defect. Without any ranking the order stays
    as it was, with the defect wrong_format.
    """
    labels = _find_labels(EVIDENCE.sub("", text), size, leads)
    if not labels:
        detail = "no ranking of the form [2] > [1] in the text; the order was kept"
        return ParsedRanking(permutation=tuple(range(size)), defects=(("wrong_format", detail),))
    defects: list[tuple[DefectKind, str]] = []
    permutation: list[int] = []
    for label in labels:
        if not 1 <= label <= size:
            defects.append(("out_of_range", f"[{label}] is not one of [1] to [{size}]; left out"))
        elif label - 1 in permutation:
            defects.append(("repetition", f"[{label}] stood twice; its first place counts"))
        else:
            permutation.append(label - 1)
    missing = [position for position in range(size) if position not in permutation]
    defects += [("missing", f"[{p + 1}] was not ranked; placed at the end") for p in missing]
    return ParsedRanking(permutation=(*permutation, *missing), defects=tuple(defects))


def _find_labels(text: str, size: int, leads: bool) -> list[int]:
    markers = [match.end() for match in _MARKER.finditer(text)]
    start = (markers[0] if leads else markers[-1]) if markers else 0
    found = [_LABEL.findall(match.group()) for match in _CHAIN.finditer(text, start)]
    chains = [labels for labels in found if len(labels) >= min(2, size)]
    if markers:
        chosen = (chains or found or [[]])[0]
    else:
        chosen = max(chains, key=len, default=[])
    return [int(label[:_LABEL_DIGITS]) for label in chosen]
