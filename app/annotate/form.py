"""A project's settings as the controls of a form hold them, and back.

Takes a `Project` or the values of a form, returns the other. The scale and the reasons are text,
one a line. What cannot work is refused in words.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reranker.annotation.project import QUESTIONS, Grade, Project, Reason, change_project
from reranker.errors import InputError

MAX_LINES = 50
_NUMBERED = re.compile(r"(\d+)\s*[:.)=]\s*(.*)")


class ProjectForm(NamedTuple):
    """The form: once its controls, then their values."""

    name: Any
    guidelines: Any
    questions: Any
    overlap: Any
    blind: Any
    scale: Any
    reasons: Any
    systems: Any


def write_form(project: Project) -> ProjectForm:
    """What the form shows of a project."""
    return ProjectForm(
        name=project.name,
        guidelines=project.guidelines,
        questions=list(project.questions),
        overlap=project.overlap,
        blind=project.blind,
        scale="\n".join(grade.label for grade in project.scale),
        reasons="\n".join(f"{reason.name}: {reason.label}" for reason in project.reasons),
        systems=list(project.systems),
    )


def apply_form(project: Project, form: ProjectForm) -> Project:
    """The project with what the form says. Raises InputError for what cannot work."""
    return change_project(
        project,
        name=str(form.name or "").strip(),
        guidelines=str(form.guidelines or ""),
        questions=tuple(question for question in QUESTIONS if question in (form.questions or ())),
        overlap=int(form.overlap or 0),
        blind=bool(form.blind),
        scale=read_scale(str(form.scale or "")),
        reasons=read_reasons(str(form.reasons or "")),
        systems=tuple(str(system) for system in form.systems or ()),
    )


def read_scale(text: str) -> tuple[Grade, ...]:
    """Labels, one a line, the first that of grade 0; a number before one has to be its grade."""
    grades = []
    for value, line in enumerate(_list_lines(text)):
        numbered = _NUMBERED.fullmatch(line)
        if numbered and int(numbered[1]) != value:
            raise InputError(
                f"expected grades counted from 0 in order, got {line[:40]!r} in place {value}; "
                "list them from 0 upward"
            )
        grades.append(Grade(value=value, label=numbered[2] if numbered else line))
    return tuple(grades)


def read_reasons(text: str) -> tuple[Reason, ...]:
    """`name: label`, one a line; a label alone gets a name made of it."""
    reasons = []
    for line in _list_lines(text):
        name, mark, label = (part.strip() for part in line.partition(":"))
        if not mark:
            name, label = re.sub(r"\W+", "_", line.lower()).strip("_") or line, line
        reasons.append(Reason(name=name, label=label))
    return tuple(reasons)


def _list_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_LINES:
        raise InputError(f"expected at most {MAX_LINES} lines, got {len(lines)}; leave some out")
    return lines
