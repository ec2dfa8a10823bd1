"""One set of answers for each item out of what several people said.

Takes current judgements of an item, returns `Answers`. An adjudication decides; without one,
grades take the lower median and verdicts the majority, and where there is none nothing is claimed.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reranker.annotation.answers import Answers, PartAnswer, ReasonAnswer
from reranker.annotation.judgement import Judgement
from reranker.annotation.judging import current_judgements

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Consensus:
    """What holds of one item. people: how many annotators; adjudicated: an adjudicator decided."""

    item_id: str
    answers: Answers
    people: int
    adjudicated: bool


def settle_items(history: Iterable[Judgement]) -> dict[str, Consensus]:
    """The consensus of every judged item, by item_id, in the order they were first saved."""
    annotated: dict[str, list[Judgement]] = {}
    decided: dict[str, Judgement] = {}
    for (item_id, kind, _), judgement in current_judgements(history).items():
        annotated.setdefault(item_id, [])
        if kind == "adjudication":
            decided[item_id] = judgement
        else:
            annotated[item_id].append(judgement)
    return {
        item_id: Consensus(
            item_id=item_id,
            answers=(
                decided[item_id].answers
                if item_id in decided
                else settle_answers([judgement.answers for judgement in given])
            ),
            people=len(given),
            adjudicated=item_id in decided,
        )
        for item_id, given in annotated.items()
    }


def settle_answers(given: Sequence[Answers]) -> Answers:
    """What these people's answers come to. One person's answers are kept as they are."""
    if len(given) == 1:
        return given[0]
    grades: dict[str, list[int]] = {}
    for answers in given:
        for doc_id, grade in answers.grades.items():
            grades.setdefault(doc_id, []).append(grade)
    keys = dict.fromkeys((r.doc_id, r.system) for answers in given for r in answers.reasons)
    return Answers(
        grades={doc_id: statistics.median_low(values) for doc_id, values in grades.items()},
        reasons=tuple(_settle_reason(given, *key) for key in keys),
        order=_settle_order([answers.ranks for answers in given if answers.order]),
        comment="\n".join(answers.comment for answers in given if answers.comment),
        flagged=any(answers.flagged for answers in given),
    )


def _settle_reason(given: Sequence[Answers], doc_id: str, system: str) -> ReasonAnswer:
    found = [r for answers in given if (r := answers.find_reason(doc_id, system)) is not None]
    evidence = _majority([r.evidence for r in found if r.evidence]) or ""
    spans = [r.spans for r in found if r.evidence == "selected"] if evidence == "selected" else []
    steps = max((len(r.steps) for r in found), default=0)
    return ReasonAnswer(
        doc_id=doc_id,
        system=system,
        whole=_settle_part([r.whole for r in found]),
        steps=tuple(
            _settle_part([r.steps[place] for r in found if place < len(r.steps)])
            for place in range(steps)
        ),
        evidence=evidence,
        spans=spans[0] if spans else (),
        correction=next((r.correction for r in found if r.correction), ""),
    )


def _settle_part(parts: Sequence[PartAnswer]) -> PartAnswer:
    """The majority's verdict, "unsure" where there is none, with every reason named for it."""
    verdicts = [part.verdict for part in parts if part.verdict is not None]
    if not verdicts:
        return PartAnswer()
    verdict = _majority(verdicts) or "unsure"
    named = [name for part in parts if part.verdict == verdict for name in part.reasons]
    return PartAnswer(verdict=verdict, reasons=tuple(dict.fromkeys(named)))


def _settle_order(rankings: Sequence[dict[str, int]]) -> tuple[tuple[str, ...], ...]:
    """Passages by their mean rank among those who ranked them (Borda's count), equal means tied."""
    ranks: dict[str, list[int]] = {}
    for ranking in rankings:
        for doc_id, rank in ranking.items():
            ranks.setdefault(doc_id, []).append(rank)
    tiers: dict[float, list[str]] = {}
    for doc_id, found in ranks.items():
        tiers.setdefault(sum(found) / len(found), []).append(doc_id)
    return tuple(tuple(tiers[mean]) for mean in sorted(tiers))


def _majority(values: Sequence[T]) -> T | None:
    """What more than half said, None where no value has that."""
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if 2 * count > len(values) else None
