"""A tokenizer's tokens as bytes, and which of them may come next in free text.

Takes the bytes of every token, returns ids and masks. Knows no tokenizer library and no
grammar: grounding.py asks, this answers.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

LABEL = re.compile(rb"\[(\d+)\]")
_LABEL_BEGUN = re.compile(rb"\[(\d*)\Z")
_LABEL_CLOSED = re.compile(rb"(\d*)\]")
_LABEL_DIGITS = 9


def read_label(digits: bytes) -> int:
    """The number of a label; 0, which is never a label, where it is absurdly long."""
    return int(digits) if len(digits) <= _LABEL_DIGITS else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeText:
    """What free text may not do.

    stops: markers that end it, so no token may run on past one; barred: markers that may not
    stand in it at all; labels: the only numbers allowed as [label] (None: any).
    """

    stops: tuple[bytes, ...]
    barred: tuple[bytes, ...] = ()
    labels: frozenset[int] | None = None


class Vocabulary:
    """A tokenizer's tokens as bytes. `pieces[id]` is None for tokens that stand for no text."""

    def __init__(self, pieces: Sequence[bytes | None], end_ids: Iterable[int]) -> None:
        self.pieces = list(pieces)
        self.end_ids = tuple(end_ids)
        self.ids: dict[bytes, list[int]] = defaultdict(list)
        for token_id, piece in enumerate(self.pieces):
            if piece and token_id not in self.end_ids:
                self.ids[piece].append(token_id)
        self.longest = max(map(len, self.ids), default=1)
        self._sorted = sorted(self.ids)
        self._label_closers = [
            (match[1], ids)
            for piece, ids in self.ids.items()
            if (match := _LABEL_CLOSED.match(piece))
        ]
        self._masks: dict[FreeText, Mask] = {}

    def prefixes_of(self, text: bytes) -> Iterator[int]:
        """Ids of the tokens whose bytes are a prefix of `text`."""
        for length in range(1, min(len(text), self.longest) + 1):
            yield from self.ids.get(text[:length], ())

    def allow(self, rule: FreeText, written: bytes) -> Mask:
        """The tokens that may follow `written` under `rule`; not to be changed in place."""
        if rule not in self._masks:
            mask = np.array([_is_free(piece, rule) for piece in self.pieces])
            mask[list(self.end_ids)] = False
            self._masks[rule] = mask
        mask = self._masks[rule]
        if forbidden := [*self._overrun(rule, written), *self._mislabel(rule, written)]:
            mask = mask.copy()
            mask[forbidden] = False
        return mask

    def _overrun(self, rule: FreeText, written: bytes) -> Iterator[int]:
        """Tokens that would finish a marker begun in `written` and run on, or finish a barred
        one: a marker can be spelt by several tokens."""
        for marker in (*rule.stops, *rule.barred):
            for begun in range(1, len(marker)):
                if written.endswith(marker[:begun]):
                    rest = marker[begun:]
                    for piece in self._starting_with(rest):
                        if piece != rest or marker in rule.barred:
                            yield from self.ids[piece]

    def _mislabel(self, rule: FreeText, written: bytes) -> Iterator[int]:
        """Tokens that would close a label begun in `written` which `rule` does not allow."""
        begun = _LABEL_BEGUN.search(written)
        if begun and rule.labels is not None:
            for digits, ids in self._label_closers:
                if (number := begun[1] + digits) and read_label(number) not in rule.labels:
                    yield from ids

    def _starting_with(self, start: bytes) -> Iterator[bytes]:
        for place in range(bisect_left(self._sorted, start), len(self._sorted)):
            if not self._sorted[place].startswith(start):
                return
            yield self._sorted[place]


def _is_free(piece: bytes | None, rule: FreeText) -> bool:
    """Whether `piece` keeps the rule by itself; a stop at its very end is fine."""
    if not piece or any(marker in piece for marker in rule.barred):
        return False
    if any(marker in piece[:-1] for marker in rule.stops):
        return False
    labels = rule.labels
    return labels is None or all(read_label(n) in labels for n in LABEL.findall(piece))
