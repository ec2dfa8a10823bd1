"""What happens around the judging desk: projects, people, items, agreement, exports.

Takes values of controls and who sent them, returns what to show instead. Every act asks for the
role it needs. The desk itself is app/annotate_desk.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.annotate_desk import Desk, name_person
from app.html import render_message, render_note
from app.html_agreement import render_people, render_projects_note
from app.html_annotate_parts import render_desk
from app.library import Library
from app.messages import Message, count, explain_error
from app.rank_events import SKIP, find_key
from app.session import Sessions
from reranker.annotation.access import OWNERS, READERS, require_role
from reranker.annotation.importing import (
    import_corpus,
    import_runs,
    import_trace_files,
    import_traces,
)
from reranker.annotation.item import Item
from reranker.annotation.item_files import read_item_file
from reranker.annotation.project import (
    Project,
    Role,
    change_project,
    check_project,
    make_project_id,
    read_project,
)
from reranker.errors import DearError, InputError
from reranker.textfile import read_text

SOURCES = [
    ("Rankings of this page", "history"),
    ("Saved traces (.json)", "traces"),
    ("Items or candidate lists (.jsonl)", "items"),
    ("A corpus with queries, BM25's best", "corpus"),
    ("TREC runs over that corpus", "runs"),
]


class Board(NamedTuple):
    """The parts a chosen project changes."""

    projects: Any = SKIP
    who: Any = SKIP
    desk: Any = SKIP
    mode: Any = SKIP
    manage: Any = SKIP
    guidelines: Any = SKIP
    people: Any = SKIP
    agreement: Any = SKIP
    files: Any = SKIP


class AnnotateEvents:
    """The tab's events over one desk."""

    def __init__(self, library: Library, sessions: Sessions, desk: Desk) -> None:
        self.library, self.sessions, self.desk = library, sessions, desk

    def open(self, remembered: Any, request: gr.Request) -> Board:
        """The page was opened: the project it showed last, or the first there is."""
        return self._guard(lambda: self._show(str(remembered or ""), "judge", request))

    def choose(self, project_id: str | None, request: gr.Request) -> Board:
        """Another project."""
        return self._guard(lambda: self._show(project_id or "", "judge", request))

    def change_mode(self, project_id: str | None, mode: str, request: gr.Request) -> Board:
        """Judging or adjudicating."""
        return self._guard(lambda: self._show(project_id or "", mode, request))

    def create(
        self,
        name: str,
        guidelines: str,
        questions: Sequence[str],
        overlap: float | None,
        blind: bool,
        yaml_file: str | None,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """A new project: an error beside the button, then the board that shows it."""
        try:
            if yaml_file:
                project = read_project(read_text(Path(yaml_file)), Path(yaml_file).name)
            else:
                project = check_project(
                    Project(
                        project_id=make_project_id(name),
                        name=name.strip(),
                        guidelines=guidelines,
                        questions=tuple(questions),  # type: ignore[arg-type]
                        overlap=int(overlap or 0),
                        blind=blind,
                    )
                )
            self.desk.judging.store.create_project(project, name_person(request))
        except DearError as error:
            return render_message(explain_error(error)), *Board()
        told = f"Created {project.name}. Add items below, and people who judge."
        return _tell(told, "done"), *self._show(project.project_id, "judge", request)

    def write_guidelines(self, project_id: str, text: str, request: gr.Request) -> tuple[Any, ...]:
        """Other guidelines for the project; the desk shows them at once."""
        try:
            self._require(project_id, request, OWNERS)
            store = self.desk.judging.store
            store.update_project(change_project(store.get_project(project_id), guidelines=text))
        except DearError as error:
            return render_message(explain_error(error)), *Board()
        return _tell("Guidelines saved.", "done"), *self._show(project_id, "judge", request)

    def add_items(
        self,
        project_id: str,
        source: str,
        files: Sequence[str] | None,
        corpus: str,
        depth: float | None,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """Adds items: what came of it, then the board."""
        try:
            self._require(project_id, request, OWNERS)
            items = self._gather(source, files or (), corpus, int(depth or 0), find_key(request))
            added = self.desk.judging.store.add_items(project_id, items)
        except DearError as error:
            return _explain(error, files), *Board()
        told = f"Added {count(added, 'item')}."
        if added < len(items):
            told += f" {len(items) - added:,} were there already."
        return _tell(told, "done"), *self._show(project_id, "judge", request)

    def set_role(
        self, project_id: str, person: str, role: Role | str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Gives a role or takes it: what came of it, then the list of people."""
        try:
            self._require(project_id, request, OWNERS)
            chosen: Any = None if role == "none" else role
            self.desk.judging.store.set_role(project_id, person.strip(), chosen)
        except DearError as error:
            return render_message(explain_error(error)), SKIP
        return "", self._list_people(project_id)

    def _gather(
        self, source: str, files: Sequence[str], corpus: str, depth: int, key: str
    ) -> tuple[Item, ...]:
        paths = [Path(path) for path in files]
        if corpus not in [info.corpus_id for info in self.library.corpora]:
            raise InputError("expected a corpus of this server, got another; choose one")
        if source == "history":
            entries = self.sessions.history(key).entries
            if not entries:
                raise InputError("expected a ranking made on the Rank tab, got none; rank first")
            return import_traces([(entry.name, entry.trace) for entry in entries], depth)
        if source == "corpus":
            return import_corpus(corpus, depth)
        if not paths:
            raise InputError("expected at least one file, got none; choose some")
        if source == "traces":
            return import_trace_files(paths, depth)
        if source == "runs":
            return import_runs(paths, corpus, depth)
        return tuple(item for path in paths for item in read_item_file(path, depth))

    def _require(self, project_id: str, request: gr.Request, roles: Sequence[Role] = ()) -> Role:
        if not project_id:
            raise InputError("expected a project, got none; create or choose one")
        return require_role(self.desk.judging, project_id, name_person(request), roles)

    def _show(self, project_id: str, mode: str, request: gr.Request) -> Board:
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
                manage=gr.Column(visible=False),
            )
        reads = chosen.role in READERS
        mode = mode if reads else "judge"
        project = chosen.project
        return Board(
            projects=gr.Dropdown(choices=choices, value=project.project_id),
            who=render_projects_note(person, chosen.role, chosen.items),
            desk=render_desk(project, person, mode, chosen.items),
            mode=gr.Radio(visible=reads, value=mode),
            manage=gr.Column(visible=chosen.role == "owner"),
            guidelines=project.guidelines,
            people=self._list_people(project.project_id) if reads else "",
            agreement="",
            files=gr.File(value=None, visible=False),
        )

    def _list_people(self, project_id: str) -> str:
        judging = self.desk.judging
        roles = {m.person: m.role for m in judging.store.list_people(project_id)}
        return render_people(judging.assignments.list_progress(project_id), roles)

    def _guard(self, show: Callable[[], Board]) -> Board:
        try:
            return show()
        except DearError as error:
            return Board(desk=render_message(explain_error(error)))


def _explain(error: DearError, files: Sequence[str] | None) -> str:
    """The error without the uploads' places on the server."""
    message = explain_error(error)
    text = message.text
    for path in files or ():
        text = text.replace(path, Path(path).name)
    return render_message(Message(text=text, tone=message.tone))


def _tell(text: str, tone: Any) -> str:
    return render_message(Message(text=text, tone=tone))
