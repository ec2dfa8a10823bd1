"""Judgements as ratings: answers in, values by unit and person out.

Takes current judgements, returns tables that agreement is measured on. Only annotations count: an
adjudication was made with the others in sight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reranker.annotation.answers import REASON_VERDICTS, Answers, Span
from reranker.annotation.judgement import Judgement
from reranker.annotation.project import Question

EVIDENCE = ("accepted", "selected", "none")
RATED: tuple[Question, ...] = ("grade", "verdict", "steps", "evidence")


@dataclass(frozen=True, kw_only=True, slots=True)
class RatingTable:
    """One question's ratings: unit -> person -> value, and the item of each unit."""

    question: Question
    ratings: dict[str, dict[str, int]] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)

    def add(self, item_id: str, unit: str, person: str, value: int) -> None:
        self.ratings.setdefault(unit, {})[person] = value
        self.items[unit] = item_id


def collect_ratings(judgements: Iterable[Judgement]) -> dict[Question, RatingTable]:
    """A table for every question with single answers. judgements: current annotations."""
    tables = {question: RatingTable(question=question) for question in RATED}
    for judgement in judgements:
        for question, unit, value in list_values(judgement.answers):
            tables[question].add(
                judgement.item_id, f"{judgement.item_id} {unit}", judgement.person, value
            )
    return tables


def list_values(answers: Answers) -> Iterable[tuple[Question, str, int]]:
    """(question, unit within the item, value) of every single answer."""
    for doc_id, grade in answers.grades.items():
        yield "grade", doc_id, grade
    for reason in answers.reasons:
        unit = f"{reason.doc_id} {reason.system}"
        if reason.whole.verdict is not None:
            yield "verdict", unit, REASON_VERDICTS.index(reason.whole.verdict)
        for place, step in enumerate(reason.steps):
            if step.verdict is not None:
                yield "steps", f"{unit} {place}", REASON_VERDICTS.index(step.verdict)
        if reason.evidence:
            yield "evidence", unit, EVIDENCE.index(reason.evidence)


def list_spans(answers: Answers) -> dict[str, tuple[Span, ...]]:
    """The spans a person selected, by unit; "none" counts as no span. What they accepted is the
    system's and says nothing of where they would have looked."""
    return {
        f"{reason.doc_id} {reason.system}": reason.spans
        for reason in answers.reasons
        if reason.evidence in ("selected", "none")
    }
