"""Who judges what: items given to people, and how far each of them is.

Takes a store, a project and a person; returns item ids and progress. An item goes to as many people
as the project's overlap says, those begun first. Knows nobody's answers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import sqlalchemy as sa

from reranker.annotation.judgement import PersonProgress, Status
from reranker.annotation.schema import ASSIGNMENTS, ITEMS, JUDGEMENTS, PEOPLE
from reranker.annotation.store import Store
from reranker.errors import InputError

PACE_OF = 50
"""Latest judged items that the pace is the median of."""


class Assignments:
    """Who has which items, over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def next_item(self, project_id: str, person: str, after: str = "") -> str | None:
        """The next item this person has not decided: one of theirs behind `after`, one of theirs
        before it, else a new one that fewer people than the overlap have. None: nothing left but
        what they skipped. A new one is theirs from now on."""
        overlap = self.store.get_project(project_id).overlap
        with self.store.writing() as connection:
            found = _find_open(connection, project_id, person, after)
            if found is not None:
                return found
            _lock_items(connection, project_id)
            taken = _find_free(connection, project_id, person, overlap)
            if taken is not None:
                _take(connection, project_id, person, [taken])
            return taken

    def assign(self, project_id: str, person: str, item_ids: Iterable[str]) -> int:
        """Gives a person these items whatever the overlap; says how many were new to them."""
        with self.store.writing() as connection:
            _lock_items(connection, project_id)
            mine = sa.select(ASSIGNMENTS.c.item_id).where(_of(ASSIGNMENTS, project_id, person))
            known = set(connection.scalars(mine))
            new = [item_id for item_id in dict.fromkeys(item_ids) if item_id not in known]
            _take(connection, project_id, person, new)
        return len(new)

    def assign_more(self, project_id: str, person: str, count: int) -> int:
        """Gives a person the first `count` items that are not theirs; says how many there were."""
        theirs = self.list_given(project_id, person)
        items = [i for i in self.store.list_queries(project_id) if i not in theirs]
        return self.assign(project_id, person, items[: max(count, 0)])

    def release(self, project_id: str, person: str) -> int:
        """Takes back what a person was given and has not judged, so that others get it; says how
        many items that were. What they judged stays theirs."""
        mine = _of(ASSIGNMENTS, project_id, person) & (ASSIGNMENTS.c.state != "done")
        with self.store.writing() as connection:
            _lock_items(connection, project_id)
            here = (ITEMS.c.project_id == project_id) & ITEMS.c.item_id.in_(
                sa.select(ASSIGNMENTS.c.item_id).where(mine)
            )
            connection.execute(ITEMS.update().where(here).values(taken=ITEMS.c.taken - 1))
            return int(connection.execute(ASSIGNMENTS.delete().where(mine)).rowcount)

    def dismiss(self, project_id: str, person: str) -> int:
        """Takes a person's role, and back from them what they have not judged; says how many items
        that were. Raises InputError where nobody would own the project any longer."""
        self.store.set_role(project_id, person, None)
        return self.release(project_id, person)

    def neighbour(self, project_id: str, person: str, item_id: str, offset: int) -> str | None:
        """The item of this person before (offset -1) or behind (1) this one, None at the end;
        their last one stands before an item that is not theirs."""
        mine = _of(ASSIGNMENTS, project_id, person)
        column = ASSIGNMENTS.c.position
        with self.store.reading.begin() as connection:
            place = sa.select(column).where(mine, ASSIGNMENTS.c.item_id == item_id)
            here = connection.scalar(place)
            if here is None:
                beyond = sa.literal(offset < 0)
            else:
                beyond = column > here if offset > 0 else column < here
            order = column if offset > 0 else column.desc()
            query = sa.select(ASSIGNMENTS.c.item_id).where(mine, beyond).order_by(order).limit(1)
            found: str | None = connection.scalar(query)
        return found

    def list_given(self, project_id: str, person: str) -> frozenset[str]:
        """All items this person was given."""
        query = sa.select(ASSIGNMENTS.c.item_id).where(_of(ASSIGNMENTS, project_id, person))
        with self.store.reading.begin() as connection:
            return frozenset(connection.scalars(query))

    def list_open(self, project_id: str, person: str) -> frozenset[str]:
        """The items this person was given and has not judged."""
        query = sa.select(ASSIGNMENTS.c.item_id).where(
            _of(ASSIGNMENTS, project_id, person), ASSIGNMENTS.c.state != "done"
        )
        with self.store.reading.begin() as connection:
            return frozenset(connection.scalars(query))

    def first_skipped(self, project_id: str, person: str) -> str | None:
        """The first of a person's items that they skipped."""
        mine = _of(ASSIGNMENTS, project_id, person)
        query = (
            sa.select(ASSIGNMENTS.c.item_id)
            .where(mine, ASSIGNMENTS.c.state == "skipped")
            .order_by(ASSIGNMENTS.c.position)
            .limit(1)
        )
        with self.store.reading.begin() as connection:
            found: str | None = connection.scalar(query)
        return found

    def has_assigned(self, project_id: str, person: str, item_id: str) -> bool:
        query = sa.select(ASSIGNMENTS.c.item_id).where(
            _of(ASSIGNMENTS, project_id, person), ASSIGNMENTS.c.item_id == item_id
        )
        with self.store.reading.begin() as connection:
            return connection.scalar(query) is not None

    def progress(self, project_id: str, person: str) -> PersonProgress:
        """How far a person is, and how fast."""
        overlap = self.store.get_project(project_id).overlap
        mine = _of(ASSIGNMENTS, project_id, person)
        state, count = ASSIGNMENTS.c.state, sa.func.count()
        with self.store.reading.begin() as connection:
            counted = connection.execute(sa.select(state, count).where(mine).group_by(state)).all()
            states = {name: number for name, number in counted}
            # The items still to be had, less those of them this person has: two index scans, where
            # asking for each item whether it is theirs takes ten times as long.
            free = sa.and_(ITEMS.c.project_id == project_id, ITEMS.c.taken < overlap)
            still = connection.scalar(sa.select(count).select_from(ITEMS).where(free)) or 0
            # "exists", so that SQLite begins with the few that are theirs.
            theirs = sa.select(count).where(
                mine, sa.exists().where(free, ITEMS.c.item_id == ASSIGNMENTS.c.item_id)
            )
            available = still - (connection.scalar(theirs) or 0)
            seconds = list(
                connection.scalars(
                    sa.select(JUDGEMENTS.c.seconds)
                    .where(
                        JUDGEMENTS.c.project_id == project_id,
                        JUDGEMENTS.c.person == person,
                        JUDGEMENTS.c.status == "done",
                        JUDGEMENTS.c.version == 1,
                    )
                    .order_by(JUDGEMENTS.c.number.desc())
                    .limit(PACE_OF)
                )
            )
        return PersonProgress(
            person=person,
            assigned=sum(states.values()),
            done=states.get("done", 0),
            skipped=states.get("skipped", 0),
            available=available,
            pace_seconds=statistics.median(seconds) if seconds else None,
        )

    def list_progress(self, project_id: str) -> tuple[PersonProgress, ...]:
        """Everybody who has a role or judged something, by name."""
        roles = sa.select(PEOPLE.c.person).where(PEOPLE.c.project_id == project_id)
        judged = sa.select(ASSIGNMENTS.c.person).where(ASSIGNMENTS.c.project_id == project_id)
        with self.store.reading.begin() as connection:
            names = sorted(connection.scalars(roles.union(judged)))
        return tuple(self.progress(project_id, name) for name in names)


