"""Taking a ranking out of generated text, and saying what had to be repaired.

Takes text and a window's size, returns a permutation and its defects. Only [k] labels joined
by > count, so "Step 1", a year or a digit in a reason is never a passage. Knows no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reranker.types import DefectKind

FINAL_MARKER = "Final Reranking:"
_CHAIN = re.compile(r"\[\d+\](?:\s*>\s*\[\d+\])*")
_LABEL = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedRanking:
    """permutation: 0-based, covers the window exactly once. defects: (kind, detail) pairs."""

    permutation: tuple[int, ...]
    defects: tuple[tuple[DefectKind, str], ...]


def parse_ranking(text: str, size: int) -> ParsedRanking:
    """The ranking in `text` for a window of `size` passages labelled from 1.

    What follows the last "Final Reranking:" is read when there is one, else the longest chain.
    Labels that are missing keep their order at the end; each repair is a defect. Without any
    ranking the order stays as it was, with the defect wrong_format.
    """
    labels = _find_labels(text, size)
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


def _find_labels(text: str, size: int) -> list[int]:
    _, marker, tail = text.rpartition(FINAL_MARKER)
    chains = [_LABEL.findall(match.group()) for match in _CHAIN.finditer(tail if marker else text)]
    longest = max(chains, key=len, default=[])
    is_ranking = len(longest) >= min(2, size) or bool(marker)
    return [int(label) for label in longest] if is_ranking else []
