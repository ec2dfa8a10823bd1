"""A DeAR student as systems: stage 1 alone, stage 2 alone, both, and both blended.

Takes what ranks a query with a student, returns four systems that share what they can: stage 1,
both and blended come from one ranking, each query's kept until the systems are closed. Knows
traces; which weights rank, and where, is the business of who opens the ranker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal, get_args

from reranker.config import Profile
from reranker.ordering import blend_trace
from reranker.progress import Cancelled
from reranker.systems.system import SystemRanking
from reranker.trec import Ranking, rank_by_position
from reranker.types import Hit, Query, RankingTrace, RankSettings

Form = Literal["stage1", "stage2", "both", "blend"]
FORMS: tuple[Form, ...] = get_args(Form)

Ranker = Callable[[Query, Sequence[Hit], RankSettings, Cancelled], RankingTrace]
"""Ranks the hits of one query. Raises what the pipeline raises."""


class TraceSource:
    """Rankings of one student, each made once.

    open_ranker: called when the first ranking is needed; what it returns is let go with the last
    form. forms: which of the student's forms will be asked for; stage 1 alone needs no stage 2.
    stage2_depth: how many of the best stage 2 reads (None: all).
    """

    def __init__(
        self,
        name: str,
        open_ranker: Callable[[], Ranker],
        profile: Profile,
        forms: Collection[Form],
        *,
        stage2_depth: int | None = None,
    ) -> None:
        self.name, self.profile, self.stage2_depth = name, profile, stage2_depth
        self._open_ranker, self._forms = open_ranker, frozenset(forms)
        self._ranker: Ranker | None = None
        self._traces: dict[tuple[str, str], RankingTrace] = {}

    def find_trace(
        self, form: Form, query: Query, hits: Sequence[Hit], cancelled: Cancelled
    ) -> RankingTrace:
        """The trace `form` is read from. Stage 2's own order is its final one."""
        stages: Literal["1", "2", "both"] = "both"
        if form == "stage2":
            stages = "2"
        elif form == "stage1" and not self._forms & {"both", "blend"}:
            stages = "1"
        key = (stages, query.query_id)
        if key not in self._traces:
            settings = RankSettings(
                depth=max(1, len(hits)),
                stage2_depth=self.stage2_depth,
                stages=stages,
                final="stage2",
            )
            if self._ranker is None:
                self._ranker = self._open_ranker()
            self._traces[key] = self._ranker(query, hits, settings, cancelled)
        return self._traces[key]

    def release(self, form: Form) -> None:
        """Weights and traces are let go once the last form has been closed."""
        self._forms = self._forms - {form}
        if not self._forms:
            self._ranker = None
            self._traces.clear()


class DearSystem:
    """One form of a student."""

    def __init__(self, form: Form, source: TraceSource, description: str) -> None:
        self.name = f"{source.name}:{form}"
        self.form, self.source, self.description = form, source, description

    def rank(self, query: Query, hits: Sequence[Hit], *, cancelled: Cancelled) -> SystemRanking:
        """The form's order; seconds are those of the stages it needs."""
        trace = self.source.find_trace(self.form, query, hits, cancelled)
        stages = {"stage1"} if self.form == "stage1" else {"stage1", "stage2", "shuffles"}
        uses_stage2 = self.form != "stage1"
        return SystemRanking(
            ranking=self._order(trace),
            seconds=sum(t.seconds for t in trace.timings if t.stage in stages),
            defects=tuple(f"{d.kind}: {d.detail}" for d in trace.defects) if uses_stage2 else (),
            justifications=tuple(trace.justifications.values()) if uses_stage2 else (),
        )

    def close(self) -> None:
        """Tells the source that this form needs it no more."""
        self.source.release(self.form)

    def _order(self, trace: RankingTrace) -> Ranking:
        if self.form == "stage1":
            scores = {score.doc_id: score.score for score in trace.stage1}
            return tuple((doc_id, scores[doc_id]) for doc_id in trace.stage1_order)
        if self.form != "blend":
            return rank_by_position(trace.final_order)
        return rank_by_position(blend_trace(trace, trace.final_order, self.source.profile))
