"""A ranking on the bench: its student, its trace, and everything that may be tried on them.

Takes a student and a trace, returns scores and traces of variants; counts them, tells progress and
stops when asked. The student's lock is held for one variant at a time, so that others can rank in
between. Candidates stay as BM25 found them: a variant changes their text or order, never who is in
the list. Knows no question; the other modules of this package ask them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reranker.errors import CancelledError, InputError
from reranker.pipeline import rank
from reranker.progress import Cancelled
from reranker.reading import read_shuffled
from reranker.request import RankRequest
from reranker.stage1.ablation import Ablation, Kept, occlude, share_out
from reranker.stage1.attribution import TokenShares, share_score
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.student.student import STAGE1, STAGE2, Student
from reranker.types import (
    Hit,
    Passage,
    PassageScore,
    Query,
    RankingTrace,
    RankSettings,
    ShuffledReading,
)

OnProgress = Callable[[int, int, str], None]


class Workbench:
    """Variants of one ranking. `total` is how many steps the whole analysis was estimated at."""

    def __init__(
        self,
        student: Student,
        trace: RankingTrace,
        *,
        progress: OnProgress = lambda done, total, message: None,
        cancelled: Cancelled = lambda: False,
        total: int = 0,
    ) -> None:
        self.student, self.trace = student, trace
        self.total, self.done = total, 0
        self._progress, self._cancelled = progress, cancelled

    @property
    def passages(self) -> dict[str, Passage]:
        return {hit.passage.doc_id: hit.passage for hit in self.trace.hits}

    @property
    def has_tokens(self) -> bool:
        """Whether stage 1 is of a form that can be taken apart token by token."""
        with self.student.lock:
            return isinstance(self.student.scorer, BiEncoderScorer)

    def tell(self, message: str, steps: int = 1) -> None:
        """Counts steps that are done, and says what comes next."""
        self.done += steps
        self.total = max(self.total, self.done)
        self._progress(self.done, self.total, message)
        self.check()

    def check(self) -> None:
        """Raises CancelledError when the analysis was stopped."""
        if self._cancelled():
            raise CancelledError("the analysis was stopped")

    def score(self, passages: Sequence[Passage], query: str = "") -> list[PassageScore]:
        """Stage 1's reading of any passages, for another query if one is given."""
        self.check()
        if not passages:
            return []
        with self.student.lock:
            self.student.activate(STAGE1)
            return self.student.scorer.score(
                query or self.trace.query.text, list(passages), cancelled=self._cancelled
            )

    def rank(
        self,
        *,
        query: str = "",
        hits: Sequence[Hit] | None = None,
        settings: RankSettings | None = None,
    ) -> RankingTrace:
        """The ranking with another query, other texts or other settings."""
        self.check()
        chosen = self.trace.hits if hits is None else tuple(hits)
        settings = settings or self.trace.settings
        request = RankRequest(
            query=Query(query_id=self.trace.query.query_id, text=query or self.trace.query.text),
            hits=chosen,
            corpus_id=self.trace.corpus_id,
            corpus_sha256=self.trace.corpus_sha256,
        )
        return rank(
            self.student,
            request,
            replace(settings, depth=len(chosen)),
            cancelled=self._cancelled,
        )

    def baseline(self) -> tuple[RankingTrace, bool]:
        """The ranking to compare variants with, and whether it had to be made again: a trace of
        other weights, or one that did not finish, would blame a variant for what it did not do."""
        info, before = self.student.info(), self.trace.student
        same = (info.name, info.quantization) == (before.name, before.quantization)
        for stage, used in (("stage1", self.trace.stage1), ("stage2", self.trace.readings)):
            name = f"{stage}_adapter_sha256"
            same = same and (not used or getattr(info, name) == getattr(before, name))
        if same and self.trace.complete:
            return self.trace, False
        return self.rank(), True

    def read_shuffled(
        self, base: RankingTrace, shown: Sequence[str], *, seed: int
    ) -> ShuffledReading:
        """Stage 2 alone over passages of `base` that stand in `shown`, with stage 1's scores as
        they are. seed: of its decoding."""
        self.check()
        with self.student.lock:
            self.student.reader  # noqa: B018 - loads stage 2, or raises where there is none
            self.student.activate(STAGE2)
            return read_shuffled(self.student, base, shown, seed=seed, cancelled=self._cancelled)

    def share_tokens(self, passage: Passage, *, steps: int) -> TokenShares:
        """Every token's part in a score. Raises InputError where stage 1 is no bi-encoder."""
        self.check()
        with self.student.lock:
            scorer = self.student.scorer
            if not isinstance(scorer, BiEncoderScorer):
                raise InputError(
                    "expected a bi-encoder as stage 1, got a cross-encoder; its tokens are not "
                    "compared one by one, use occlusion or Shapley values"
                )
            return share_score(scorer, self.trace.query.text, passage, steps=steps)

    def occlude(self, parts: int, write: Callable[[Kept], Passage]) -> Ablation:
        """The effect of leaving out each of a passage's parts. write: the passage with the parts
        that are kept."""
        return occlude(self._score_kept(write), parts)

    def share_out(
        self, parts: int, write: Callable[[Kept], Passage], *, samples: int, seed: int
    ) -> Ablation:
        """Shapley values of a passage's parts."""
        return share_out(self._score_kept(write), parts, samples=samples, seed=seed)

    def _score_kept(
        self, write: Callable[[Kept], Passage]
    ) -> Callable[[Sequence[Kept]], list[float]]:
        def score(rows: Sequence[Kept]) -> list[float]:
            found = [s.score for s in self.score([write(row) for row in rows])]
            self.tell("scoring the passage with parts left out", len(rows))
            return found

        return score
