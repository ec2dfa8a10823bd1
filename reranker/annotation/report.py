"""The agreement report of a project: its judgements in, numbers by question and person out.

Takes items and history, returns an `AgreementReport`. Draws nothing and knows no store.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reranker.annotation.agreement import (
    Coefficient,
    Level,
    measure_alpha,
    rank_correlation,
    span_overlap,
    summarize_mean,
)
from reranker.annotation.answers import Answers
from reranker.annotation.item import Item
from reranker.annotation.judgement import Judgement
from reranker.annotation.judging import current_judgements
from reranker.annotation.pair_agreement import PairAgreement, measure_pairs
from reranker.annotation.project import Question
from reranker.annotation.ratings import collect_ratings, list_spans, list_values


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionAgreement:
    """One question: alpha over everybody, kappa of each pair, and each person's mean kappa with
    the others."""

    question: Question
    alpha: Coefficient
    kappas: PairAgreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How many of a person's answers were as they should be."""

    right: int
    total: int

    @property
    def value(self) -> float:
        return self.right / self.total


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """An item people see differently. questions: those they differ in, with how often."""

    item_id: str
    query: str
    people: tuple[str, ...]
    questions: dict[str, int]
    adjudicated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementReport:
    """spans: mean F1 of selected evidence over pairs; order: mean tau-b over pairs. gold: answers
    to gold items that were as given, without those of who gave them; adjudicated: answers an
    adjudicator confirmed."""

    judged_items: int
    shared_items: int
    questions: tuple[QuestionAgreement, ...]
    spans: Coefficient
    order: Coefficient
    gold: dict[str, Share]
    adjudicated: dict[str, Share]
    disagreements: tuple[Disagreement, ...]


def report_agreement(items: Sequence[Item], history: Sequence[Judgement]) -> AgreementReport:
    """Everything the project's newest judgements say of agreement."""
    current = current_judgements(history)
    annotations = [j for (_, kind, _), j in current.items() if kind == "annotation"]
    decided = {j.item_id: j for (_, kind, _), j in current.items() if kind == "adjudication"}
    by_item: dict[str, list[Judgement]] = {}
    for judgement in annotations:
        by_item.setdefault(judgement.item_id, []).append(judgement)
    shared = {item_id: found for item_id, found in by_item.items() if len(found) > 1}
    golden = {item.item_id: dict(_key(item.gold)) for item in items if item.gold is not None}
    givers = {item.item_id: item.gold_by for item in items}
    tested = [j for j in annotations if j.person != givers.get(j.item_id)]
    confirmed = {item_id: dict(_key(j.answers)) for item_id, j in decided.items()}
    return AgreementReport(
        judged_items=len(by_item),
        shared_items=len(shared),
        questions=_measure_questions(annotations),
        spans=summarize_mean({item_id: _overlaps(found) for item_id, found in shared.items()}),
        order=summarize_mean({item_id: _taus(found) for item_id, found in shared.items()}),
        gold=_count_right(tested, golden),
        adjudicated=_count_right(annotations, confirmed),
        disagreements=find_disagreements({i.item_id: i.query.text for i in items}, history),
    )


def find_disagreements(
    queries: Mapping[str, str], history: Iterable[Judgement]
) -> tuple[Disagreement, ...]:
    """The items people see differently, in the items' order. queries: item_id -> text."""
    shared: dict[str, list[Judgement]] = {}
    decided = set()
    for (item_id, kind, _), judgement in current_judgements(history).items():
        if kind == "adjudication":
            decided.add(item_id)
        else:
            shared.setdefault(item_id, []).append(judgement)
    return tuple(
        Disagreement(
            item_id=item_id,
            query=text,
            people=tuple(sorted(j.person for j in shared[item_id])),
            questions=differing,
            adjudicated=item_id in decided,
        )
        for item_id, text in queries.items()
        if len(shared.get(item_id, ())) > 1 and (differing := list_differences(shared[item_id]))
    )


def list_differences(judgements: Sequence[Judgement]) -> dict[str, int]:
    """Question -> how many of its answers differ among the people who gave one."""
    given: dict[tuple[str, str], set[int]] = {}
    for judgement in judgements:
        for name, unit, value in list_values(judgement.answers):
            given.setdefault((name, unit), set()).add(value)
    counts: dict[str, int] = {}
    for (question, _), values in given.items():
        if len(values) > 1:
            counts[question] = counts.get(question, 0) + 1
    if any(value < 1 for value in _overlaps(judgements)):
        counts["spans"] = sum(value < 1 for value in _overlaps(judgements))
    if any(value < 1 for value in _taus(judgements)):
        counts["order"] = 1
    return counts


def _measure_questions(annotations: Sequence[Judgement]) -> tuple[QuestionAgreement, ...]:
    found = []
    for question, table in collect_ratings(annotations).items():
        if not table.ratings:
            continue
        level: Level = "ordinal" if question == "grade" else "nominal"
        found.append(
            QuestionAgreement(
                question=question,
                alpha=measure_alpha(table.ratings, level, groups=table.items),
                kappas=measure_pairs(table.ratings, groups=table.items),
            )
        )
    return tuple(found)


def _overlaps(judgements: Sequence[Judgement]) -> list[float]:
    spans = [list_spans(judgement.answers) for judgement in judgements]
    return [
        span_overlap(first[unit], second[unit])
        for first, second in itertools.combinations(spans, 2)
        for unit in sorted(set(first) & set(second))
    ]


def _taus(judgements: Sequence[Judgement]) -> list[float]:
    ranks = [judgement.answers.ranks for judgement in judgements if judgement.answers.order]
    taus = [rank_correlation(*pair) for pair in itertools.combinations(ranks, 2)]
    return [tau for tau in taus if tau is not None]


def _count_right(
    annotations: Sequence[Judgement], truth: Mapping[str, Mapping[tuple[str, str], int]]
) -> dict[str, Share]:
    counts: dict[str, list[int]] = {}
    for judgement in annotations:
        known = truth.get(judgement.item_id, {})
        for key, value in _key(judgement.answers):
            if key in known:
                right = counts.setdefault(judgement.person, [0, 0])
                right[0] += known[key] == value
                right[1] += 1
    return {
        person: Share(right=right, total=total) for person, (right, total) in sorted(counts.items())
    }


def _key(answers: Answers) -> list[tuple[tuple[str, str], int]]:
    return [((q, unit), value) for q, unit, value in list_values(answers)]
