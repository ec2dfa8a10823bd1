"""What people said: judgements in the store.

Takes submissions, returns judgements. A judgement is never changed: each save is a version of its
own, and one that began from an older version is kept beside the newer and marked as a conflict.
Who may read whose answers is asked in access.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from reranker.annotation.answers import dump_answers, load_answers
from reranker.annotation.assignments import Assignments, note_state
from reranker.annotation.checking import check_answers
from reranker.annotation.judgement import Judgement, Kind, Submission
from reranker.annotation.project import Project
from reranker.annotation.schema import JUDGEMENTS
from reranker.annotation.store import Store, tell_time
from reranker.errors import InputError

MAX_SECONDS = 3_600.0
MAX_KEY_CHARS = 80


class Judging:
    """Judgements over one store, and who has which items."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.assignments = Assignments(store)

    def save(self, submission: Submission) -> Judgement:
        """The judgement, which is on disk when this returns. Sent twice, it is saved once.

        Raises InputError for answers that do not fit the item.
        """
        project = self.store.get_project(submission.project_id)
        item = self.store.get_item(submission.project_id, submission.item_id)
        check_answers(project, item, submission.answers)
        if not 0 < len(submission.save_key) <= MAX_KEY_CHARS or submission.base_version < 0:
            raise InputError("expected a save key and the version begun from; open the item again")
        return self._save_once(submission)

    def _save_once(self, submission: Submission) -> Judgement:
        lane = _lane(submission.kind, submission.person)
        place = _in_lane(submission.project_id, submission.item_id, submission.kind, lane)
        with self.store.writing() as connection:
            if connection.dialect.name == "postgresql":
                # Two saves would draw the same version. SQLite's writers are alone anyway.
                key = f"{submission.item_id} {submission.kind} {lane}"
                lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(key))
                connection.execute(sa.select(lock))
            known = connection.execute(
                sa.select(JUDGEMENTS).where(place, JUDGEMENTS.c.save_key == submission.save_key)
            ).first()
            if known is not None:
                return _read(known)
            last = connection.scalar(sa.select(sa.func.max(JUDGEMENTS.c.version)).where(place)) or 0
            row: dict[str, Any] = {
                "project_id": submission.project_id,
                "item_id": submission.item_id,
                "person": submission.person,
                "kind": submission.kind,
                "lane": lane,
                "version": last + 1,
                "base_version": submission.base_version,
                "conflict": submission.base_version != last,
                "status": submission.status,
                "answers": dump_answers(submission.answers),
                "seconds": min(max(submission.seconds, 0.0), MAX_SECONDS),
                "save_key": submission.save_key,
                "created": tell_time(),
            }
            connection.execute(JUDGEMENTS.insert().values(**row))
            if submission.kind == "annotation":
                note_state(
                    connection,
                    submission.project_id,
                    submission.person,
                    submission.item_id,
                    submission.status,
                )
            saved = connection.execute(
                sa.select(JUDGEMENTS).where(place, JUDGEMENTS.c.version == last + 1)
            ).one()
        return _read(saved)

    def change_project(self, project: Project) -> None:
        """Other settings for a project that exists.

        Raises InputError where gold answers would not fit it any more, or where something was
        judged already and the number of grades differs or one of the reasons is gone.
        """
        before = self.store.get_project(project.project_id)
        fields = ("scale", "reasons", "systems")
        if any(getattr(before, name) != getattr(project, name) for name in fields):
            if self._has_judgements(project.project_id):
                _require_same(before, project)
            for item in self.store.list_items(project.project_id):
                if item.gold is not None:
                    check_answers(project, item, item.gold)
        self.store.update_project(project)

    def _has_judgements(self, project_id: str) -> bool:
        query = sa.select(JUDGEMENTS.c.number).where(JUDGEMENTS.c.project_id == project_id).limit(1)
        with self.store.reading.begin() as connection:
            return connection.scalar(query) is not None

    def history(
        self,
        project_id: str,
        item_id: str | None = None,
        *,
        person: str | None = None,
        kind: Kind | None = None,
    ) -> tuple[Judgement, ...]:
        """Every version in the order they were saved, of one item, person or kind, or of all."""
        query = sa.select(JUDGEMENTS).where(JUDGEMENTS.c.project_id == project_id)
        for column, value in (("item_id", item_id), ("person", person), ("kind", kind)):
            if value is not None:
                query = query.where(JUDGEMENTS.c[column] == value)
        with self.store.reading.begin() as connection:
            rows = connection.execute(query.order_by(JUDGEMENTS.c.number)).all()
        return tuple(_read(row) for row in rows)

    def latest(self, project_id: str, item_id: str, kind: Kind, person: str) -> Judgement | None:
        """The newest version of a person's judgement, or of the item's adjudication."""
        place = _in_lane(project_id, item_id, kind, _lane(kind, person))
        query = sa.select(JUDGEMENTS).where(place).order_by(JUDGEMENTS.c.version.desc()).limit(1)
        with self.store.reading.begin() as connection:
            row = connection.execute(query).first()
        return None if row is None else _read(row)


def current_judgements(history: Iterable[Judgement]) -> dict[tuple[str, Kind, str], Judgement]:
    """The newest version by (item_id, kind, person), "" as the person of an adjudication; those
    that were skipped are left out."""
    newest: dict[tuple[str, Kind, str], Judgement] = {}
    for judgement in history:
        key = (judgement.item_id, judgement.kind, _lane(judgement.kind, judgement.person))
        if key not in newest or newest[key].version < judgement.version:
            newest[key] = judgement
    return {key: judgement for key, judgement in newest.items() if judgement.status == "done"}


def _require_same(before: Project, after: Project) -> None:
    gone = {reason.name for reason in before.reasons} - {reason.name for reason in after.reasons}
    if len(before.scale) != len(after.scale) or gone:
        raise InputError(
            f"expected {len(before.scale)} grades and the reasons there were, since people have "
            f"judged by them, got {len(after.scale)} grades"
            + (f" and no {', '.join(sorted(gone))}" if gone else "")
            + "; change labels, add reasons, or make another project"
        )


def _lane(kind: Kind, person: str) -> str:
    """Whose versions are counted together: a person's, or all adjudicators'."""
    return person if kind == "annotation" else ""


def _in_lane(project_id: str, item_id: str, kind: Kind, lane: str) -> sa.ColumnElement[bool]:
    columns = JUDGEMENTS.c
    return (
        (columns.project_id == project_id)
        & (columns.item_id == item_id)
        & (columns.kind == kind)
        & (columns.lane == lane)
    )


def _read(row: Any) -> Judgement:
    return Judgement(
        project_id=row.project_id,
        item_id=row.item_id,
        person=row.person,
        kind=row.kind,
        version=row.version,
        base_version=row.base_version,
        conflict=row.conflict,
        status=row.status,
        answers=load_answers(row.answers),
        seconds=row.seconds,
        created=row.created,
    )