def note_state(
    connection: sa.Connection, project_id: str, person: str, item_id: str, state: Status
) -> None:
    """What became of an item in a person's hands, inside the transaction that saves it.

    Raises InputError for an item that was not given to them.
    """
    mine = _of(ASSIGNMENTS, project_id, person)
    noted = connection.execute(
        ASSIGNMENTS.update().where(mine, ASSIGNMENTS.c.item_id == item_id).values(state=state)
    )
    if not noted.rowcount:
        raise InputError(
            "expected an item that was given to you, got one that was not, or was taken back; take "
            "the next one"
        )


def _of(table: sa.Table, project_id: str, person: str) -> sa.ColumnElement[bool]:
    return (table.c.project_id == project_id) & (table.c.person == person)


def _find_open(connection: sa.Connection, project_id: str, person: str, after: str) -> str | None:
    mine = _of(ASSIGNMENTS, project_id, person)
    column = ASSIGNMENTS.c.position
    here = connection.scalar(sa.select(column).where(mine, ASSIGNMENTS.c.item_id == after))
    begin = -1 if here is None else here
    query = (
        sa.select(ASSIGNMENTS.c.item_id)
        .where(mine, ASSIGNMENTS.c.state == "", ASSIGNMENTS.c.item_id != after)
        .order_by(column <= begin, column)
        .limit(1)
    )
    found: str | None = connection.scalar(query)
    return found


def _find_free(connection: sa.Connection, project_id: str, person: str, overlap: int) -> str | None:
    """Items others have begun come first, so that they are finished before new ones begin."""
    for taken in range(overlap - 1, -1, -1):
        query = (
            sa.select(ITEMS.c.item_id)
            .where(_is_free(project_id, person, ITEMS.c.taken == taken))
            .order_by(ITEMS.c.position)
            .limit(1)
        )
        found: str | None = connection.scalar(query)
        if found is not None:
            return found
    return None


def _is_free(project_id: str, person: str, taken: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    mine = sa.exists().where(
        _of(ASSIGNMENTS, project_id, person), ASSIGNMENTS.c.item_id == ITEMS.c.item_id
    )
    return sa.and_(ITEMS.c.project_id == project_id, taken, ~mine)


def _lock_items(connection: sa.Connection, project_id: str) -> None:
    """One person at a time is given items of a project. SQLite's writers are alone anyway."""
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(project_id))
        connection.execute(sa.select(lock))


def _take(connection: sa.Connection, project_id: str, person: str, item_ids: list[str]) -> None:
    for item_id in item_ids:
        here = (ITEMS.c.project_id == project_id) & (ITEMS.c.item_id == item_id)
        position = connection.scalar(sa.select(ITEMS.c.position).where(here))
        if position is None:
            raise InputError(f"expected an item of this project, got {item_id[:40]!r}; reload")
        connection.execute(ITEMS.update().where(here).values(taken=ITEMS.c.taken + 1))
        connection.execute(
            ASSIGNMENTS.insert().values(
                project_id=project_id, person=person, item_id=item_id, position=position,
                state="",
            )
        )  # fmt: skip
