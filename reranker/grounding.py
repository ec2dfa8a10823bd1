"""Grounded decoding: generated text that can only be what its grammar allows.

Takes a grammar (parts in order: fixed text, a choice, a quote from a source, prose with
quotes inside, a permutation) and a vocabulary as bytes, returns for every step the token ids
that may come next. A quote can only be a span of its source, a ranking only a permutation,
whatever the source says. Works on bytes, so with any tokenizer; knows no torch and no model
(see stage2/decode.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reranker.spans import plan_spans
from reranker.vocabulary import LABEL, FreeText, Mask, read_label
from reranker.vocabulary import Vocabulary as Vocabulary

_LINE_LABEL = re.compile(r"\W*\[([0-9]+)\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Exactly one of `options`. A single option is fixed text."""

    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """A span of `source` that starts and ends at word boundaries, then `close`.

    The span holds at least one word and never `close` itself, so it ends where it seems to.
    """

    source: str
    close: str
    max_bytes: int = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanRule:
    """Inside prose, what follows `open` up to `close` must be a span of a source, in one line.

    sources: label -> text; the label is the [label] that opens the line, else the last one
    cited before `open`. `default` serves when none was cited or the label is unknown; without
    a source the span is empty. What stands inside a span cites nothing.
    """

    open: str
    close: str
    sources: Mapping[int, str] = field(default_factory=dict)
    default: str = ""
    max_bytes: int = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Prose:
    """Free text up to and including `until`, with grounded spans inside.

    After `max_tokens` an open span ends with its word and the marker `until` is forced.
    `labels`: the only [label] tokens allowed (None: any). `barred`: texts that may not stand
    in it.
    """

    until: str
    max_tokens: int
    spans: tuple[SpanRule, ...] = ()
    labels: frozenset[int] | None = None
    barred: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Permutation:
    """[a] > [b] > ... over the labels 1..count, each exactly once, after `lead`.

    A space before the first label belongs into `lead` and not to the end of what comes before:
    tokenizers join it to the bracket.
    """

    count: int
    lead: str = ""


Part = Choice | Quote | Prose | Permutation
Grammar = tuple[Part, ...]


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

        Empty only when the vocabulary cannot spell what the grammar demands, which one that
        has every byte always can.
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
        self.rest = tuple(option.encode() for option in options)

    def allowed(self, vocabulary: Vocabulary) -> list[int]:
        return sorted({i for option in self.rest for i in vocabulary.prefixes_of(option)})

    def advance(self, piece: bytes) -> bool:
        self.rest = tuple(o[len(piece) :] for o in self.rest if o.startswith(piece))
        return b"" in self.rest or not self.rest


class _PermutationWalker(_Walker):
    def __init__(self, count: int, lead: str) -> None:
        self.unused = set(range(1, count + 1))
        self.choice = _ChoiceWalker(f"{lead}[{label}]" for label in sorted(self.unused))
        self.written = b""

    def allowed(self, vocabulary: Vocabulary) -> list[int]:
        return self.choice.allowed(vocabulary)

    def advance(self, piece: bytes) -> bool:
        self.written += piece
        if not self.choice.advance(piece):
            return False
        self.unused.discard(int(LABEL.findall(self.written)[-1]))
        self.choice = _ChoiceWalker(f" > [{label}]" for label in sorted(self.unused))
        return not self.unused


class _QuoteWalker(_Walker):
    """The places in the source where the quote so far may end, each with how far it may go on
    (both in bytes, not characters)."""

    def __init__(self, source: str, close: str, max_bytes: int, *, one_line: bool = False) -> None:
        self.source = source.encode()
        barriers = (close.encode(), b"\n", b"\r") if one_line else (close.encode(),)
        self.places, self.ends = plan_spans(source, barriers, max_bytes)
        self.closing = _ChoiceWalker([close])
        self.is_closing = False
        self.is_due = False  # to be closed at the next place where it can end
        self.written = 0

    def allowed(self, vocabulary: Vocabulary) -> list[int]:
        if self.is_closing:
            return self.closing.allowed(vocabulary)
        can_end = bool(self.written) and not self.ends.isdisjoint(self.places)
        if self.is_due and can_end:
            return self.closing.allowed(vocabulary)
        ids: set[int] = set()
        for place, limit in self.places.items():
            ahead = self.source[place : min(limit, place + vocabulary.longest)]
            ids.update(vocabulary.prefixes_of(ahead))
        # Without any id the vocabulary lacks a byte of the source, or the source has no word.
        if not ids or can_end:
            ids.update(self.closing.allowed(vocabulary))
        return sorted(ids)

    def advance(self, piece: bytes) -> bool:
        if not self.is_closing:
            places = {
                place + len(piece): limit
                for place, limit in self.places.items()
                if place + len(piece) <= limit and self.source.startswith(piece, place)
            }
            if places:
                self.places, self.written = places, self.written + len(piece)
                return False
            self.is_closing = True
        return self.closing.advance(piece)


class _ProseWalker(_Walker):
    def __init__(self, prose: Prose) -> None:
        self.prose = prose
        self.until = prose.until.encode()
        opens = tuple(rule.open.encode() for rule in prose.spans)
        closes = {rule.close.encode() for rule in prose.spans}
        self.rule = FreeText(
            stops=(self.until, *opens),
            # A close that is part of a marker, as a quotation mark is, must stay writable.
            barred=tuple(sorted(c for c in closes if not any(c in o for o in (self.until, *opens))))
            + tuple(text.encode() for text in prose.barred),
            labels=prose.labels,
        )
        self.free = b""  # what stands outside spans, a NUL in place of each span
        self.tokens = 0
        self.inner: _QuoteWalker | None = None
        self.ending: _ChoiceWalker | None = None
        self._end_when_due()

    def allowed(self, vocabulary: Vocabulary) -> Mask | list[int]:
        walker = self.inner or self.ending
        return walker.allowed(vocabulary) if walker else vocabulary.allow(self.rule, self.free)

    def advance(self, piece: bytes) -> bool:
        self.tokens += 1
        if self.ending is not None:
            return self.ending.advance(piece)
        if self.inner is not None:
            if self.inner.advance(piece):
                self.inner, self.free = None, self.free + b"\0"
        else:
            self.free += piece
            if self.free.endswith(self.until):
                return True
            self.inner = self._open_span()
        self._end_when_due()
        return False

    def _end_when_due(self) -> None:
        if self.tokens < self.prose.max_tokens:
            return
        if self.inner is None:
            self.ending = _ChoiceWalker([self.prose.until])
        else:
            self.inner.is_due = True

    def _open_span(self) -> _QuoteWalker | None:
        for rule in self.prose.spans:
            if self.free.endswith(rule.open.encode()):
                return _QuoteWalker(self._source(rule), rule.close, rule.max_bytes, one_line=True)
        return None

    def _source(self, rule: SpanRule) -> str:
        line = self.free.rpartition(b"\n")[2].decode(errors="replace")
        if opening := _LINE_LABEL.match(line):
            label = read_label(opening[1].encode())
        else:
            label = read_label((LABEL.findall(self.free) or [b"0"])[-1])
        return rule.sources.get(label, rule.default)


def _walk(part: Part) -> _Walker:
    if isinstance(part, Choice):
        return _ChoiceWalker(part.options)
    if isinstance(part, Quote):
        return _QuoteWalker(part.source, part.close, part.max_bytes)
    if isinstance(part, Permutation):
        return _PermutationWalker(part.count, part.lead)
    return _ProseWalker(part)
