"""Checkpoints that can be trusted: sealed with a manifest, checked before they are used.

Takes the folder of checkpoints, returns the newest whole one. Knows no model: a checkpoint is a
folder `checkpoint-<step>` of files. The manifest (name, size and SHA-256 of every file) is
written last and in one step, so a folder without one was cut off while it was saved.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from reranker.errors import InputError
from reranker.jobs.folder import hash_file, read_json, write_json

MANIFEST = "manifest.json"
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{1,12})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A whole checkpoint after `step` optimizer steps."""

    path: Path
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A checkpoint that cannot be used, and why."""

    name: str
    step: int
    reason: str


def seal_checkpoint(folder: Path) -> None:
    """Writes the manifest after everything it lists is on the disk."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    write_json(folder / MANIFEST, {"files": files})


def find_fault(folder: Path) -> str:
    """Why a checkpoint cannot be trusted; "" when it can."""
    try:
        files = read_json(folder / MANIFEST).get("files")
    except InputError:
        return "its manifest cannot be read"
    if not isinstance(files, dict) or not files:
        return "it was cut off while it was saved"
    for name, wanted in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != wanted["bytes"] or hash_file(path) != wanted["sha256"]:
            return f"{name} is damaged"
    return ""


def find_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[Rejected]]:
    """The newest whole checkpoint, or None, and the newer ones that were rejected."""
    rejected: list[Rejected] = []
    for step, path in reversed(list_checkpoints(folder)):
        fault = find_fault(path)
        if not fault:
            return Checkpoint(path=path, step=step), rejected
        rejected.append(Rejected(name=path.name, step=step, reason=fault))
    return None, rejected


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every checkpoint, whole or not, oldest first."""
    if not folder.is_dir():
        return []
    found = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def set_aside(folder: Path, rejected: list[Rejected]) -> None:
    """Renames rejected checkpoints, so that nothing takes them for good ones."""
    for item in rejected:
        aside = folder / f"rejected-{item.name}"
        shutil.rmtree(aside, ignore_errors=True)
        (folder / item.name).replace(aside)


def drop_old_checkpoints(folder: Path, kept: int = KEPT) -> None:
    """Removes all but the newest `kept` sealed checkpoints; called after a new one is sealed."""
    sealed = [path for _, path in list_checkpoints(folder) if (path / MANIFEST).is_file()]
    for path in sealed[:-kept]:
        # Without its manifest a half removed folder counts as cut off, not as damaged.
        (path / MANIFEST).unlink()
        shutil.rmtree(path)
    for aside in folder.glob("rejected-*"):
        shutil.rmtree(aside)
