"""Open-domain question answering: does a passage hold an answer, and how far down is the first?

Takes rankings, texts and answers, returns Top-k accuracy. Knows no file and no model.

An answer is in a passage when its words stand there next to each other: both are decomposed
(Unicode NFD), cut into runs of letters, digits and marks and single other signs, and lower-cased.
That is the normalisation of DPR (Karpukhin et al. 2020), UPR and DeAR, so figures compare.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import regex

from reranker.errors import InputError
from reranker.evaluation.measures import MeasureResult
from reranker.trec import Run
from reranker.types import Passage

DEFAULT_TOPS = (1, 5, 10, 20)
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerAccuracy:
    """Top-k over the questions that have answers.

    results: one a cut-off, named "Top-5"; a question's value is 1 when one of its first k
    passages has an answer. missing: questions the run lacks, counted as 0. unanswered: questions
    for which no passage of the run, however deep, has an answer.
    """

    results: tuple[MeasureResult, ...]
    missing: tuple[str, ...]
    unanswered: tuple[str, ...]

    @property
    def means(self) -> dict[str, float]:
        """measure name -> mean."""
        return {result.measure: result.mean for result in self.results}


def split_words(text: str) -> tuple[str, ...]:
    """The words by which answers and passages are compared."""
    return tuple(_WORD.findall(unicodedata.normalize("NFD", text).lower()))


def has_answer(passage: str, answers: Iterable[str]) -> bool:
    """Whether the words of one of `answers` stand in `passage` next to each other.

    An answer without any word (only spaces or controls) is in no passage.
    """
    return _holds(split_words(passage), [split_words(answer) for answer in answers])


def measure_answers(
    run: Run,
    texts: Mapping[str, Passage],
    answers: Mapping[str, Sequence[str]],
    tops: Sequence[int] = DEFAULT_TOPS,
) -> AnswerAccuracy:
    """Top-k accuracy of `run` (in the order of its rankings).

    texts: doc_id -> passage; its text is searched, not its title, as DPR does. Raises InputError
    for no questions, a cut-off below 1, or a doc_id without a text.
    """
    if not answers:
        raise InputError("expected questions with answers, got none; give a file that has them")
    if not tops or min(tops) < 1:
        raise InputError(f"expected cut-offs of 1 or more, got {list(tops)}; use 1 5 10 20")
    words: dict[str, tuple[str, ...]] = {}
    firsts: dict[str, float] = {}
    for query_id in sorted(answers):
        wanted = [split_words(answer) for answer in answers[query_id]]
        firsts[query_id] = float("inf")
        for rank, (doc_id, _) in enumerate(run.get(query_id, ()), start=1):
            if doc_id not in words:
                words[doc_id] = split_words(_find_text(texts, doc_id))
            if _holds(words[doc_id], wanted):
                firsts[query_id] = rank
                break
    return AnswerAccuracy(
        results=tuple(_measure_top(firsts, top) for top in tops),
        missing=tuple(query_id for query_id in firsts if not run.get(query_id)),
        unanswered=tuple(query_id for query_id, first in firsts.items() if first == float("inf")),
    )


def _measure_top(firsts: Mapping[str, float], top: int) -> MeasureResult:
    values = {query_id: float(first <= top) for query_id, first in firsts.items()}
    mean = sum(values.values()) / len(values)
    return MeasureResult(measure=f"Top-{top}", mean=mean, values=values)


def _find_text(texts: Mapping[str, Passage], doc_id: str) -> str:
    if doc_id not in texts:
        raise InputError(
            f"expected the text of every ranked passage, got none for {doc_id!r}; give the corpus "
            "the run was made from"
        )
    return texts[doc_id].text


def _holds(words: Sequence[str], answers: Sequence[Sequence[str]]) -> bool:
    # Words cannot hold the separator, so one substring search finds whole words only.
    text = f"\0{chr(0).join(words)}\0"
    return any(answer and f"\0{chr(0).join(answer)}\0" in text for answer in answers)
