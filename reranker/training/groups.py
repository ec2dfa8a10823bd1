"""Groups of queries that share one set of candidates: the batches of stage-1 training.

Takes SQuAD, returns `QueryGroup`s. Every query of a group is compared with every passage of
it, so one encoding of a passage serves several queries. Candidates are each query's own
passage, BM25 neighbours of every rank, and passages of other articles. Knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import numpy as np

from reranker.retrieval.tokenize import tokenize, tokenize_query
from reranker.training.reasoning import vary_query
from reranker.training.sources import Question
from reranker.types import Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryGroup:
    """queries against passages; arrays are [queries, passages].

    labels: 1.0 for the passage a question was asked about; bm25: BM25 scores; known: False
    where another passage holds the answer too, so that it must not count as a wrong one.
    """

    queries: tuple[str, ...]
    passages: tuple[Passage, ...]
    labels: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    bm25: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    known: np.ndarray[tuple[int, int], np.dtype[np.bool_]]


class GroupSampler:
    """Draws groups; the same seed and number give the same group."""

    def __init__(
        self,
        passages: Sequence[Passage],
        questions: Sequence[Question],
        *,
        queries: int,
        negatives: int,
        seed: int,
    ) -> None:
        self.passages, self.questions = passages, questions
        self.queries, self.negatives, self.seed = queries, negatives, seed
        self.positions = {p.doc_id: position for position, p in enumerate(passages)}
        self.index = bm25s.BM25(method="robertson")
        self.index.index([tokenize(f"{p.title} {p.text}") for p in passages], show_progress=False)

    def sample(self, number: int) -> QueryGroup:
        random_ = random.Random(f"{self.seed}-{number}")
        questions = random_.sample(self.questions, self.queries)
        queries = tuple(vary_query(question.text, random_) for question in questions)
        lexical = np.stack([self._score(query) for query in queries])
        chosen: dict[int, None] = {self.positions[q.doc_id]: None for q in questions}
        for row in lexical:
            # Near and far neighbours alike: difficulty of every kind.
            order = np.argsort(-row)[: 12 * self.negatives]
            near = list(order[: 2 * self.negatives])
            picks = random_.sample(near, self.negatives - 1) + [random_.choice(list(order))]
            chosen.update({int(position): None for position in picks})
        columns = list(chosen)
        passages = tuple(self.passages[position] for position in columns)
        labels = np.array(
            [[float(p.doc_id == q.doc_id) for p in passages] for q in questions], dtype=np.float32
        )
        holds = np.array([[_holds_answer(q, p) for p in passages] for q in questions])
        return QueryGroup(
            queries=queries,
            passages=passages,
            labels=labels,
            bm25=lexical[:, columns].astype(np.float32),
            known=~holds | (labels > 0),
        )

    def _score(self, query: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        scores: np.ndarray[tuple[int], np.dtype[np.float32]] = self.index.get_scores(
            [token.stem for token in tokenize_query(query)]
        )
        return scores


def _holds_answer(question: Question, passage: Passage) -> bool:
    return len(question.answer) > 2 and question.answer.lower() in passage.text.lower()
