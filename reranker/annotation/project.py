"""Annotation projects: what is asked of people, and on what scale.

Takes YAML text or values, returns `Project` records that were checked. Knows no store, no item
and nobody's answers.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import Literal, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from reranker.errors import InputError

Question = Literal["grade", "verdict", "steps", "evidence", "order", "comment"]
QUESTIONS: tuple[Question, ...] = get_args(Question)
Role = Literal["annotator", "adjudicator", "owner"]
ROLES: tuple[Role, ...] = get_args(Role)

MAX_YAML_CHARS = 200_000
MAX_NAME_CHARS = 120
MAX_GUIDELINES_CHARS = 50_000
MAX_GRADES = 10
MAX_REASONS = 9
MAX_OVERLAP = 50
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """One grade of a project's scale. value: 0 for not relevant, rising."""

    value: int
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a justification may be wrong. name: as stored; label: as read."""

    name: str
    label: str


SCALE = (
    Grade(value=0, label="not relevant"),
    Grade(value=1, label="related"),
    Grade(value=2, label="relevant"),
    Grade(value=3, label="perfectly relevant"),
)
REASONS = (
    Reason(name="unsupported", label="not supported by the passage"),
    Reason(name="misquote", label="misquotes"),
    Reason(name="contradicts_ranking", label="contradicts the ranking"),
    Reason(name="misses_point", label="misses the point"),
    Reason(name="unsafe", label="unsafe"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What is judged, by how many, and how.

    overlap: how many people judge each item. blind: scores, systems and the model's order stay
    hidden until an item is judged, and a justification until its passage has a grade. systems:
    whose justifications are shown, () for all. corpus: where the passages are from, for people.
    """

    project_id: str
    name: str
    guidelines: str = ""
    corpus: str = ""
    scale: tuple[Grade, ...] = SCALE
    questions: tuple[Question, ...] = QUESTIONS
    reasons: tuple[Reason, ...] = REASONS
    systems: tuple[str, ...] = ()
    overlap: int = 1
    blind: bool = True

    @property
    def grades(self) -> tuple[int, ...]:
        return tuple(grade.value for grade in self.scale)


_ADAPTER = TypeAdapter(Project)


def make_project_id(name: str) -> str:
    """A short id that begins like the name and is never given twice."""
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "project"
    return f"{stem}-{secrets.token_hex(3)}"


def check_project(project: Project) -> Project:
    """The project as it is. Raises InputError for the first thing that cannot work."""
    if not _ID.fullmatch(project.project_id):
        raise InputError(
            "expected project_id of small letters, digits and hyphens, got "
            f"{project.project_id[:40]!r}; change it"
        )
    _require_text("name", project.name, MAX_NAME_CHARS)
    if len(project.guidelines) > MAX_GUIDELINES_CHARS:
        raise InputError(
            f"expected guidelines of at most {MAX_GUIDELINES_CHARS:,} characters, got "
            f"{len(project.guidelines):,}; shorten them"
        )
    grades = list(project.grades)
    if grades != list(range(len(grades))) or not 2 <= len(grades) <= MAX_GRADES:
        raise InputError(
            f"expected a scale of 2 to {MAX_GRADES} grades counted from 0, got {grades}; "
            "list them in order"
        )
    if not project.questions or len(set(project.questions)) != len(project.questions):
        raise InputError("expected at least one question, each once; name what is asked")
    names = [reason.name for reason in project.reasons]
    if len(names) > MAX_REASONS or len(set(names)) != len(names):
        raise InputError(f"expected at most {MAX_REASONS} reasons, each once, got {names}")
    if not 1 <= project.overlap <= MAX_OVERLAP:
        raise InputError(
            f"expected an overlap from 1 to {MAX_OVERLAP}, got {project.overlap}; change it"
        )
    for text in (*names, *(r.label for r in project.reasons), *(g.label for g in project.scale)):
        _require_text("a label", text, MAX_NAME_CHARS)
    return project


def dump_project(project: Project) -> str:
    """The project as one JSON object; load_project gives an equal one back."""
    return _ADAPTER.dump_json(project).decode()


def load_project(text: str | bytes) -> Project:
    """A project as it was stored."""
    return _ADAPTER.validate_json(text)


def read_project(text: str, where: str = "project file") -> Project:
    """The project a YAML file describes; every field but name may be absent.

    Raises InputError for YAML that cannot be read, unknown fields or values that cannot work.
    """
    if len(text) > MAX_YAML_CHARS:
        raise InputError(f"expected at most {MAX_YAML_CHARS:,} characters; shorten it", where=where)
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        raise InputError(
            "expected a YAML file, got something that cannot be read; mend it there", where=place
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise InputError("expected fields with at least a name; add it", where=where)
    found.setdefault("project_id", make_project_id(found["name"]))
    try:
        project = _ADAPTER.validate_python(found, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"expected a project, got {first['msg'].lower()} at {place!r}; correct it", where=where
        ) from error
    return check_project(project)


def write_project(project: Project) -> str:
    """The project as a YAML file that read_project takes; a copy of it gets an id of its own."""
    fields = _ADAPTER.dump_python(project, mode="json")
    del fields["project_id"]
    return str(yaml.safe_dump(fields, allow_unicode=True, sort_keys=False))


def change_project(project: Project, **changes: object) -> Project:
    """A copy with these fields changed, checked."""
    return check_project(replace(project, **changes))  # type: ignore[arg-type]


def _require_text(field: str, text: str, limit: int) -> None:
    if not text.strip() or len(text) > limit or not text.isprintable():
        raise InputError(
            f"expected {field} as one line of 1 to {limit} characters, got {text[:40]!r}; change it"
        )
