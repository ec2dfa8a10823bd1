"""The smallest change that makes the top two change places.

Takes a workbench and a budget, returns the fewest words found whose absence from the first
passage puts the second one above it. Single words are tried one by one, so "one word" is certain;
more words are a greedy search, so "the fewest found" is an upper bound. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from reranker.errors import InputError
from reranker.explain.attribution import MAX_WORDS, find_passage
from reranker.explain.cost import Cost, estimate_cost
from reranker.explain.edits import DiffPiece, Edit, apply_edits, diff_texts
from reranker.explain.shares import Span, find_words
from reranker.types import Passage, RankingTrace

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench

FlipStage = Literal["stage1", "final"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FlipRequest:
    """The budget: texts stage 1 may score, and times stage 2 may read the list (for "final")."""

    stage: FlipStage = "stage1"
    max_scorings: int = 600
    max_readings: int = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """found: the top two change places. words: those taken out of the first passage, as written;
    certain: no single word less would do, because each was tried. margin: by how many logits the
    second led in the end (stage 1 only; 0 for the final order)."""

    stage: FlipStage
    first: str
    second: str
    found: bool
    words: tuple[str, ...]
    certain: bool
    pieces: tuple[DiffPiece, ...]
    text: str
    margin: float
    scorings: int
    readings: int


def estimate_flip(trace: RankingTrace, request: FlipRequest) -> Cost:
    """The whole budget; most searches end earlier."""
    reads = request.max_readings if request.stage == "final" else 0
    order = _order(trace, request.stage)
    words = len(find_words(find_passage(trace, order[0]).text)) if order else 0
    return estimate_cost(trace, scorings=min(request.max_scorings, 4 * words + 2), rankings=reads)


def find_flip(bench: Workbench, request: FlipRequest) -> Flip:
    """Raises InputError for a ranking with fewer than two passages or without stage 1."""
    base, _ = bench.baseline()
    order = _order(base, request.stage)
    if len(order) < 2 or not base.stage1:
        raise InputError(
            "expected a ranking by stage 1 of at least two passages, got less; rank again with it"
        )
    search = _Search(bench, request, order[0], order[1])
    ordered = search.order_words()
    if request.stage == "stage1":
        return search.flip_scores(ordered)
    return search.flip_ranking(ordered)


def _order(trace: RankingTrace, stage: FlipStage) -> tuple[str, ...]:
    return trace.stage1_order if stage == "stage1" else trace.final_order


class _Search:
    """One search: what has been tried, and what it cost."""

    def __init__(self, bench: Workbench, request: FlipRequest, first: str, second: str) -> None:
        self.bench, self.request = bench, request
        self.first, self.second = (find_passage(bench.trace, d) for d in (first, second))
        self.words = find_words(self.first.text)[:MAX_WORDS]
        self.scorings = self.readings = 0
        self.target = bench.score([self.second])[0].score
        self.single: dict[int, float] = {}

    def order_words(self) -> list[int]:
        """Words by what the score loses without them, the most first."""
        affordable = self.words[: max(1, self.request.max_scorings - 1)]
        scores = self.score([{place} for place in range(len(affordable))])
        self.single = dict(enumerate(scores))
        return sorted(self.single, key=lambda place: self.single[place])

    def flip_scores(self, ordered: list[int]) -> Flip:
        """One word, if one does; else words in falling effect until it does, then every word
        that proves unnecessary put back."""
        everything = len(self.single) == len(self.words)
        if self.single and self.single[ordered[0]] < self.target:
            return self._make({ordered[0]}, self.single[ordered[0]], certain=True)
        gone: list[int] = []
        score = 0.0
        for place in ordered:
            if self.scorings >= self.request.max_scorings or len(gone) + 1 >= len(self.words):
                return self._fail()
            gone.append(place)
            score = self.score([set(gone)])[0]
            if score < self.target:
                break
        else:
            return self._fail()
        kept = self._put_back(gone)
        final = self.score([kept])[0]
        return self._make(kept, final, certain=everything and len(kept) == 2)

    def _put_back(self, gone: list[int]) -> set[int]:
        """The weakest words first; those without which the flip still holds stay in the text."""
        kept = set(gone)
        for place in reversed(gone):
            if len(kept) == 1 or self.scorings >= self.request.max_scorings:
                break
            if self.score([kept - {place}])[0] < self.target:
                kept -= {place}
        return kept

    def flip_ranking(self, ordered: list[int]) -> Flip:
        """Growing sets of the strongest words, read by stage 2 until the order turns."""
        size = 1
        while self.readings < self.request.max_readings and size < len(self.words):
            gone = set(ordered[:size])
            edit = Edit(doc_id=self.first.doc_id, text=self._write(gone))
            trace = self.bench.rank(hits=apply_edits(self.bench.trace.hits, [edit]))
            self.readings += 1
            self.bench.tell(f"reading the list without {size} words")
            ranks = {doc_id: rank for rank, doc_id in enumerate(trace.final_order)}
            if ranks[self.second.doc_id] < ranks[self.first.doc_id]:
                return self._make(gone, 0.0, certain=size == 1)
            size *= 2
        return self._fail()

    def score(self, gone: Sequence[Collection[int]]) -> list[float]:
        passages = [
            replace(self.first, doc_id=f"{self.first.doc_id} (edited)", text=self._write(places))
            for places in gone
        ]
        self.scorings += len(passages)
        found = [s.score for s in self.bench.score(passages)]
        self.bench.tell("scoring the first passage with words left out", len(passages))
        return found

    def _write(self, gone: Collection[int]) -> str:
        return leave_out(self.first, self.words, gone)

    def _make(self, gone: set[int], score: float, *, certain: bool) -> Flip:
        text = self._write(gone)
        return Flip(
            stage=self.request.stage,
            first=self.first.doc_id,
            second=self.second.doc_id,
            found=True,
            words=tuple(self.first.text[s:e] for p, (s, e) in enumerate(self.words) if p in gone),
            certain=certain,
            pieces=diff_texts(self.first.text, text),
            text=text,
            margin=self.target - score if self.request.stage == "stage1" else 0.0,
            scorings=self.scorings,
            readings=self.readings,
        )

    def _fail(self) -> Flip:
        return Flip(
            stage=self.request.stage,
            first=self.first.doc_id,
            second=self.second.doc_id,
            found=False,
            words=(),
            certain=False,
            pieces=(),
            text=self.first.text,
            margin=0.0,
            scorings=self.scorings,
            readings=self.readings,
        )


def leave_out(passage: Passage, words: Sequence[Span], gone: Collection[int]) -> str:
    """The passage's text without some of its words."""
    kept = [passage.text[s:e] for place, (s, e) in enumerate(words) if place not in gone]
    return " ".join([*kept, passage.text[words[-1][1] :].strip()]).strip()
