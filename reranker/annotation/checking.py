"""Whether answers fit their item and project, and what is still undecided.

Takes a project, an item and answers; raises InputError, or returns what is open. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from reranker.annotation.answers import Answers, PartAnswer, ReasonAnswer
from reranker.annotation.item import Item, Reasoning
from reranker.annotation.project import Project
from reranker.errors import InputError

MAX_COMMENT_CHARS = 10_000
MAX_CORRECTION_CHARS = 5_000
MAX_SPANS = 20


def list_shown(project: Project, item: Item) -> tuple[Reasoning, ...]:
    """The justifications a project shows of an item."""
    return tuple(r for r in item.reasonings if not project.systems or r.system in project.systems)


def check_answers(project: Project, item: Item, answers: Answers) -> None:
    """Raises InputError for an answer about what is not there, or outside the scale."""
    doc_ids = {passage.doc_id for passage in item.passages}
    for doc_id, grade in answers.grades.items():
        _require(doc_id in doc_ids, f"a grade for a passage of this item, got {doc_id[:40]!r}")
        _require(grade in project.grades, f"a grade among {project.grades}, got {grade}")
    ordered = [doc_id for tier in answers.order for doc_id in tier]
    _require(
        set(ordered) <= doc_ids and len(set(ordered)) == len(ordered) and all(answers.order),
        "an order of this item's passages, each at most once",
    )
    _require(
        len(answers.comment) <= MAX_COMMENT_CHARS,
        f"a comment of at most {MAX_COMMENT_CHARS:,} characters, got {len(answers.comment):,}",
    )
    shown = {(r.doc_id, r.system): r for r in list_shown(project, item)}
    keys = [(r.doc_id, r.system) for r in answers.reasons]
    _require(
        set(keys) <= set(shown) and len(set(keys)) == len(keys),
        "answers about the justifications shown, each at most once",
    )
    for answer in answers.reasons:
        _check_reason(project, item, shown[answer.doc_id, answer.system], answer)


def list_undecided(project: Project, item: Item, answers: Answers) -> tuple[str, ...]:
    """Names of what the project asks and these answers leave open; the comment is never asked
    for, and neither is more of an order than two places."""
    asked = set(project.questions)
    missing = []
    if "grade" in asked:
        missing += [f"grade {p.doc_id}" for p in item.passages if p.doc_id not in answers.grades]
    for shown in list_shown(project, item):
        answer = answers.find_reason(shown.doc_id, shown.system)
        name = f"{shown.doc_id} {shown.system}"
        if "verdict" in asked and (answer is None or answer.whole.verdict is None):
            missing.append(f"verdict {name}")
        if "steps" in asked and len(shown.steps) > 1:
            given = [step.verdict for step in answer.steps] if answer else []
            if len(given) < len(shown.steps) or None in given:
                missing.append(f"steps {name}")
        if "evidence" in asked and (answer is None or not answer.evidence):
            missing.append(f"evidence {name}")
    if "order" in asked and len(item.passages) > 1 and not answers.order:
        missing.append("order")
    return tuple(missing)


def _check_reason(project: Project, item: Item, shown: Reasoning, answer: ReasonAnswer) -> None:
    _require(
        len(answer.steps) in (0, len(shown.steps)),
        f"answers for all {len(shown.steps)} steps or none, got {len(answer.steps)}",
    )
    _check_parts(project, [answer.whole, *answer.steps])
    length = len(item.find_passage(answer.doc_id).text)
    _require(
        len(answer.spans) <= MAX_SPANS
        and all(0 <= s.start < s.end <= length for s in answer.spans),
        f"at most {MAX_SPANS} spans inside the passage",
    )
    _require(
        bool(answer.spans) == (answer.evidence == "selected"),
        "spans exactly where evidence was selected",
    )
    _require(
        answer.evidence != "accepted" or bool(shown.evidence),
        "evidence accepted only where the system gave some",
    )
    _require(
        len(answer.correction) <= MAX_CORRECTION_CHARS,
        f"a correction of at most {MAX_CORRECTION_CHARS:,} characters",
    )


def _check_parts(project: Project, parts: Iterable[PartAnswer]) -> None:
    names = {reason.name for reason in project.reasons}
    for part in parts:
        _require(
            set(part.reasons) <= names and len(set(part.reasons)) == len(part.reasons),
            f"reasons among {sorted(names)}, got {list(part.reasons)}",
        )


def _require(holds: bool, expected: str) -> None:
    if not holds:
        raise InputError(f"expected {expected}; open the item again")
