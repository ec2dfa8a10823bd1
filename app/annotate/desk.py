"""What the judging desk asks the server: an item to judge, and to save what was said of it.

Takes what annotate.js sends and who sent it; returns JSON-ready dicts. Every answer says
whether it worked, so that silence always means that nothing was saved. Draws nothing itself.
"""

from __future__ import annotations

import threading
from typing import Any

from app.annotate.html import ItemView, render_item
from app.annotate.html_parts import render_progress
from app.annotate.wire import read_wire, write_wire
from app.messages import explain_error
from app.people import find_person
from reranker.annotation.access import (
    OWNERS,
    READERS,
    AccessError,
    read_for_adjudication,
    require_role,
)
from reranker.annotation.answers import Answers
from reranker.annotation.checking import list_shown
from reranker.annotation.item import Item
from reranker.annotation.judgement import Judgement, Kind, Submission
from reranker.annotation.judging import Judging
from reranker.annotation.push import start_pushing
from reranker.annotation.report import find_disagreements
from reranker.annotation.store import Store
from reranker.errors import DearError, InputError

Told = dict[str, Any]
MAX_SENT_CHARS = 2_000_000


class Desk:
    """The store behind the Annotate tab, opened when it is first wanted."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._judging: Judging | None = None
        self._pusher: Any = None
        self._lock = threading.Lock()

    @property
    def judging(self) -> Judging:
        """Raises InputError where the database cannot be used; the next call tries again."""
        with self._lock:
            if self._judging is None:
                store = Store(self._url)
                # Where a dataset is named, an empty store takes back what was pushed there last.
                self._pusher = start_pushing(store)
                self._judging = Judging(store)
            return self._judging

    def open_item(self, sent: Any, request: Any) -> Told:
        """The item a page goes to: sent["go"] says which, from sent["item"]."""
        try:
            return self._open(_read_text(sent, "project"), sent, name_person(request))
        except DearError as error:
            return {"error": explain_error(error).text}

    def save(self, sent: Any, request: Any) -> Told:
        """Saves a judgement; it is on disk when the answer leaves."""
        try:
            return self._save(_read_text(sent, "project"), sent, name_person(request))
        except DearError as error:
            return {"error": explain_error(error).text}

    def mark_gold(self, sent: Any, request: Any) -> Told:
        """An owner's saved answers become the item's gold ones, or are so no more."""
        try:
            return self._mark_gold(_read_text(sent, "project"), sent, name_person(request))
        except DearError as error:
            return {"error": explain_error(error).text}

    def _mark_gold(self, project_id: str, sent: Any, person: str) -> Told:
        require_role(self.judging, project_id, person, OWNERS)
        kind: Kind = "adjudication" if sent.get("mode") == "adjudicate" else "annotation"
        item_id, wanted = _read_text(sent, "item"), sent.get("gold") is True
        latest = self.judging.latest(project_id, item_id, kind, person)
        if wanted and (latest is None or latest.status != "done"):
            raise InputError("expected a judgement that was saved, got none; save it first")
        answers = latest.answers if wanted and latest else None
        self.judging.store.set_gold(project_id, item_id, answers, person)
        return {"gold": wanted}

    def _open(self, project_id: str, sent: Any, person: str) -> Told:
        kind: Kind = "adjudication" if sent.get("mode") == "adjudicate" else "annotation"
        roles = READERS if kind == "adjudication" else ()
        role = require_role(self.judging, project_id, person, roles)
        item_id = self._find(project_id, kind, sent, person)
        progress = render_progress(self.judging.assignments.progress(project_id, person))
        if item_id is None:
            return {"item": None, "progress": progress}
        item = self.judging.store.get_item(project_id, item_id)
        project = self.judging.store.get_project(project_id)
        latest = self.judging.latest(project_id, item_id, kind, person)
        others: tuple[Judgement, ...] = ()
        if kind == "adjudication":
            others = read_for_adjudication(self.judging, project_id, item_id, person)
        answers = latest.answers if latest else Answers()
        view = ItemView(
            project=project,
            item=item,
            person=person,
            kind=kind,
            others=others,
            reveal=not project.blind or bool(latest and latest.status == "done"),
            owner=role in OWNERS,
        )
        return {
            "item": item_id,
            "html": render_item(view),
            "answers": write_wire(item, list_shown(project, item), answers),
            "version": latest.version if latest else 0,
            "status": latest.status if latest else "",
            "conflict": bool(latest and latest.conflict),
            "person": person,
            "grades": list(project.grades),
            "reasons": [reason.name for reason in project.reasons],
            "progress": progress,
        }

    def _find(self, project_id: str, kind: Kind, sent: Any, person: str) -> str | None:
        here, go = str(sent.get("item") or ""), sent.get("go")
        assignments = self.judging.assignments
        if kind == "adjudication":
            return self._find_disputed(project_id, person, here, go)
        if go == "here" and here and assignments.has_assigned(project_id, person, here):
            return here
        if go in ("previous", "following"):
            offset = -1 if go == "previous" else 1
            found = assignments.neighbour(project_id, person, here, offset)
            return found or here or None
        if go == "skipped":
            return assignments.first_skipped(project_id, person) or here or None
        return assignments.next_item(project_id, person, here)

    def _find_disputed(self, project_id: str, person: str, here: str, go: Any) -> str | None:
        """Through the items people differ in; "next" goes to one that nobody has decided. What the
        adjudicator is still to judge without the others is left out."""
        own = self.judging.assignments.list_open(project_id, person)
        queries = self.judging.store.list_queries(project_id)
        listed = find_disagreements(queries, self.judging.history(project_id))
        found = [disagreement for disagreement in listed if disagreement.item_id not in own]
        ids = [disagreement.item_id for disagreement in found]
        if go == "here" and here:
            return here
        place = ids.index(here) if here in ids else -1
        if go == "previous":
            return ids[max(place - 1, 0)] if ids else None
        if go == "following":
            return ids[min(place + 1, len(ids) - 1)] if ids else None
        open_ids = [d.item_id for d in found if not d.adjudicated]
        behind = [item_id for item_id in open_ids if ids.index(item_id) > place]
        return next(iter([*behind, *open_ids]), None)

    def _save(self, project_id: str, sent: Any, person: str) -> Told:
        kind: Kind = "adjudication" if sent.get("mode") == "adjudicate" else "annotation"
        require_role(self.judging, project_id, person, READERS if kind == "adjudication" else ())
        item = self.judging.store.get_item(project_id, _read_text(sent, "item"))
        if kind == "adjudication":
            read_for_adjudication(self.judging, project_id, item.item_id, person)
        judgement = self.judging.save(self._read(project_id, item, kind, sent, person))
        progress = self.judging.assignments.progress(project_id, person)
        return {
            "saved": judgement.created,
            "version": judgement.version,
            "conflict": judgement.conflict,
            "status": judgement.status,
            "progress": render_progress(progress),
        }

    def _read(self, project_id: str, item: Item, kind: Kind, sent: Any, person: str) -> Submission:
        project = self.judging.store.get_project(project_id)
        version, seconds = sent.get("version"), sent.get("seconds")
        if not isinstance(version, int) or not isinstance(seconds, int | float):
            raise InputError("expected a version and seconds, got something else; reload the page")
        return Submission(
            project_id=project_id,
            item_id=item.item_id,
            person=person,
            kind=kind,
            answers=read_wire(item, list_shown(project, item), sent.get("answers")),
            save_key=_read_text(sent, "save_key"),
            base_version=version,
            status="skipped" if sent.get("status") == "skipped" else "done",
            seconds=float(seconds),
        )


def _read_text(sent: Any, name: str) -> str:
    value = sent.get(name) if isinstance(sent, dict) else None
    if not isinstance(value, str) or len(value) > MAX_SENT_CHARS:
        raise InputError(f"expected {name} as text, got something else; reload the page")
    return value


def name_person(request: Any) -> str:
    """Who sent an event. Raises AccessError for nobody."""
    person = find_person(request)
    if not person:
        raise AccessError("expected somebody who has logged in, got nobody; log in again")
    return person
