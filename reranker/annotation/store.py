"""Projects, people and items in a database.

Takes records, returns records; what a method returns from was committed. Knows nothing of pages.
Who judges what, and what they said, is in judging.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa

from reranker.annotation.answers import Answers
from reranker.annotation.checking import check_answers
from reranker.annotation.database import open_database
from reranker.annotation.item import Item, dump_item, load_item
from reranker.annotation.judgement import Member, ProjectView
from reranker.annotation.project import (
    ROLES,
    Project,
    Role,
    check_project,
    dump_project,
    load_project,
)
from reranker.annotation.schema import ITEMS, PEOPLE, PROJECTS
from reranker.errors import InputError

MAX_ITEMS = 100_000
MAX_PERSON_CHARS = 120
SYSTEMS_AMONG = 200


class Store:
    """Every project of one database. Safe to use from several threads and processes."""

    def __init__(self, url: str | None = None) -> None:
        """Raises InputError for a database that cannot be used."""
        self.engine = open_database(url)
        self.reading = self.engine.execution_options(reads=True)
        # Writers of one SQLite file wait for each other by sleeping and asking again; those of
        # this process take turns at a lock instead, which wakes the next one at once.
        one_writer = self.engine.dialect.name == "sqlite"
        self._turn: Any = threading.Lock() if one_writer else nullcontext()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes; it is committed, and on disk, where the block ends."""
        with self._turn, self.engine.begin() as connection:
            yield connection

    def create_project(self, project: Project, owner: str) -> None:
        """Raises InputError for a project that cannot work or whose id is taken."""
        check_project(project)
        _check_person(owner)
        with self.writing() as connection:
            if _has_project(connection, project.project_id):
                raise InputError(
                    f"expected a new project_id, got {project.project_id!r} again; choose another"
                )
            row = {"project_id": project.project_id, "settings": dump_project(project)}
            connection.execute(PROJECTS.insert().values(**row, created=tell_time()))
            connection.execute(
                PEOPLE.insert().values(project_id=project.project_id, person=owner, role="owner")
            )

    def update_project(self, project: Project) -> None:
        """Other settings for a project that exists; what was judged stays as it is."""
        check_project(project)
        with self.writing() as connection:
            found = connection.execute(
                PROJECTS.update()
                .where(PROJECTS.c.project_id == project.project_id)
                .values(settings=dump_project(project))
            )
            if not found.rowcount:
                raise _unknown_project(project.project_id)

    def get_project(self, project_id: str) -> Project:
        """Raises InputError for a project that is not there."""
        with self.reading.begin() as connection:
            query = sa.select(PROJECTS.c.settings).where(PROJECTS.c.project_id == project_id)
            settings = connection.scalar(query)
        if settings is None:
            raise _unknown_project(project_id)
        return load_project(settings)

    def list_projects(self, person: str | None = None) -> tuple[ProjectView, ...]:
        """The projects a person has a role in, the oldest first; None: all, as an owner sees
        them."""
        counts = (
            sa.select(ITEMS.c.project_id, sa.func.count().label("item_count"))
            .group_by(ITEMS.c.project_id)
            .subquery()
        )
        role = PEOPLE.c.role if person is not None else sa.literal("owner").label("role")
        query = (
            sa.select(PROJECTS.c.settings, role, sa.func.coalesce(counts.c.item_count, 0))
            .select_from(PROJECTS)
            .outerjoin(counts, counts.c.project_id == PROJECTS.c.project_id)
            .order_by(PROJECTS.c.created, PROJECTS.c.project_id)
        )
        if person is not None:
            mine = (PEOPLE.c.project_id == PROJECTS.c.project_id) & (PEOPLE.c.person == person)
            query = query.join(PEOPLE, mine)
        with self.reading.begin() as connection:
            rows = connection.execute(query).all()
        return tuple(
            ProjectView(project=load_project(settings), role=role, items=items)
            for settings, role, items in rows
        )

    def set_role(self, project_id: str, person: str, role: Role | None) -> None:
        """Gives a person a role, or none any more; what they judged stays.

        Raises InputError where nobody would own the project any longer.
        """
        _check_person(person)
        if role is not None and role not in ROLES:
            raise InputError(f"expected a role among {', '.join(ROLES)}, got {role!r}; choose one")
        mine = (PEOPLE.c.project_id == project_id) & (PEOPLE.c.person == person)
        with self.writing() as connection:
            if not _has_project(connection, project_id):
                raise _unknown_project(project_id)
            connection.execute(PEOPLE.delete().where(mine))
            if role is not None:
                connection.execute(
                    PEOPLE.insert().values(project_id=project_id, person=person, role=role)
                )
            owners = (PEOPLE.c.project_id == project_id) & (PEOPLE.c.role == "owner")
            if not connection.scalar(sa.select(sa.func.count()).where(owners)):
                raise InputError("expected an owner to remain, got none; name another owner first")

    def find_role(self, project_id: str, person: str) -> Role | None:
        """A person's role, None for those who have none."""
        query = sa.select(PEOPLE.c.role).where(
            PEOPLE.c.project_id == project_id, PEOPLE.c.person == person
        )
        with self.reading.begin() as connection:
            role: Role | None = connection.scalar(query)
        return role

    def list_people(self, project_id: str) -> tuple[Member, ...]:
        """Everybody with a role, by name."""
        query = (
            sa.select(PEOPLE.c.person, PEOPLE.c.role)
            .where(PEOPLE.c.project_id == project_id)
            .order_by(PEOPLE.c.person)
        )
        with self.reading.begin() as connection:
            rows = connection.execute(query).all()
        return tuple(Member(person=person, role=role) for person, role in rows)

    def add_items(self, project_id: str, items: Iterable[Item]) -> int:
        """Adds the items whose item_id is not there yet and says how many these were.

        Raises InputError for an unknown project, gold answers that do not fit it, or more than
        MAX_ITEMS.
        """
        project = self.get_project(project_id)
        wanted = {item.item_id: item for item in items}
        for item in wanted.values():
            if item.gold is not None:
                check_answers(project, item, item.gold)
        with self.writing() as connection:
            here = ITEMS.c.project_id == project_id
            known = set(connection.scalars(sa.select(ITEMS.c.item_id).where(here)))
            new = [item for item_id, item in wanted.items() if item_id not in known]
            if len(known) + len(new) > MAX_ITEMS:
                raise InputError(
                    f"expected at most {MAX_ITEMS:,} items in a project, got "
                    f"{len(known) + len(new):,}; make another project"
                )
            if new:
                last = connection.scalar(sa.select(sa.func.max(ITEMS.c.position)).where(here))
                start = 0 if last is None else last + 1
                connection.execute(ITEMS.insert(), _list_rows(project_id, new, start))
        return len(new)

    def get_item(self, project_id: str, item_id: str) -> Item:
        """Raises InputError for an item that is not there."""
        query = sa.select(ITEMS.c.body).where(
            ITEMS.c.project_id == project_id, ITEMS.c.item_id == item_id
        )
        with self.reading.begin() as connection:
            body = connection.scalar(query)
        if body is None:
            raise InputError(f"expected an item of this project, got {item_id[:40]!r}; reload")
        return load_item(body)

    def list_items(self, project_id: str) -> tuple[Item, ...]:
        """Every item in the order they were added."""
        query = (
            sa.select(ITEMS.c.body)
            .where(ITEMS.c.project_id == project_id)
            .order_by(ITEMS.c.position)
        )
        with self.reading.begin() as connection:
            return tuple(load_item(body) for body in connection.scalars(query))

    def set_gold(self, project_id: str, item_id: str, gold: Answers | None, by: str = "") -> None:
        """Makes these answers the item's gold ones, or takes them away; by: who judged so.

        Raises InputError for an item that is not there, or answers that do not fit it.
        """
        item = self.get_item(project_id, item_id)
        if gold is not None:
            check_answers(self.get_project(project_id), item, gold)
        changed = replace(item, gold=gold, gold_by=by if gold is not None else "")
        here = (ITEMS.c.project_id == project_id) & (ITEMS.c.item_id == item_id)
        with self.writing() as connection:
            connection.execute(ITEMS.update().where(here).values(body=dump_item(changed)))

    def list_gold(self, project_id: str) -> tuple[str, ...]:
        """The items with gold answers."""
        items = self.list_items(project_id)
        return tuple(item.item_id for item in items if item.gold is not None)

    def list_systems(self, project_id: str) -> tuple[str, ...]:
        """The systems with justifications among the first SYSTEMS_AMONG items, by name."""
        query = (
            sa.select(ITEMS.c.body)
            .where(ITEMS.c.project_id == project_id)
            .order_by(ITEMS.c.position)
            .limit(SYSTEMS_AMONG)
        )
        with self.reading.begin() as connection:
            items = [load_item(body) for body in connection.scalars(query)]
        return tuple(sorted({shown.system for item in items for shown in item.reasonings}))

    def list_queries(self, project_id: str) -> dict[str, str]:
        """item_id -> the query's text, in the order they were added."""
        return {item.item_id: item.query.text for item in self.list_items(project_id)}


def tell_time() -> str:
    """Now, UTC, ISO 8601 with microseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def _list_rows(project_id: str, items: Sequence[Item], start: int) -> list[dict[str, object]]:
    return [
        {
            "project_id": project_id,
            "item_id": item.item_id,
            "position": position,
            "taken": 0,
            "body": dump_item(item),
        }
        for position, item in enumerate(items, start=start)
    ]


def _has_project(connection: sa.Connection, project_id: str) -> bool:
    query = sa.select(PROJECTS.c.project_id).where(PROJECTS.c.project_id == project_id)
    return connection.scalar(query) is not None


def _check_person(person: str) -> None:
    if not person.strip() or len(person) > MAX_PERSON_CHARS or not person.isprintable():
        raise InputError(
            f"expected a name of 1 to {MAX_PERSON_CHARS} characters, got {person[:40]!r}; change it"
        )


def _unknown_project(project_id: str) -> InputError:
    return InputError(f"expected a project that is here, got {project_id[:80]!r}; choose another")
