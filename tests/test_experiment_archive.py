"""Experiments as zips and by name: what comes back, and what is refused."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path

import pytest

from reranker.errors import InputError
from reranker.evaluation import experiment_archive
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_archive import (
    experiments_dir,
    keep_experiment,
    list_experiments,
    open_named,
    pack_experiment,
    unpack_experiment,
)
from reranker.evaluation.experiment_folder import save_experiment
from reranker.systems.running import run_systems
from reranker.systems.system import FirstStage
from tests.test_experiment import make_collection


@pytest.fixture
def experiment() -> Experiment:
    return run_systems(
        make_collection(), [FirstStage(), FirstStage("again")], measures="RR", depth=5
    )


@pytest.fixture
def folder(experiment: Experiment, tmp_path: Path) -> Path:
    save_experiment(experiment, tmp_path / "saved")
    return tmp_path / "saved"


def test_a_packed_experiment_opens_as_it_was(
    experiment: Experiment, folder: Path, tmp_path: Path
) -> None:
    pack_experiment(folder, tmp_path / "flat.zip")
    assert unpack_experiment(tmp_path / "flat.zip") == experiment
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, f"first/{file.relative_to(folder).as_posix()}")
        archive.writestr("first/notes.txt", "passed over")
    assert unpack_experiment(tmp_path / "nested.zip") == experiment


def test_experiments_are_found_by_name_only(
    experiment: Experiment, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEAR_EXPERIMENTS", str(tmp_path / "kept"))
    assert list_experiments() == ()
    assert keep_experiment(folder, "first") == experiments_dir() / "first"
    assert list_experiments() == ("first",) and open_named("first") == experiment
    for name in ("../saved", "", "second", str(folder)):
        with pytest.raises(InputError, match="one of those that are listed"):
            open_named(name)
    with pytest.raises(InputError, match="set DEAR_EXPERIMENTS"):
        keep_experiment(folder, "first")


def test_without_a_setting_they_lie_in_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAR_EXPERIMENTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert experiments_dir() == Path("/data/dear-studio/experiments")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a.txt": ""}, "got one with 0 experiment.json"),
        ({"a/experiment.json": "{}", "b/experiment.json": "{}"}, "got one with 2"),
        ({"a/b/experiment.json": "{}"}, "at its top"),
        ({"experiment.json": "{}"}, "expected a saved experiment"),
        ({"experiment.json": "nothing"}, "expected a saved experiment"),
        ({"../experiment.json": "{}"}, "inside the archive's own folder"),
    ],
)
def test_zips_that_hold_none(tmp_path: Path, entries: dict[str, str], words: str) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    with pytest.raises(InputError, match=words) as caught:
        unpack_experiment(tmp_path / "odd.zip")
    assert str(caught.value).startswith("odd.zip") and "/tmp" not in str(caught.value)


def test_runs_outside_the_zip_are_refused(folder: Path, tmp_path: Path) -> None:
    manifest = folder / "experiment.json"
    saved = json.loads(manifest.read_text())
    saved["systems"][0]["run"] = "../../../etc/passwd"
    manifest.write_text(json.dumps(saved))
    pack_experiment(folder, tmp_path / "out.zip")
    with pytest.raises(InputError, match="runs inside the folder"):
        unpack_experiment(tmp_path / "out.zip")


def test_a_large_one_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack_experiment(folder, tmp_path / "large.zip")
    monkeypatch.setattr(experiment_archive, "MAX_UNPACKED_BYTES", 100)
    with pytest.raises(InputError, match="got more"):
        unpack_experiment(tmp_path / "large.zip")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_zip_opens_or_is_an_input_error(folder: Path, tmp_path: Path, seed: int) -> None:
    pack_experiment(folder, tmp_path / "damaged.zip")
    data = bytearray((tmp_path / "damaged.zip").read_bytes())
    draw = random.Random(seed)
    for _ in range(draw.choice((1, 3, 30))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    (tmp_path / "damaged.zip").write_bytes(bytes(data[: draw.choice((len(data), len(data) // 2))]))
    try:
        unpack_experiment(tmp_path / "damaged.zip")
    except InputError:
        pass
