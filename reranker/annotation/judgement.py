"""Judgements: answers as they were saved, each a version of its own.

Takes nothing and returns nothing: the records the store gives and takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reranker.annotation.answers import Answers
from reranker.annotation.project import Project, Role

Status = Literal["done", "skipped"]
Kind = Literal["annotation", "adjudication"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What a page sends to be saved.

    base_version: the version the person saw, 0 for none. save_key: drawn by the page once for one
    save, so that a repeated attempt is not a second judgement. seconds: spent on it.
    """

    project_id: str
    item_id: str
    person: str
    answers: Answers
    save_key: str
    base_version: int = 0
    status: Status = "done"
    kind: Kind = "annotation"
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A saved submission. version: counted from 1 for each person and item, and for each item's
    adjudication. conflict: another version was saved since the one this began from; both stay.
    created: UTC, ISO 8601."""

    project_id: str
    item_id: str
    person: str
    kind: Kind
    version: int
    base_version: int
    conflict: bool
    status: Status
    answers: Answers
    seconds: float
    created: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A person's role in a project."""

    person: str
    role: Role


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectView:
    """A project as one person sees it."""

    project: Project
    role: Role
    items: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonProgress:
    """How far one person is. assigned: items given so far; available: items still to be had.
    pace_seconds: median seconds of a judged item, None before the first."""

    person: str
    assigned: int
    done: int
    skipped: int
    available: int
    pace_seconds: float | None

    @property
    def left(self) -> int:
        return self.assigned - self.done + self.available

    @property
    def remaining_seconds(self) -> float | None:
        return None if self.pace_seconds is None else self.pace_seconds * self.left
