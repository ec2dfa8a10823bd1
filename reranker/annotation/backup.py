"""Backups: the whole store as one .zip, the same from SQLite and PostgreSQL, and back.

Takes a store and a path, writes or reads a manifest with hashes and one jsonl file for each table.
A backup is one consistent view of the database; a restore happens wholly or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reranker.annotation.schema import DATA_TABLES, MIGRATIONS
from reranker.annotation.store import Store, tell_time
from reranker.errors import InputError

FORMAT = "dear-annotations/1"
MANIFEST = "manifest.json"
MAX_BYTES = 8 * 2**30
"""Of a restored table; a zip may claim far more than it holds."""
BATCH = 1_000
_MEND = "use the file as `annotate backup` wrote it"


def write_backup(store: Store, path: Path) -> dict[str, int]:
    """Rows by table. The file appears whole or not at all. Raises InputError where it cannot be
    written."""
    part = path.with_name(f"{path.name}.part")
    counts: dict[str, int] = {}
    hashes: dict[str, str] = {}
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            with store.reading.connect() as connection:
                # PostgreSQL shows each statement the newest state unless asked for one snapshot.
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    for table in DATA_TABLES:
                        counts[table.name], hashes[table.name] = _dump(connection, table, archive)
            manifest = {
                "format": FORMAT,
                "version": len(MIGRATIONS),
                "created": tell_time(),
                "rows": counts,
                "sha256": hashes,
            }
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"expected to write a backup here, got {error.strerror}; choose another place",
            where=str(path),
        ) from error
    return counts


def restore_backup(store: Store, path: Path) -> dict[str, int]:
    """Rows by table. Raises InputError for a store that is not empty, so that nothing is
    overwritten, and for a file that is not a whole backup; then nothing was changed."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(archive, path)
            with store.engine.begin() as connection:
                _require_empty(connection)
                for table in DATA_TABLES:
                    digest = hashlib.sha256()
                    for rows in _read_rows(archive, table, digest, path):
                        connection.execute(table.insert(), rows)
                    if digest.hexdigest() != manifest["sha256"].get(table.name):
                        raise InputError(
                            f"expected {table.name} as it was backed up, got another hash; {_MEND}",
                            where=str(path),
                        )
                _go_on_counting(connection)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"expected a backup, got {error}; {_MEND}", where=str(path)) from error
    return {name: int(count) for name, count in manifest["rows"].items()}


def _dump(connection: sa.Connection, table: sa.Table, archive: zipfile.ZipFile) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    query = sa.select(table).order_by(*table.primary_key.columns)
    with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as file:
        result = connection.execution_options(stream_results=True).execute(query)
        for row in result.mappings():
            line = json.dumps(dict(row), ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    return count, digest.hexdigest()


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(archive.read(MANIFEST))
    except ValueError as error:
        raise InputError(f"expected a manifest, got {error}; {_MEND}", where=str(path)) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"expected a backup of form {FORMAT}; {_MEND}", where=str(path))
    if manifest["version"] > len(MIGRATIONS):
        raise InputError(
            f"expected annotations of version {len(MIGRATIONS)} at most, got "
            f"{manifest['version']}; restore with the program that wrote them, or a newer one",
            where=str(path),
        )
    return manifest


def _read_rows(
    archive: zipfile.ZipFile, table: sa.Table, digest: Any, path: Path
) -> Iterator[list[dict[str, Any]]]:
    name = f"{table.name}.jsonl"
    if archive.getinfo(name).file_size > MAX_BYTES:
        raise InputError(f"expected {name} of at most 8 GB; {_MEND}", where=str(path))
    batch: list[dict[str, Any]] = []
    with archive.open(name) as file:
        for line in file:
            digest.update(line)
            batch.append(json.loads(line))
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _require_empty(connection: sa.Connection) -> None:
    for table in DATA_TABLES:
        if connection.scalar(sa.select(sa.func.count()).select_from(table)):
            raise InputError(
                "expected an empty store, got one with annotations; restore into another "
                "(DEAR_ANNOTATIONS or DATABASE_URL names it)"
            )


def _go_on_counting(connection: sa.Connection) -> None:
    """PostgreSQL's counter does not see numbers that were given."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('judgements', 'number'), "
            "(SELECT coalesce(max(number), 0) + 1 FROM judgements), false)"
        )
