"""What if: the query or passages read otherwise, and everything that changes with it.

Takes a workbench and edits, returns both rankings and the difference, passage by passage. The
candidates and their BM25 scores stay: only what the student does is asked. Draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reranker.errors import InputError
from reranker.explain.cost import Cost, estimate_cost
from reranker.explain.edits import DiffPiece, Edit, apply_edits, diff_texts
from reranker.types import RankedHit, RankingTrace, Verdict

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench


@dataclass(frozen=True, kw_only=True, slots=True)
class EditRequest:
    """query: the query as it shall read; "" leaves it."""

    edits: tuple[Edit, ...] = ()
    query: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How one passage stands in one ranking."""

    rank: int
    rank_stage1: int | None
    score: float | None
    verdict: Verdict | None
    reason: str
    quotes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One passage before and after; before is None for a passage that was added."""

    doc_id: str
    title: str
    edited: bool
    before: Standing | None
    after: Standing

    @property
    def rise(self) -> int:
        """Places gained in the final order; negative for places lost, 0 for a new passage."""
        return self.before.rank - self.after.rank if self.before else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TextDiff:
    """doc_id is "" for the query."""

    doc_id: str
    label: str
    pieces: tuple[DiffPiece, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counterfactual:
    """changes: by the new rank. remade: the ranking before was made again, because its trace is
    of other weights or did not finish."""

    before: RankingTrace
    after: RankingTrace
    remade: bool
    diffs: tuple[TextDiff, ...]
    changes: tuple[Change, ...]


def estimate_edit(trace: RankingTrace, request: EditRequest) -> Cost:
    """One ranking; with the query changed every passage is compared anew."""
    reads = int(trace.settings.stages in ("2", "both"))
    return estimate_cost(trace, scorings=len(trace.hits), rankings=reads)


def try_edit(bench: Workbench, request: EditRequest) -> Counterfactual:
    """The ranking with the edits made. Raises InputError where nothing would change."""
    trace = bench.trace
    hits = apply_edits(trace.hits, request.edits)
    query = request.query.strip() or trace.query.text
    if hits == trace.hits and query == trace.query.text:
        raise InputError("expected a change, got the same texts; edit the query or a passage")
    before, remade = bench.baseline()
    after = bench.rank(query=query, hits=hits)
    bench.tell("ranked with the change", estimate_edit(trace, request).steps)
    texts = {hit.passage.doc_id: hit.passage.text for hit in trace.hits}
    new = {hit.passage.doc_id: hit.passage.text for hit in hits}
    diffs = [
        TextDiff(
            doc_id=edit.doc_id,
            label=edit.label,
            pieces=diff_texts(texts.get(edit.doc_id, ""), new[edit.doc_id]),
        )
        for edit in request.edits
    ]
    if query != trace.query.text:
        pieces = diff_texts(trace.query.text, query)
        diffs.insert(0, TextDiff(doc_id="", label="the query", pieces=pieces))
    return Counterfactual(
        before=before,
        after=after,
        remade=remade,
        diffs=tuple(diffs),
        changes=compare_standings(before, after, {edit.doc_id for edit in request.edits}),
    )


def compare_standings(
    before: RankingTrace, after: RankingTrace, edited: set[str]
) -> tuple[Change, ...]:
    """Every passage of the new ranking, best first."""
    old = {hit.passage.doc_id: _stand(hit) for hit in before.ranked_hits()}
    return tuple(
        Change(
            doc_id=hit.passage.doc_id,
            title=hit.passage.title,
            edited=hit.passage.doc_id in edited,
            before=old.get(hit.passage.doc_id),
            after=_stand(hit),
        )
        for hit in after.ranked_hits()
    )


def _stand(hit: RankedHit) -> Standing:
    note = hit.justification
    return Standing(
        rank=hit.rank,
        rank_stage1=hit.rank_stage1,
        score=hit.score,
        verdict=note.verdict if note else None,
        reason=note.text if note else "",
        quotes=tuple(span.text for span in note.evidence) if note else (),
    )
