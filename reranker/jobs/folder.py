"""A job's folder: what lies where, and writing it so that no half file is ever read.

Takes a folder, returns paths and JSON objects. Knows no process and no model. A file is
written beside its place, synced and renamed: a reader sees the old one or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reranker.errors import InputError

RESERVED_BYTES = 64 * 1024
"""Kept aside in every job folder, so that a full disk leaves room to say that it is full."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Where each part of a job lies."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def process(self) -> Path:
        return self.path / "process.json"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def progress(self) -> Path:
        return self.path / "progress.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def stop(self) -> Path:
        return self.path / "stop"

    @property
    def lock(self) -> Path:
        return self.path / "trainer.lock"

    @property
    def reserve(self) -> Path:
        return self.path / "reserve"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

    @property
    def queries(self) -> Path:
        return self.evaluations / "queries.json"

    @property
    def offered(self) -> Path:
        return self.path / "offered.json"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    def hold_reserve(self) -> None:
        """Sets the reserved bytes aside; on a full disk there is nothing to set aside."""
        self.reserve.write_bytes(b"\0" * RESERVED_BYTES)

    def free_reserve(self) -> None:
        self.reserve.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Replaces `path` by `text` in one step. Raises OSError when the disk is full."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, record: Any) -> None:
    """Replaces `path` by the JSON of `record` in one step."""
    write_text_whole(path, json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; {} where there is no such file.

    Raises InputError when it holds something else, which no writer here leaves behind.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"expected a JSON object, got something else ({error}); restore the file or delete "
            "the job",
            where=f"{path.parent.name}/{path.name}",
        ) from error
    if not isinstance(record, dict):
        raise InputError(
            f"expected a JSON object, got {type(record).__name__}; restore the file or delete the "
            "job",
            where=f"{path.parent.name}/{path.name}",
        )
    return record


def replace_folder(new: Path, place: Path) -> None:
    """Puts the folder `new` where `place` is. Killed in between, `place` or its `.old` is whole."""
    old = place.with_name(f"{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.replace(old)
    new.replace(place)
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(place: Path) -> None:
    """Brings back what `replace_folder` had set aside when it was cut off."""
    old = place.with_name(f"{place.name}.old")
    if old.is_dir() and not place.exists():
        old.replace(place)
    shutil.rmtree(old, ignore_errors=True)


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
