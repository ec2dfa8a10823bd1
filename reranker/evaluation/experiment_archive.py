"""Saved experiments by name and as one file: where they lie, and packing them into a zip.

Takes folders as `experiment_folder.py` writes them, and zips of one. Knows neither runs nor
measures: what is inside is read by `open_experiment`, from files that were copied out one
by one.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from reranker.corpora.archive import ZipFiles
from reranker.errors import InputError
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_folder import MANIFEST, open_experiment

MAX_UNPACKED_BYTES = 256 * 2**20
"""Of all files of one experiment, as they are read."""
_FILES = re.compile(
    r"experiment\.json|queries\.jsonl|corpus\.jsonl\.gz|qrels/test\.tsv|runs/[^/]+\.trec\.gz"
)


def experiments_dir() -> Path:
    """Where experiments are looked for: $DEAR_EXPERIMENTS, else the user's data folder."""
    configured = os.environ.get("DEAR_EXPERIMENTS")
    if configured:
        return Path(configured)
    base = os.environ.get("XDG_DATA_HOME")
    data = Path(base) if base else Path.home() / ".local" / "share"
    return data / "dear-studio" / "experiments"


def list_experiments(root: Path | None = None) -> tuple[str, ...]:
    """The names of the folders in `root` (by default `experiments_dir()`) that hold one, the
    latest first."""
    found = [path.parent for path in (root or experiments_dir()).glob(f"*/{MANIFEST}")]
    found.sort(key=lambda folder: (-folder.stat().st_mtime, folder.name))
    return tuple(folder.name for folder in found)


def open_named(name: str, root: Path | None = None) -> Experiment:
    """The experiment that `list_experiments` calls `name`. Raises InputError, also for a path."""
    root = root or experiments_dir()
    if name not in list_experiments(root):
        raise InputError(
            f"expected a saved experiment, got {name!r}; choose one of those that are listed"
        )
    return open_experiment(root / name)


def pack_experiment(folder: Path, path: Path) -> None:
    """The experiment saved in `folder` as the zip `path`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())


def unpack_experiment(path: Path) -> Experiment:
    """The experiment in a zip: its files at the top, or all in one folder.

    Only the files an experiment has are read. Raises InputError for what is no such zip, for one
    that is unsafe or too large, and as `open_experiment` does.
    """
    archive = ZipFiles(path)
    manifests = [name for name in archive.list_paths() if name.split("/")[-1] == MANIFEST]
    if len(manifests) != 1 or manifests[0].count("/") > 1:
        raise InputError(
            f"expected a zip of one saved experiment, got one with {len(manifests)} {MANIFEST} at "
            "its top; pack the folder that evaluate --out wrote",
            where=path.name,
        )
    top = manifests[0].removesuffix(MANIFEST)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "experiment"
        _copy_files(path, {n: n.removeprefix(top) for n in archive.list_paths()}, folder)
        try:
            return open_experiment(folder)
        except InputError as error:
            raise InputError(str(error).replace(str(folder), path.name)) from error


def _copy_files(path: Path, names: Mapping[str, str], folder: Path) -> None:
    """Copies what an experiment is made of, as it is. names: in the archive -> in the folder.

    `ZipFiles` has judged the archive, so that no entry gives more than it declares.
    """
    (folder / "runs").mkdir(parents=True)
    (folder / "qrels").mkdir()
    left = MAX_UNPACKED_BYTES
    with zipfile.ZipFile(path) as archive:
        for name, inside in names.items():
            if not _FILES.fullmatch(inside):
                continue
            left -= archive.getinfo(name).file_size
            if left < 0:
                raise InputError(
                    f"expected at most {MAX_UNPACKED_BYTES // 2**20} MiB unpacked, got more; "
                    "put the folder where this server keeps its experiments",
                    where=path.name,
                )
            try:
                with archive.open(name) as source, (folder / inside).open("wb") as target:
                    shutil.copyfileobj(source, target)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                raise InputError(
                    f"expected a whole entry {inside!r}, got a damaged one ({error}); pack it "
                    "again",
                    where=path.name,
                ) from error


def keep_experiment(folder: Path, name: str, root: Path | None = None) -> Path:
    """Copies the experiment in `folder` to where they are looked for. Raises InputError."""
    target = (root or experiments_dir()) / name
    try:
        shutil.copytree(folder, target)
    except OSError as error:
        raise InputError(
            f"expected to write into {target.parent}, got {error.strerror or error}; make space, "
            "or set DEAR_EXPERIMENTS to another folder"
        ) from error
    return target
