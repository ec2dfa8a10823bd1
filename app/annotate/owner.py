"""What an owner does with a project: creates it, sets it up, adds items, gives roles and items.

Takes values of controls and who sent them, returns what came of it and the board that shows it.
Every act asks for the role it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.annotate.desk import name_person
from app.annotate.events import AnnotateEvents, Board
from app.annotate.form import ProjectForm, apply_form
from app.html import render_message
from app.messages import Message, count, explain_error
from app.rank.events import SKIP, find_key
from reranker.annotation.access import OWNERS, require_role
from reranker.annotation.importing import (
    import_corpus,
    import_runs,
    import_trace_files,
    import_traces,
)
from reranker.annotation.item import Item
from reranker.annotation.item_files import read_item_file
from reranker.annotation.project import Project, Role, make_project_id, read_project
from reranker.errors import DearError, InputError
from reranker.textfile import read_text

SOURCES = [
    ("Rankings of this page", "history"),
    ("Saved traces (.json)", "traces"),
    ("Items or candidate lists (.jsonl)", "items"),
    ("A corpus with queries, BM25's best", "corpus"),
    ("TREC runs over that corpus", "runs"),
]


class OwnerEvents:
    """The Project panel's events over the tab's."""

    def __init__(self, events: AnnotateEvents) -> None:
        self.events, self.desk = events, events.desk
        self.library, self.sessions = events.library, events.sessions

    def create(self, request: gr.Request, yaml_file: str | None, *values: Any) -> tuple[Any, ...]:
        """A new project: an error beside the button, then the board that shows it."""
        try:
            if yaml_file:
                project = read_project(read_text(Path(yaml_file)), Path(yaml_file).name)
            else:
                name = str(values[0] or "")
                blank = Project(project_id=make_project_id(name), name=name)
                project = apply_form(blank, ProjectForm(*values))
            self.desk.judging.store.create_project(project, name_person(request))
        except DearError as error:
            return _explain(error, [yaml_file] if yaml_file else []), *Board()
        told = f"Created {project.name}. Add items below, and people who judge."
        return _tell(told), *self.events.show(project.project_id, "judge", request)

    def write_settings(self, request: gr.Request, project_id: str, *values: Any) -> tuple[Any, ...]:
        """Other settings for the project; the desk shows them at once."""
        try:
            self._require_owner(project_id, request)
            judging = self.desk.judging
            project = judging.store.get_project(project_id)
            judging.change_project(apply_form(project, ProjectForm(*values)))
        except DearError as error:
            return render_message(explain_error(error)), *Board()
        return _tell("Settings saved."), *self.events.show(project_id, "judge", request)

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
            self._require_owner(project_id, request)
            items = self._gather(source, files or (), corpus, int(depth or 0), find_key(request))
            added = self.desk.judging.store.add_items(project_id, items)
        except DearError as error:
            return _explain(error, files or ()), *Board()
        told = f"Added {count(added, 'item')}."
        if added < len(items):
            told += f" {len(items) - added:,} were there already."
        return _tell(told), *self.events.show(project_id, "judge", request)

    def set_role(
        self, project_id: str, person: str, role: Role | str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Gives a role or takes it, and with it what they have not judged: what came of it, then
        the list of people."""
        name = person.strip()

        def give() -> str:
            if role == "none":
                freed = self.desk.judging.assignments.dismiss(project_id, name)
                return f"{name} has no role any more; {count(freed, 'item')} taken back."
            self.desk.judging.store.set_role(project_id, name, role)  # type: ignore[arg-type]
            return f"{name}: {role}."

        return self._change_people(project_id, request, give)

    def give_items(
        self, project_id: str, person: str, number: float | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Gives somebody the first items that are not theirs."""

        def give() -> str:
            name = self._require_member(project_id, person)
            given = self.desk.judging.assignments.assign_more(project_id, name, int(number or 0))
            return f"{count(given, 'item')} given to {name}."

        return self._change_people(project_id, request, give)

    def give_gold(
        self, project_id: str, person: str, _number: float | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Gives somebody all items with gold answers."""

        def give() -> str:
            name, judging = self._require_member(project_id, person), self.desk.judging
            gold = judging.store.list_gold(project_id)
            if not gold:
                raise InputError("expected gold items, got none; make some first")
            given = judging.assignments.assign(project_id, name, gold)
            return f"{count(given, 'gold item')} of {len(gold):,} given to {name}, new to them."

        return self._change_people(project_id, request, give)

    def take_back(
        self, project_id: str, person: str, _number: float | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Takes back what somebody has not judged."""

        def take() -> str:
            name = person.strip()
            freed = self.desk.judging.assignments.release(project_id, name)
            return f"{count(freed, 'item')} taken back from {name}."

        return self._change_people(project_id, request, take)

    def _change_people(
        self, project_id: str, request: gr.Request, change: Callable[[], str]
    ) -> tuple[Any, ...]:
        try:
            self._require_owner(project_id, request)
            told = change()
        except DearError as error:
            return render_message(explain_error(error)), SKIP
        return _tell(told), self.events.list_people(project_id)

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

    def _require_owner(self, project_id: str, request: gr.Request) -> None:
        if not project_id:
            raise InputError("expected a project, got none; create or choose one")
        require_role(self.desk.judging, project_id, name_person(request), OWNERS)

    def _require_member(self, project_id: str, person: str) -> str:
        name = person.strip()
        if self.desk.judging.store.find_role(project_id, name) is None:
            raise InputError(
                f"expected somebody with a role in the project, got {name[:40]!r}; give one first"
            )
        return name


def _explain(error: DearError, files: Sequence[str]) -> str:
    """The error without the uploads' places on the server."""
    message = explain_error(error)
    text = message.text
    for path in files:
        text = text.replace(path, Path(path).name)
    return render_message(Message(text=text, tone=message.tone))


def _tell(text: str) -> str:
    return render_message(Message(text=text, tone="done"))
