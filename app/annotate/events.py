"""What happens around the judging desk: which project is open, and what the tab shows of it.

Takes values of controls and who sent them, returns what to show instead. The desk itself is
app/annotate/desk.py; what only owners do is app/annotate/owner.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from app.annotate.desk import Desk, name_person
from app.annotate.form import write_form
from app.annotate.html_agreement import render_people, render_projects_note
from app.annotate.html_parts import render_desk
from app.html import render_message, render_note
from app.library import Library
from app.messages import explain_error
from app.rank.events import SKIP
from app.session import Sessions
from reranker.annotation.access import READERS
from reranker.annotation.project import Project
from reranker.errors import DearError


class Board(NamedTuple):
    """The parts a chosen project changes: once the components, then what they get. From `name` to
    `systems` it is the project's form, in the order of `ProjectForm`."""

    projects: Any = SKIP
    who: Any = SKIP
    desk: Any = SKIP
    mode: Any = SKIP
    new: Any = SKIP
    manage: Any = SKIP
    name: Any = SKIP
    guidelines: Any = SKIP
    questions: Any = SKIP
    overlap: Any = SKIP
    blind: Any = SKIP
    scale: Any = SKIP
    reasons: Any = SKIP
    systems: Any = SKIP
    people: Any = SKIP
    agreement: Any = SKIP
    files: Any = SKIP


class AnnotateEvents:
    """The tab's events over one desk."""

    def __init__(self, library: Library, sessions: Sessions, desk: Desk) -> None:
        self.library, self.sessions, self.desk = library, sessions, desk

    def open(self, remembered: Any, request: gr.Request) -> Board:
        """The page was opened: the project it showed last, or the first there is."""
        return self._guard(lambda: self.show(str(remembered or ""), "judge", request))

    def choose(self, project_id: str | None, request: gr.Request) -> Board:
        """Another project."""
        return self._guard(lambda: self.show(project_id or "", "judge", request))

    def change_mode(self, project_id: str | None, mode: str, request: gr.Request) -> Board:
        """Judging or adjudicating."""
        return self._guard(lambda: self.show(project_id or "", mode, request))

    def show(self, project_id: str, mode: str, request: gr.Request, item_id: str = "") -> Board:
        """The board of a project of theirs, the first one where this is none; the desk opens at
        this item. Raises DearError."""
        person, store = name_person(request), self.desk.judging.store
        views = store.list_projects(person)
        chosen = next(
            (v for v in views if v.project.project_id == project_id), views[0] if views else None
        )
        choices = [(v.project.name, v.project.project_id) for v in views]
        if chosen is None:
            return Board(
                projects=gr.Dropdown(choices=[], value=None),
                who=render_projects_note(person, None, 0),
                desk=render_note("No project yet: create one under Project."),
                mode=gr.Radio(visible=False),
                new=gr.Accordion(open=True),
                manage=gr.Column(visible=False),
            )
        reads, project = chosen.role in READERS, chosen.project
        mode = mode if reads else "judge"
        return Board(
            projects=gr.Dropdown(choices=choices, value=project.project_id),
            who=render_projects_note(person, chosen.role, chosen.items),
            desk=render_desk(project, person, mode, chosen.items, item_id),
            mode=gr.Radio(visible=reads, value=mode),
            new=gr.Accordion(open=False),
            manage=gr.Column(visible=chosen.role == "owner"),
            people=self.list_people(project.project_id) if reads else "",
            agreement="",
            files=gr.File(value=None, visible=False),
            **self._show_form(project) if chosen.role == "owner" else {},
        )

    def _show_form(self, project: Project) -> dict[str, Any]:
        known = self.desk.judging.store.list_systems(project.project_id)
        systems = sorted({*known, *project.systems})
        form = write_form(project)
        return form._replace(systems=gr.Dropdown(choices=systems, value=form.systems))._asdict()

    def list_people(self, project_id: str) -> str:
        """Who is in the project, and how far."""
        judging = self.desk.judging
        roles = {m.person: m.role for m in judging.store.list_people(project_id)}
        return render_people(judging.assignments.list_progress(project_id), roles)

    def _guard(self, show: Callable[[], Board]) -> Board:
        try:
            return show()
        except DearError as error:
            return Board(desk=render_message(explain_error(error)))
