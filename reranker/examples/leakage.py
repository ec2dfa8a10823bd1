"""Leakage: what stands in the training data and in the evaluation data both.

Takes training and dev records, returns what they share. Compared are words, without case and
punctuation, so that "Why is the sky blue?" and "why is the sky blue" are one query. Passages of
one corpus may serve as candidates on both sides; what counts is a passage that is judged
relevant to a training query and to a dev query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reranker.examples.record import JudgedQuery, TextExample

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Leakage:
    """Shared queries as (training id, dev id, text), and shared relevant passages as
    (training query id, dev query id, doc_id). `serious` is for shared queries: a model that
    has seen the question is not measured by it."""

    queries: tuple[tuple[str, str, str], ...] = ()
    passages: tuple[tuple[str, str, str], ...] = ()

    @property
    def serious(self) -> bool:
        return bool(self.queries)


def find_leakage(train: Sequence[JudgedQuery], dev: Sequence[JudgedQuery]) -> Leakage:
    """What judged lists share."""
    asked = {normalize_text(q.query.text): q.query.query_id for q in train}
    relevant: dict[str, str] = {}
    for judged in train:
        for positive in judged.positives:
            relevant.setdefault(normalize_text(positive.passage.text), judged.query.query_id)
    queries, passages = [], []
    for judged in dev:
        words = normalize_text(judged.query.text)
        if words in asked:
            queries.append((asked[words], judged.query.query_id, judged.query.text))
        for positive in judged.positives:
            known = relevant.get(normalize_text(positive.passage.text))
            if known is not None:
                passages.append((known, judged.query.query_id, positive.passage.doc_id))
    return Leakage(queries=tuple(queries), passages=tuple(passages))


def find_text_leakage(train: Iterable[TextExample], dev: Iterable[TextExample]) -> Leakage:
    """Prompts that stand on both sides."""
    seen = {normalize_text(example.prompt_text): example.where for example in train}
    return Leakage(
        queries=tuple(
            (seen[words], example.where, example.prompt_text[:200])
            for example in dev
            if (words := normalize_text(example.prompt_text)) in seen
        )
    )


def normalize_text(text: str) -> str:
    """The words of a text in lower case, one space apart."""
    return " ".join(_WORD.findall(text.lower()))
