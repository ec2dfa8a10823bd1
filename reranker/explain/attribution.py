"""Which words of a query and of a passage carried the passage's stage-1 score.

Takes a workbench and a passage, returns an `Attribution`: several methods side by side, what each
leaves unexplained, and how far they agree. Removing sentences and words works for every scorer;
token by token only where stage 1 is a bi-encoder. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reranker.errors import InputError
from reranker.explain.cost import Cost, estimate_cost
from reranker.explain.shares import (
    Agreement,
    Method,
    MethodShares,
    Span,
    compare_methods,
    find_words,
    sum_over,
)
from reranker.sentences import split_sentences
from reranker.types import Passage, RankingTrace

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench

MAX_WORDS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributionRequest:
    """steps: of the integral. samples: random orders for Shapley values of many sentences."""

    doc_id: str
    steps: int = 32
    samples: int = 12
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryWord:
    """A word of the query. share: its part of the score, None where that is not known exactly;
    effect: what the score loses when the word is left out of the query."""

    text: str
    share: float | None
    effect: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """Cosines of word tokens, [query tokens][passage tokens], with the tokens as written."""

    query_tokens: tuple[str, ...]
    passage_tokens: tuple[str, ...]
    spans: tuple[Span, ...]
    cosines: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """Everything found about one score. heat is None where stage 1 is a cross-encoder."""

    doc_id: str
    text: str
    score: float
    methods: tuple[MethodShares, ...]
    agreements: tuple[Agreement, ...]
    query_words: tuple[QueryWord, ...]
    heat: HeatMap | None

    def find(self, method: Method) -> MethodShares | None:
        return next((found for found in self.methods if found.method == method), None)


def estimate_attribution(trace: RankingTrace, request: AttributionRequest) -> Cost:
    """The gradient counts as as many scorings as it has steps, thrice for the way back."""
    text = find_passage(trace, request.doc_id).text
    words, sentences = len(find_words(text)), len(split_sentences(text))
    orders = 2**sentences if sentences <= 5 else min(2**sentences, request.samples * sentences)
    query = len(find_words(trace.query.text))
    return estimate_cost(trace, scorings=words + sentences + orders + query + 3 * request.steps)


def attribute_score(bench: Workbench, request: AttributionRequest) -> Attribution:
    """Raises InputError for a doc_id that is no candidate and for a text without words."""
    passage = find_passage(bench.trace, request.doc_id)
    words = find_words(passage.text)[:MAX_WORDS]
    sentences = list(split_sentences(passage.text))
    if not words:
        raise InputError("expected a passage with words, got none; choose another passage")
    methods: list[MethodShares] = []
    shares: tuple[float, ...] = ()
    query_spans: tuple[Span, ...] = ()
    heat = None
    if bench.has_tokens:
        found, heat, shares, query_spans = _share_tokens(bench, passage, request)
        methods += found
    occlusion = _leave_out(bench, passage, words, "occlusion")
    removed = _leave_out(bench, passage, sentences, "sentences")
    shapley = _share_sentences(bench, passage, sentences, request)
    methods += [occlusion, removed, shapley]
    return Attribution(
        doc_id=passage.doc_id,
        text=passage.text,
        score=bench.score([passage])[0].score,
        methods=tuple(methods),
        agreements=compare_methods(methods, words, sentences),
        query_words=_question_query(bench, passage, shares, query_spans),
        heat=heat,
    )


def find_passage(trace: RankingTrace, doc_id: str) -> Passage:
    """Raises InputError for a doc_id that is no candidate."""
    for hit in trace.hits:
        if hit.passage.doc_id == doc_id:
            return hit.passage
    raise InputError(
        f"expected the doc_id of a ranked passage, got {doc_id[:60]!r}; choose one of the list"
    )


def _share_tokens(
    bench: Workbench, passage: Passage, request: AttributionRequest
) -> tuple[list[MethodShares], HeatMap, tuple[float, ...], tuple[Span, ...]]:
    found = bench.share_tokens(passage, steps=request.steps)
    bench.tell("integrated gradients taken", 3 * request.steps)
    shift = found.text_start
    inside = [place for place, (start, _) in enumerate(found.spans) if start >= shift]
    spans = tuple((found.spans[p][0] - shift, found.spans[p][1] - shift) for p in inside)

    def make(method: Method, values: tuple[float, ...], **extra: float | str) -> MethodShares:
        kept = tuple(values[p] for p in inside)
        special = float(extra.get("special", 0.0))
        return MethodShares(
            method=method,
            spans=spans,
            shares=kept,
            elsewhere=sum(values) - sum(kept) + special,
            wanted=float(extra["wanted"]),
            against=str(extra["against"]),
            additive=True,
        )

    heat = HeatMap(
        query_tokens=tuple(found.query_text[s:e] for s, e in found.query_spans),
        passage_tokens=tuple(found.text[found.spans[p][0] : found.spans[p][1]] for p in inside),
        spans=spans,
        cosines=tuple(tuple(row[p] for p in inside) for row in found.similarity),
    )
    score = bench.score([passage])[0].score
    methods = [
        make("match", found.shares, special=found.special, wanted=score, against="nothing"),
        make(
            "gradient",
            found.gradients,
            wanted=found.score - found.blank_score,
            against=f"a passage of [PAD] only (logit {found.blank_score:.2f})",
        ),
    ]
    return methods, heat, found.query_shares, found.query_spans


def _writer(passage: Passage, spans: Sequence[Span]) -> Callable[[tuple[bool, ...]], Passage]:
    """How to write the passage with some of its spans left out."""

    def write(kept: tuple[bool, ...]) -> Passage:
        parts, place = [], 0
        for (start, end), stays in zip(spans, kept, strict=True):
            parts.append(passage.text[place:start])
            if stays:
                parts.append(passage.text[start:end])
            place = end
        text = "".join([*parts, passage.text[place:]])
        # A doc_id of its own: nothing may take a fragment for the passage.
        return replace(passage, doc_id=f"{passage.doc_id} (edited)", text=" ".join(text.split()))

    return write


def _leave_out(
    bench: Workbench, passage: Passage, spans: Sequence[Span], method: Method
) -> MethodShares:
    found = bench.occlude(len(spans), _writer(passage, spans))
    return MethodShares(
        method=method,
        spans=tuple(spans),
        shares=found.values,
        elsewhere=0.0,
        wanted=found.whole - found.empty,
        against=f"the passage without any of them (logit {found.empty:.2f})",
        additive=False,
        scorings=found.scorings,
    )


def _share_sentences(
    bench: Workbench, passage: Passage, sentences: Sequence[Span], request: AttributionRequest
) -> MethodShares:
    found = bench.share_out(
        len(sentences), _writer(passage, sentences), samples=request.samples, seed=request.seed
    )
    how = "all orders" if found.exact else f"{request.samples} random orders"
    return MethodShares(
        method="shapley",
        spans=tuple(sentences),
        shares=found.values,
        elsewhere=0.0,
        wanted=found.whole - found.empty,
        against=f"the passage without any of them (logit {found.empty:.2f}), {how}",
        additive=True,
        scorings=found.scorings,
    )


def _question_query(
    bench: Workbench, passage: Passage, shares: Sequence[float], spans: Sequence[Span]
) -> tuple[QueryWord, ...]:
    text = bench.trace.query.text
    words = find_words(text)
    whole = bench.score([passage])[0].score
    per_word = sum_over(spans, shares, words) if shares else []
    found = []
    for place, (start, end) in enumerate(words):
        rest = " ".join((text[:start] + text[end:]).split())
        effect = whole - bench.score([passage], rest)[0].score if rest else whole
        bench.tell("leaving out a word of the query")
        share = per_word[place] if per_word else None
        found.append(QueryWord(text=text[start:end], share=share, effect=effect))
    return tuple(found)
