"""Training lists: which passages a query is learnt from, drawn the same way every time.

Takes judged queries, a retriever and a teacher, returns batches as tensors. Knows no model. The
list at a place of the data set depends on the seed and the place alone, so that a job that goes
on from a checkpoint sees exactly what it would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from reranker.config import Stage1Profile
from reranker.examples.load import mine_negatives
from reranker.examples.record import JudgedPassage, JudgedQuery
from reranker.retrieval import Retriever
from reranker.training.scoring import ListTokenizer
from reranker.training.teacher import Teacher, find_bm25_scores
from reranker.types import Passage

PADDING = Passage(doc_id="", text="-")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingList:
    """One query and `size` passages; where there are fewer, `known` is False for the rest."""

    query: str
    passages: tuple[Passage, ...]
    grades: tuple[float, ...]
    teacher: tuple[float, ...] | None
    known: tuple[bool, ...]


class ListDataset(torch.utils.data.Dataset[TrainingList]):
    """`count` lists of `size` passages; every pass over the queries is in another order."""

    def __init__(
        self,
        queries: Sequence[JudgedQuery],
        retriever: Retriever | None,
        teacher: Teacher | None,
        *,
        size: int,
        mining_depth: int,
        count: int,
        seed: int,
    ) -> None:
        self.queries, self.retriever, self.teacher = queries, retriever, teacher
        self.size, self.mining_depth = size, mining_depth
        self.count, self.seed = count, seed
        self._pools: dict[int, tuple[JudgedPassage, ...]] = {}
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> TrainingList:
        if not 0 <= number < self.count:
            raise IndexError(number)
        position = self._find_query(number)
        pool = self._fill_pool(position)
        chosen = draw_list(pool, self.size, random.Random(f"{self.seed}-{number}"))
        missing = self.size - len(chosen)
        scores = [p.teacher_score for p in chosen]
        teacher = None
        if self.teacher is not None:
            teacher = tuple(float(s) for s in scores if s is not None) + (0.0,) * missing
        return TrainingList(
            query=self.queries[position].query.text,
            passages=tuple(p.passage for p in chosen) + (PADDING,) * missing,
            grades=tuple(float(p.grade) for p in chosen) + (0.0,) * missing,
            teacher=teacher,
            known=(True,) * len(chosen) + (False,) * missing,
        )

    def _find_query(self, number: int) -> int:
        epoch, place = divmod(number, len(self.queries))
        if self._order[0] != epoch:
            order = list(range(len(self.queries)))
            random.Random(f"{self.seed}-order-{epoch}").shuffle(order)
            self._order = (epoch, order)
        return self._order[1][place]

    def _fill_pool(self, position: int) -> tuple[JudgedPassage, ...]:
        """The judged and mined passages of a query, with the teacher's scores."""
        if position not in self._pools:
            judged = self.queries[position]
            pool = judged.passages
            if self.retriever is not None and self.mining_depth:
                pool += mine_negatives(judged, self.retriever, self.mining_depth)
            if self.teacher is not None:
                text, passages = judged.query.text, [p.passage for p in pool]
                scores = self.teacher.score(
                    text,
                    passages,
                    given=[p.teacher_score for p in pool],
                    bm25=find_bm25_scores(text, passages, self.retriever),
                )
                pool = tuple(
                    replace(p, teacher_score=score)
                    for p, score in zip(pool, scores, strict=True)
                    if score is not None
                )
            self._pools[position] = pool
        return self._pools[position]


def draw_list(
    pool: Sequence[JudgedPassage], size: int, random_: random.Random
) -> list[JudgedPassage]:
    """One relevant passage, the better ones more often, and others of the pool at random."""
    positives = [p for p in pool if p.grade > 0]
    chosen = random_.choices(positives, weights=[p.grade for p in positives])[:1]
    others = [p for p in pool if p is not chosen[0]]
    return chosen + random_.sample(others, min(size - 1, len(others)))


@dataclass(frozen=True, kw_only=True, slots=True)
class ListCollator:
    """Lists to the tensors of one batch; see `score_lists` for their names."""

    lists: ListTokenizer  # not "tokenizer": the Trainer would save one of that name

    def __call__(self, items: Sequence[TrainingList]) -> dict[str, Any]:
        batch: dict[str, Any] = dict(
            self.lists.tokenize([i.query for i in items], [i.passages for i in items])
        )
        batch["labels"] = torch.tensor([item.grades for item in items])
        batch["known"] = torch.tensor([item.known for item in items])
        if items[0].teacher is not None:
            batch["teacher"] = torch.tensor([item.teacher for item in items])
        return batch


def make_list_tokenizer(tokenizer: Any, profile: Stage1Profile) -> ListTokenizer:
    """The tokeniser of a student; one without a padding token pads with its end token."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return ListTokenizer(tokenizer=tokenizer, profile=profile)
