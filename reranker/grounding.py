"""Grounded decoding: generated text that can only be what its grammar allows.

Takes a grammar (parts in order: fixed text, a choice, a quote from a source, prose with
quotes inside, a permutation) and a vocabulary as bytes, returns for every step the token ids
that may come next. A quote can only be a span of its source, a ranking only a permutation.
Works on bytes, so with any tokenizer; knows no torch and no model (see stage2/decode.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Options = tuple[bytes, ...]

_LABEL = re.compile(rb"\[(\d+)\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Exactly one of `options`. A single option is fixed text."""

    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """A span of `source` that starts and ends at word boundaries, then `close`."""

    source: str
    close: str
    max_bytes: int = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanRule:
    """Inside prose, what follows `open` up to `close` must be a span of a source.

    sources: label -> text; the label is the last one cited as [label] before `open`, and
    `default` serves when none was cited or the label is unknown.
    """

    open: str
    close: str
    sources: Mapping[int, str] = field(default_factory=dict)
    default: str = ""
    max_bytes: int = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Prose:
    """Free text up to and including `until`, with grounded spans inside.

    After `max_tokens` the marker `until` is forced. `labels`: the only [label] tokens allowed
    (None: any).
    """

    until: str
    max_tokens: int
    spans: tuple[SpanRule, ...] = ()
    labels: frozenset[int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Permutation:
    """[a] > [b] > ... over the labels 1..count, each exactly once."""

    count: int


Part = Choice | Quote | Prose | Permutation
Grammar = tuple[Part, ...]


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
        self._plain: dict[tuple[object, ...], Mask] = {}

    def prefixes_of(self, text: bytes, limit: int | None = None) -> Iterable[int]:
        """Ids of the tokens whose bytes are a prefix of `text` (at most `limit` bytes)."""
        for length in range(1, min(len(text), limit or self.longest, self.longest) + 1):
            yield from self.ids.get(text[:length], ())

    def plain(self, prose: Prose) -> Mask:
        """Tokens free prose may use: no marker inside (an opening one at the very end is
        fine), no closing marker, and no label outside `prose.labels`."""
        openers = tuple([prose.until, *(rule.open for rule in prose.spans)])
        closers = tuple(rule.close for rule in prose.spans if rule.close not in openers)
        key = (openers, closers, prose.labels)
        if key not in self._plain:
            mask = np.array([_is_plain(piece, *key) for piece in self.pieces])
            mask[list(self.end_ids)] = False
            self._plain[key] = mask
        return self._plain[key]


def _is_plain(
    piece: bytes | None,
    openers: tuple[str, ...],
    closers: tuple[str, ...],
    labels: frozenset[int] | None,
) -> bool:
    if not piece or any(closer.encode() in piece for closer in closers):
        return False
    for opener in map(str.encode, openers):
        if opener in piece and piece.find(opener) + len(opener) < len(piece):
            return False
    return labels is None or all(int(number) in labels for number in _LABEL.findall(piece))


class GrammarState:
    """How far one sequence has come through its grammar."""

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._parts = list(grammar)
        self._walker: _Walker | None = None
        self._next_part()

    @property
    def finished(self) -> bool:
        return self._walker is None

    def allowed(self) -> Mask | list[int]:
        """Ids that may come next: a mask over the vocabulary, or a list of ids.

        Empty only when the vocabulary cannot spell what the grammar demands.
        """
        if self._walker is None:
            return list(self.vocabulary.end_ids)
        return self._walker.allowed(self.vocabulary)

    def advance(self, token_id: int) -> None:
        """Takes the token that was chosen."""
        piece = self.vocabulary.pieces[token_id]
        if self._walker is None or piece is None:
            return
        if self._walker.advance(piece):
            self._next_part()

    def _next_part(self) -> None:
        self._walker = _walk(self._parts.pop(0)) if self._parts else None


class _Walker:
    """One part under way. `advance` returns True when the part is complete."""

    def allowed(self, vocabulary: Vocabulary) -> Mask | list[int]:
        raise NotImplementedError

    def advance(self, piece: bytes) -> bool:
        raise NotImplementedError


class _ChoiceWalker(_Walker):
    def __init__(self, options: Iterable[str]) -> None:
        self.rest: Options = tuple(option.encode() for option in options)

    def allowed(self, vocabulary: Vocabulary) -> list[int]:
        return sorted({i for option in self.rest for i in vocabulary.prefixes_of(option)})

    def advance(self, piece: bytes) -> bool:
        self.rest = tuple(o[len(piece) :] for o in self.rest if o.startswith(piece))
        return b"" in self.rest or not self.rest


class _PermutationWalker(_Walker):
    def __init__(self, count: int) -> None:
        self.unused = set(range(1, count + 1))
        self.choice = _ChoiceWalker(f"[{label}]" for label in sorted(self.unused))
        self.written = b""

    def allowed(self, vocabulary: Vocabulary) -> list[int]:
        return self.choice.allowed(vocabulary)

    def advance(self, piece: bytes) -> bool:
        self.written += piece
        if not self.choice.advance(piece):
            return False
        self.unused.discard(int(_LABEL.findall(self.written)[-1]))
        self.choice = _ChoiceWalker(f" > [{label}]" for label in sorted(self.unused))
        return not self.unused


class _QuoteWalker(_Walker):
    """A set of places in the source where the quote so far may end (bytes, not characters)."""

    def __init__(self, source: str, close: str, max_bytes: int) -> None:
        self.source, self.max_bytes = source.encode(), max_bytes
        starts, ends = _word_boundaries(source)
        self.places, self.ends = starts, ends
        self.closing = _ChoiceWalker([close])
        self.is_closing = False
        self.written = 0

    def allowed(self, vocabulary: Vocabulary) -> list[int]:
        if self.is_closing:
            return self.closing.allowed(vocabulary)
        room = self.max_bytes - self.written
        ids: set[int] = set()
        if room > 0:
            for place in self.places:
                ids.update(vocabulary.prefixes_of(self.source[place : place + room]))
        if not ids or not self.written or self.places & self.ends:
            may_close = self.written or not ids
            ids.update(self.closing.allowed(vocabulary) if may_close else ())
        return sorted(ids)

    def advance(self, piece: bytes) -> bool:
        if not self.is_closing:
            places = {
                place + len(piece)
                for place in self.places
                if self.source.startswith(piece, place)
            }
            if places:
                self.places, self.written = places, self.written + len(piece)
                return False
            self.is_closing = True
        return self.closing.advance(piece)


class _ProseWalker(_Walker):
    def __init__(self, prose: Prose) -> None:
        self.prose = prose
        self.written = b""
        self.tokens = 0
        self.inner: _QuoteWalker | None = None
        self.ending: _ChoiceWalker | None = None

    def allowed(self, vocabulary: Vocabulary) -> Mask | list[int]:
        walker = self.inner or self.ending
        return walker.allowed(vocabulary) if walker else vocabulary.plain(self.prose)

    def advance(self, piece: bytes) -> bool:
        self.written += piece
        self.tokens += 1
        if self.inner is not None:
            self.inner = None if self.inner.advance(piece) else self.inner
        elif self.ending is not None:
            return self.ending.advance(piece)
        elif self.written.endswith(self.prose.until.encode()):
            return True
        else:
            self.inner = self._open_span()
        if self.inner is None and self.tokens >= self.prose.max_tokens:
            self.ending = _ChoiceWalker([self.prose.until])
        return False

    def _open_span(self) -> _QuoteWalker | None:
        for rule in self.prose.spans:
            if self.written.endswith(rule.open.encode()) and (source := self._source(rule)):
                return _QuoteWalker(source, rule.close, rule.max_bytes)
        return None

    def _source(self, rule: SpanRule) -> str:
        cited = _LABEL.findall(self.written)
        return rule.sources.get(int(cited[-1]), rule.default) if cited else rule.default


def _walk(part: Part) -> _Walker:
    if isinstance(part, Choice):
        return _ChoiceWalker(part.options)
    if isinstance(part, Quote):
        return _QuoteWalker(part.source, part.close, part.max_bytes)
    if isinstance(part, Permutation):
        return _PermutationWalker(part.count)
    return _ProseWalker(part)


def _word_boundaries(source: str) -> tuple[set[int], set[int]]:
    """Byte offsets where a word of `source` starts (or the space before it, which many
    tokenizers join to the word), and where one ends."""
    starts, ends = set(), set()
    offset = 0
    for before, here in zip("." + source, source, strict=False):
        if not before.isalnum() and not here.isspace():
            starts.add(offset)
            if before.isspace():
                starts.add(offset - len(before.encode()))
        if not before.isspace() and not here.isalnum() and offset:
            ends.add(offset)
        offset += len(here.encode())
    if source and not source[-1].isspace():
        ends.add(offset)
    return starts, ends
