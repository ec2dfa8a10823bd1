"""One query under several runs, passage by passage.

Takes a `RunSet` and a query_id, returns rows to lay side by side. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reranker.errors import InputError
from reranker.evaluation.run_set import RunSet
from reranker.types import Justification, Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class PassageRow:
    """One passage of a query. grade: None where it was not judged. ranks, scores: by run, only
    those that rank it. passage: None where its text is not known."""

    doc_id: str
    grade: int | None
    ranks: Mapping[str, int]
    scores: Mapping[str, float]
    passage: Passage | None
    justifications: Mapping[str, Justification]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryView:
    """A query's passages, best rank in any run first; then relevant ones that no run ranks.

    unranked: how many passages graded above 0 no run has. previous, next: neighbours in the order
    that was walked, "" at its ends.
    """

    query_id: str
    text: str
    runs: tuple[str, ...]
    rows: tuple[PassageRow, ...]
    unranked: int
    previous: str = ""
    next: str = ""


def view_query(
    runs: RunSet,
    query_id: str,
    *,
    names: Sequence[str] = (),
    depth: int = 20,
    order: Sequence[str] = (),
) -> QueryView:
    """What the runs called `names` (() takes all) made of a query, to `depth` passages each.

    order: query_ids as they are being walked through, for the neighbours. Raises InputError for
    a query or run that is not there.
    """
    chosen = [runs.find(name) for name in names] or list(runs.runs)
    if query_id not in runs.query_ids:
        raise InputError(f"expected a query of these runs, got {query_id!r}; choose another")
    grades = runs.qrels[query_id]
    ranks: dict[str, dict[str, int]] = {}
    scores: dict[str, dict[str, float]] = {}
    for run in chosen:
        for rank, (doc_id, score) in enumerate(run.run.get(query_id, ()), start=1):
            ranks.setdefault(doc_id, {})[run.name] = rank
            scores.setdefault(doc_id, {})[run.name] = score
    shown = [doc_id for doc_id, found in ranks.items() if min(found.values()) <= depth]
    shown.sort(key=lambda d: (min(ranks[d].values()), sum(ranks[d].values()), d))
    unranked = [doc_id for doc_id, grade in grades.items() if grade > 0 and doc_id not in ranks]
    unranked.sort(key=lambda doc_id: (-grades[doc_id], doc_id))
    notes = {
        run.name: {j.doc_id: j for j in run.justifications.get(query_id, ())} for run in chosen
    }
    rows = tuple(
        PassageRow(
            doc_id=doc_id,
            grade=grades.get(doc_id),
            ranks=ranks.get(doc_id, {}),
            scores=scores.get(doc_id, {}),
            passage=runs.passages.get(doc_id),
            justifications={name: held[doc_id] for name, held in notes.items() if doc_id in held},
        )
        for doc_id in [*shown, *unranked]
    )
    before, after = _find_neighbours(query_id, order)
    return QueryView(
        query_id=query_id,
        text=runs.queries.get(query_id, ""),
        runs=tuple(run.name for run in chosen),
        rows=rows,
        unranked=len(unranked),
        previous=before,
        next=after,
    )


def _find_neighbours(query_id: str, order: Sequence[str]) -> tuple[str, str]:
    if query_id not in order:
        return "", ""
    place = list(order).index(query_id)
    return (
        order[place - 1] if place else "",
        order[place + 1] if place + 1 < len(order) else "",
    )
