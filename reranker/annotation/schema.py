"""The tables of the annotation store, and the numbered steps that made them.

Takes a connection, brings its tables to the newest version. Each step runs in a transaction of
its own together with its number, so a crash leaves the version before or the one after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from reranker.errors import InputError

Migration = Callable[[sa.Connection], None]

METADATA = sa.MetaData()
_ID = sa.String(80)
_NAME = sa.String(200)

PROJECTS = sa.Table(
    "projects",
    METADATA,
    sa.Column("project_id", _ID, primary_key=True),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
)
PEOPLE = sa.Table(
    "people",
    METADATA,
    sa.Column("project_id", _ID, sa.ForeignKey("projects.project_id"), primary_key=True),
    sa.Column("person", _NAME, primary_key=True),
    sa.Column("role", sa.String(20), nullable=False),
)
ITEMS = sa.Table(
    "items",
    METADATA,
    sa.Column("project_id", _ID, sa.ForeignKey("projects.project_id"), primary_key=True),
    sa.Column("item_id", _ID, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("taken", sa.Integer, nullable=False, default=0),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("items_by_taken", "project_id", "taken", "position"),
)
ASSIGNMENTS = sa.Table(
    "assignments",
    METADATA,
    sa.Column("project_id", _ID, primary_key=True),
    sa.Column("person", _NAME, primary_key=True),
    sa.Column("item_id", _ID, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, default=""),
    sa.ForeignKeyConstraint(["project_id", "item_id"], ["items.project_id", "items.item_id"]),
    sa.Index("assignments_by_state", "project_id", "person", "state", "position"),
)
JUDGEMENTS = sa.Table(
    "judgements",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("project_id", _ID, nullable=False),
    sa.Column("item_id", _ID, nullable=False),
    sa.Column("person", _NAME, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("lane", _NAME, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("base_version", sa.Integer, nullable=False),
    sa.Column("conflict", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("answers", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("save_key", sa.String(80), nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    sa.ForeignKeyConstraint(["project_id", "item_id"], ["items.project_id", "items.item_id"]),
    sa.UniqueConstraint("project_id", "item_id", "kind", "lane", "version"),
    sa.UniqueConstraint("project_id", "item_id", "kind", "lane", "save_key"),
)
DATA_TABLES = (PROJECTS, PEOPLE, ITEMS, ASSIGNMENTS, JUDGEMENTS)
"""Every table with data, each after those it refers to."""

_VERSION = sa.Table(
    "schema_version", sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True)
)


def _create_tables(connection: sa.Connection) -> None:
    METADATA.create_all(connection)


def _index_people(connection: sa.Connection) -> None:
    """A person's latest judgements, which the pace is worked out from after every save."""
    connection.exec_driver_sql(
        "CREATE INDEX judgements_by_person ON judgements (project_id, person, number)"
    )


MIGRATIONS: tuple[Migration, ...] = (_create_tables, _index_people)
"""Version n is what the first n of these made. Never change one that was released: append."""


def migrate(engine: sa.Engine, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Brings the tables to the newest version and returns its number.

    Raises InputError for tables of a newer program, which this one must not touch.
    """
    while True:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Two servers that start together: one does it, the other waits and finds it done.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7461001)")
            _VERSION.create(connection, checkfirst=True)
            version = connection.scalar(sa.select(sa.func.max(_VERSION.c.version))) or 0
            if version > len(migrations):
                raise InputError(
                    f"expected annotations of version {len(migrations)} at most, got {version}; "
                    "open them with the program that wrote them, or a newer one"
                )
            if version == len(migrations):
                return int(version)
            migrations[version](connection)
            connection.execute(_VERSION.insert().values(version=version + 1))
