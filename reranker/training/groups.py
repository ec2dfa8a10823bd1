"""Groups of queries that share one set of candidates: the batches of stage-1 training.

Takes chunks and questions, returns `QueryGroup`s. Every query of a group is compared with every
passage of it, and most of them are about neighbouring subjects, so that one encoding of a
passage is a hard candidate for several queries. Knows no model.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import numpy as np

from reranker.retrieval.tokenize import tokenize, tokenize_query
from reranker.training.chunks import Chunk
from reranker.training.queries import (
    vary_query,
    write_keyword_query,
    write_statement,
    write_topic_query,
)
from reranker.training.sources import Question
from reranker.types import Passage

RELATED_SHARE = 0.75
"""Of the queries after a group's first, how many are asked of passages already in the group."""
NEAR, FAR = 12, 80
"""BM25 ranks that negatives are drawn from, half from the nearer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryGroup:
    """queries against passages; arrays are [queries, passages].

    labels: 1.0 for the passage a query was made for, all 0.0 where none is known; bm25: BM25
    scores; known: False where another passage may answer too and must not count as a wrong one.
    """

    queries: tuple[str, ...]
    passages: tuple[Passage, ...]
    labels: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    bm25: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    known: np.ndarray[tuple[int, int], np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A query and the chunk it was made for (None: only the teacher can tell).

    answer: what another chunk must not hold to count as wrong; kin: whether chunks of the same
    article may answer too; source: a chunk the query's very words come from, kept out."""

    text: str
    gold: int | None
    answer: str = ""
    kin: bool = False
    source: int | None = None


class GroupSampler:
    """Draws groups; the same seed and number give the same group.

    made_share: queries made from chunks (topics, keywords, statements) among all; the others
    are `questions` as people asked them.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        questions: Sequence[Question],
        *,
        queries: int,
        negatives: int,
        seed: int,
        made_share: float = 0.4,
    ) -> None:
        self.chunks, self.queries, self.negatives, self.seed = chunks, queries, negatives, seed
        self.made_share = made_share
        self.by_paragraph: dict[str, list[int]] = defaultdict(list)
        for position, chunk in enumerate(chunks):
            self.by_paragraph[chunk.paragraph_id].append(position)
        found = ((question, self._find_gold(question)) for question in questions)
        self.questions = [(q, gold) for q, gold in found if gold is not None]
        self.asked_of: dict[int, list[Question]] = defaultdict(list)
        for question, gold in self.questions:
            self.asked_of[gold].append(question)
        stems = [tokenize(f"{c.passage.title} {c.passage.text}") for c in chunks]
        self.index = bm25s.BM25(method="robertson")
        self.index.index(stems, show_progress=False)
        counts: dict[str, int] = defaultdict(int)
        for words in stems:
            for stem in set(words):
                counts[stem] += 1
        self.rarity = {stem: float(np.log(len(chunks) / count)) for stem, count in counts.items()}

    def sample(self, number: int) -> QueryGroup:
        random_ = random.Random(f"{self.seed}-{number}")
        asked: list[_Asked] = []
        columns: dict[int, None] = {}
        rows = []
        while len(asked) < self.queries:
            query = self._ask(random_, list(columns))
            if not query.text or any(query.text == other.text for other in asked):
                continue
            lexical = self._score(query.text)
            asked.append(query)
            rows.append(lexical)
            columns.update({p: None for p in self._choose(query, lexical, random_)})
        chosen = list(columns)
        labels = np.array([[float(p == q.gold) for p in chosen] for q in asked], dtype=np.float32)
        known = np.array([[self._is_known(q, p) for p in chosen] for q in asked])
        return QueryGroup(
            queries=tuple(query.text for query in asked),
            passages=tuple(self.chunks[position].passage for position in chosen),
            labels=labels,
            bm25=np.stack(rows)[:, chosen].astype(np.float32),
            known=known,
        )

    def _ask(self, random_: random.Random, columns: list[int]) -> _Asked:
        """A query about the group's passages, or the first of a new subject."""
        related = columns and random_.random() < RELATED_SHARE
        if random_.random() < self.made_share:
            return self._make(
                random_.choice(columns if related else range(len(self.chunks))), random_
            )
        if related and (near := [p for p in columns if p in self.asked_of]):
            gold = random_.choice(near)
            question = random_.choice(self.asked_of[gold])
        else:
            question, gold = random_.choice(self.questions)
        return _Asked(text=vary_query(question.text, random_), gold=gold, answer=question.answer)

    def _make(self, position: int, random_: random.Random) -> _Asked:
        """A topic, keywords of the chunk itself, or a statement of the chunk beside it."""
        chunk = self.chunks[position]
        draw = random_.random()
        if draw < 0.3:
            return _Asked(text=write_topic_query(chunk.passage.title, random_), gold=None)
        if draw < 0.7:
            text = write_keyword_query(
                chunk.passage.text, chunk.passage.title, self.rarity, random_
            )
            return _Asked(text=text, gold=position, kin=True)
        beside = [p for p in self.by_paragraph[chunk.paragraph_id] if abs(p - position) == 1]
        if not beside:
            return _Asked(text="", gold=None)
        source = random_.choice(beside)
        text = write_statement(self.chunks[source].passage.text, random_)
        return _Asked(text=text, gold=position, kin=True, source=source)

    def _choose(
        self, query: _Asked, lexical: np.ndarray[tuple[int], np.dtype[np.float32]],
        random_: random.Random,
    ) -> list[int]:  # fmt: skip
        """The query's own chunk and BM25 neighbours of it, near and far."""
        order = [int(p) for p in np.argsort(-lexical)[:FAR] if p not in (query.source, query.gold)]
        near, far = (
            random_.sample(pool, min(count, len(pool)))
            for pool, count in (
                (order[:NEAR], (self.negatives + 1) // 2),
                (order[NEAR:], self.negatives // 2),
            )
        )
        return [*([] if query.gold is None else [query.gold]), *near, *far]

    def _is_known(self, query: _Asked, position: int) -> bool:
        if position == query.gold:
            return True
        if position == query.source:
            return False
        here = self.chunks[position].passage
        if query.answer and len(query.answer) > 2 and query.answer.lower() in here.text.lower():
            return False
        gold = None if query.gold is None else self.chunks[query.gold].passage
        return not (query.kin and gold is not None and here.title == gold.title)

    def _find_gold(self, question: Question) -> int | None:
        """The chunk that holds the whole answer."""
        start, end = question.answer_start, question.answer_start + len(question.answer)
        for position in self.by_paragraph.get(question.doc_id, ()):
            chunk = self.chunks[position]
            if chunk.start <= start and end <= chunk.end:
                return position
        return None

    def _score(self, query: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        stems = [token.stem for token in tokenize_query(query)]
        scores: np.ndarray[tuple[int], np.dtype[np.float32]] = self.index.get_scores(stems)
        return scores
