"""The database behind the annotation store: a file of SQLite, or a server of PostgreSQL.

Takes a URL, returns an engine whose tables are of the newest version. What a transaction
committed is on disk: SQLite runs with WAL and synchronous=FULL, PostgreSQL by its own default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reranker.annotation.schema import migrate
from reranker.errors import InputError

BUSY_SECONDS = 30
URL_VARIABLE = "DATABASE_URL"
FOLDER_VARIABLE = "DEAR_ANNOTATIONS"
FILE_NAME = "annotations.db"


def annotations_dir() -> Path:
    """Where annotations live: $DEAR_ANNOTATIONS, a Space's /data, else the user's data folder."""
    configured = os.environ.get(FOLDER_VARIABLE)
    if configured:
        return Path(configured)
    if os.environ.get("SPACE_ID") and os.access("/data", os.W_OK):
        return Path("/data/annotations")
    base = os.environ.get("XDG_DATA_HOME")
    return (
        (Path(base) if base else Path.home() / ".local" / "share") / "dear-studio" / "annotations"
    )


def database_url() -> str:
    """$DATABASE_URL, else the file in `annotations_dir()`."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{annotations_dir() / FILE_NAME}"


def open_database(url: str | None = None) -> sa.Engine:
    """The engine with its tables made or brought up to date.

    Raises InputError for a URL that cannot be used or a database that does not answer. No message
    repeats a password.
    """
    try:
        parsed = sa.make_url(url or database_url())
    except sa.exc.ArgumentError as error:
        raise InputError(
            f"expected {URL_VARIABLE} as a URL like postgresql://user@host/name, got something "
            "else; correct it"
        ) from error
    engine = _make_engine(parsed)
    try:
        migrate(engine)
    except sa.exc.DatabaseError as error:
        shown = parsed.render_as_string(hide_password=True)
        raise InputError(
            f"expected a database that answers at {shown}, got {type(error.orig).__name__}; check "
            "that it runs and may be written to"
        ) from error
    return engine


def _make_engine(url: sa.URL) -> sa.Engine:
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        # Hosts hand out postgres://; the driver is named, so that no other one is looked for.
        return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if kind != "sqlite":
        raise InputError(f"expected a sqlite or postgresql URL, got {kind!r}; change it")
    if url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"expected a folder for the annotations, got {error.strerror}; set "
                f"{FOLDER_VARIABLE} to one that can be written",
                where=url.database,
            ) from error
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, record: object) -> None:
    # The driver would begin transactions on its own, and only before some statements.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and then writes must hold the lock from its beginning, or it
    # fails at once when another has written in between. Readers ask for none.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
