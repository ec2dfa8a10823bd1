"""Annotations on a disk that is lost: backups pushed to a Hub dataset, and what is lasting at all.

Takes the environment and a store; says how lasting the store is, pushes a backup on a schedule, and
takes the newest one back when a Space starts empty. Knows the hub only by huggingface_hub.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import CommitScheduler, HfApi, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError

from reranker.annotation.backup import restore_backup, write_backup
from reranker.annotation.database import URL_VARIABLE, annotations_dir
from reranker.annotation.store import Store
from reranker.errors import InputError

logger = logging.getLogger(__name__)

REPO_VARIABLE = "DEAR_ANNOTATIONS_REPO"
MINUTES_VARIABLE = "DEAR_ANNOTATIONS_EVERY"
DEFAULT_MINUTES = 5.0
FILE = "annotations.zip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Persistence:
    """Where annotations live on. warning: "" where nothing is lost by a restart."""

    kind: Literal["database", "disk", "hub", "none"]
    warning: str = ""


def describe_persistence() -> Persistence:
    """What becomes of annotations when this machine restarts."""
    if os.environ.get(URL_VARIABLE):
        return Persistence(kind="database")
    lasting = Path("/data") in (annotations_dir(), *annotations_dir().parents)
    if not os.environ.get("SPACE_ID") or lasting:
        return Persistence(kind="disk")
    if os.environ.get(REPO_VARIABLE):
        return Persistence(
            kind="hub",
            warning=(
                "This Space's disk is lost when it restarts. Annotations are pushed to a dataset "
                f"every {read_minutes():g} minutes: what is younger than that can be lost."
            ),
        )
    return Persistence(
        kind="none",
        warning=(
            "This Space's disk is lost when it restarts, and every annotation with it. Give it "
            f"persistent storage, a {URL_VARIABLE}, or a dataset to push to in {REPO_VARIABLE}; "
            "until then, download a backup before you close this page."
        ),
    )


def read_minutes() -> float:
    """Minutes between two pushes. Raises InputError for what is no positive number."""
    text = os.environ.get(MINUTES_VARIABLE, "")
    try:
        minutes = float(text or DEFAULT_MINUTES)
    except ValueError:
        minutes = 0.0
    if not 0.0 < minutes < 1e6:
        raise InputError(f"expected {MINUTES_VARIABLE} in minutes, got {text[:20]!r}; correct it")
    return minutes


class BackupScheduler(CommitScheduler):
    """Pushes a fresh backup every few minutes, where anything was saved since the last."""

    def __init__(
        self, store: Store, repo_id: str, folder: Path, minutes: float, api: HfApi | None = None
    ) -> None:
        """folder: where the backup is written before it is pushed. The dataset is private."""
        self.annotations = store
        self._pushed: dict[str, int] | None = None
        super().__init__(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            every=minutes,
            private=True,
            allow_patterns=[FILE],
            squash_history=True,
            hf_api=api,
        )

    def push_to_hub(self) -> Any:
        """What the schedule calls: a backup, then the commit."""
        with self.lock:
            write_backup(self.annotations, self.folder_path / FILE)
        return super().push_to_hub()


def start_pushing(store: Store) -> BackupScheduler | None:
    """The running schedule, None where no dataset is named. Before it starts, an empty store
    takes back what was pushed last.

    Raises InputError where the hub refuses or cannot be reached: then nothing would be kept.
    """
    repo_id = os.environ.get(REPO_VARIABLE)
    if not repo_id:
        return None
    try:
        if not store.list_projects():
            _take_back(store, repo_id)
        return BackupScheduler(store, repo_id, annotations_dir() / "pushed", read_minutes())
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"expected a dataset that may be written to in {REPO_VARIABLE}, got "
            f"{type(error).__name__} for {repo_id!r}; check its name and the Space's HF_TOKEN"
        ) from error


def _take_back(store: Store, repo_id: str) -> None:
    try:
        path = hf_hub_download(repo_id, FILE, repo_type="dataset")
    except (EntryNotFoundError, RepositoryNotFoundError):
        return
    counts = restore_backup(store, Path(path))
    logger.info("took back %s judgements from %s", counts.get("judgements", 0), repo_id)
