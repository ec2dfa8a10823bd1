"""What training learns from judged items: judged lists for stage 1, corrected answers for stage 2.

Takes items with their consensus, returns records in the forms reranker/examples reads:
`annotations`, `tevatron` and `dear-cot`. A passage nobody graded is no training data, and a
justification that was not found correct is left out unless somebody wrote a better one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reranker.annotation.answers import ReasonAnswer
from reranker.annotation.consensus import Consensus
from reranker.annotation.item import Item, Reasoning
from reranker.annotation.project import Project
from reranker.examples.record import JudgedPassage, JudgedQuery
from reranker.examples.texts import write_annotated_text
from reranker.prompts.chat import RANKING_MARKER
from reranker.types import VERDICTS

Judged = tuple[Item, Consensus]
Record = dict[str, Any]


def list_graded(judged: Iterable[Judged]) -> Iterator[Record]:
    """`annotations` for stage 1: every graded passage, grades as they were given."""
    for item, consensus in judged:
        record = _describe(item, judge_query(item, consensus))
        if record["passages"]:
            yield record


def list_pairs(judged: Iterable[Judged]) -> Iterator[Record]:
    """`tevatron` for stage 1: relevant passages (grade above 0) against the others."""
    for item, consensus in judged:
        found = judge_query(item, consensus)
        sides = [
            [
                {"docid": p.passage.doc_id, "title": p.passage.title, "text": p.passage.text}
                for p in found.passages
                if (p.grade > 0) == relevant
            ]
            for relevant in (True, False)
        ]
        if sides[0]:
            yield {
                "query_id": item.query.query_id,
                "query": item.query.text,
                "positive_passages": sides[0],
                "negative_passages": sides[1],
            }


def list_corrected(project: Project, judged: Iterable[Judged]) -> Iterator[Record]:
    """`annotations` for stage 2: lists with at least one justification that holds. Grades are
    those of stage 2's four verdicts, whatever the project's scale."""
    for item, consensus in judged:
        found = _scale_grades(project, judge_query(item, consensus))
        if any(p.justification for p in found.passages):
            yield _describe(item, found)


def list_conversations(project: Project, judged: Iterable[Judged]) -> Iterator[Record]:
    """`dear-cot` for stage 2 (the fields of DeAR-COT, arXiv 2508.16998): the corrected notes as
    `think`, the corrected permutation as `output`."""
    for item, consensus in judged:
        found = _scale_grades(project, judge_query(item, consensus))
        if not any(p.justification for p in found.passages):
            continue
        example = write_annotated_text(found, order_passages(found, consensus))
        system, user = example.messages
        think, _, ranking = example.answer.rpartition(f"\n{RANKING_MARKER}")
        yield {
            "system": system.content,
            "instruction": user.content,
            "input": "",
            "output": RANKING_MARKER + ranking,
            "history": [],
            "think": think,
        }


def judge_query(item: Item, consensus: Consensus) -> JudgedQuery:
    """The graded passages in the order of the item's first ranking, which is the order a model
    would meet them in; without a ranking, in the item's own."""
    answers = consensus.answers
    given = item.orders[0].doc_ids if item.orders else ()
    places = {doc_id: place for place, doc_id in enumerate(given)}
    passages = sorted(item.passages, key=lambda p: places.get(p.doc_id, len(places)))
    return JudgedQuery(
        query=item.query,
        passages=tuple(
            JudgedPassage(
                passage=passage,
                grade=answers.grades[passage.doc_id],
                **_find_words(item, consensus, passage.doc_id),
            )
            for passage in passages
            if passage.doc_id in answers.grades
        ),
        where=item.item_id,
    )


def order_passages(judged: JudgedQuery, consensus: Consensus) -> list[int]:
    """Positions best first: by the order people gave, what they left out behind it by grade."""
    ranks = consensus.answers.ranks
    last = len(judged.passages) + 1

    def place(position: int) -> tuple[int, int, int]:
        passage = judged.passages[position]
        return ranks.get(passage.passage.doc_id, last), -passage.grade, position

    return sorted(range(len(judged.passages)), key=place)


def _find_words(item: Item, consensus: Consensus, doc_id: str) -> dict[str, Any]:
    """The justification that holds of a passage, and its quotes: a correction before what was
    found correct."""
    found = []
    for shown in item.reasonings:
        answer = consensus.answers.find_reason(doc_id, shown.system)
        if shown.doc_id == doc_id and answer is not None:
            text = answer.correction or (shown.text if answer.whole.verdict == "correct" else "")
            found.append((bool(answer.correction), text, _find_quotes(item, shown, answer)))
    best = max((row for row in found if row[1]), key=lambda row: row[0], default=None)
    return {} if best is None else {"justification": best[1], "quotes": best[2]}


def _find_quotes(item: Item, shown: Reasoning, answer: ReasonAnswer) -> tuple[str, ...]:
    if answer.evidence == "accepted":
        return tuple(evidence.text for evidence in shown.evidence)
    text = item.find_passage(shown.doc_id).text
    return tuple(text[span.start : span.end] for span in answer.spans)


def _scale_grades(project: Project, judged: JudgedQuery) -> JudgedQuery:
    top, best = max(project.grades), len(VERDICTS) - 1
    return JudgedQuery(
        query=judged.query,
        passages=tuple(
            JudgedPassage(
                passage=p.passage,
                grade=round(p.grade * best / top),
                justification=p.justification,
                quotes=p.quotes,
            )
            for p in judged.passages
        ),
        where=judged.where,
    )


def _describe(item: Item, judged: JudgedQuery) -> Record:
    rows = []
    for p in judged.passages:
        row: Record = {
            "doc_id": p.passage.doc_id,
            "title": p.passage.title,
            "text": p.passage.text,
            "grade": p.grade,
        }
        if p.justification:
            row |= {"justification": p.justification, "quotes": list(p.quotes)}
        rows.append(row)
    return {"query_id": item.query.query_id, "query": item.query.text, "passages": rows}
