"""What one person answered about one item.

Takes JSON or values, returns `Answers`. Everything is optional: nobody is made to answer, and
nothing is filled in beforehand. Whether answers fit an item is asked in checking.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from reranker.errors import InputError

ReasonVerdict = Literal["correct", "unsure", "wrong"]
REASON_VERDICTS: tuple[ReasonVerdict, ...] = get_args(ReasonVerdict)
EvidenceAnswer = Literal["", "accepted", "selected", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartAnswer:
    """A verdict on a justification or on one step of it, and why (names of a project's reasons)."""

    verdict: ReasonVerdict | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """text[start:end] of a passage, counted in code points."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonAnswer:
    """What is said of one justification.

    evidence: "accepted" for the system's own quotes, "selected" for `spans` instead, "none" where
    the passage holds no evidence. correction: the justification as it should have read.
    """

    doc_id: str
    system: str
    whole: PartAnswer = field(default_factory=PartAnswer)
    steps: tuple[PartAnswer, ...] = ()
    evidence: EvidenceAnswer = ""
    spans: tuple[Span, ...] = ()
    correction: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """grades: doc_id -> grade. order: doc_ids best first, those in one tuple are ties; passages
    may be left out of it."""

    grades: dict[str, int] = field(default_factory=dict)
    reasons: tuple[ReasonAnswer, ...] = ()
    order: tuple[tuple[str, ...], ...] = ()
    comment: str = ""
    flagged: bool = False

    def find_reason(self, doc_id: str, system: str) -> ReasonAnswer | None:
        return next((r for r in self.reasons if (r.doc_id, r.system) == (doc_id, system)), None)

    @property
    def ranks(self) -> dict[str, int]:
        """doc_id -> rank, ties sharing the best of their places."""
        ranks, place = {}, 1
        for tier in self.order:
            ranks.update(dict.fromkeys(tier, place))
            place += len(tier)
        return ranks


_ADAPTER = TypeAdapter(Answers)


def dump_answers(answers: Answers) -> str:
    """The answers as one JSON object; load_answers gives equal ones back."""
    return _ADAPTER.dump_json(answers).decode()


def load_answers(text: str | bytes) -> Answers:
    """Answers as they were stored."""
    return _ADAPTER.validate_json(text)


def read_answers(found: object, where: str = "answers") -> Answers:
    """Answers from outside. Raises InputError naming the field that is not one."""
    try:
        return _ADAPTER.validate_python(found, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(
            f"expected answers, got {first['msg'].lower()} at {place}; correct it", where=where
        ) from error
