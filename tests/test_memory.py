"""The memory estimate: how it grows, what it refuses, and how near it comes to measured peaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reranker.config import ROOT
from reranker.errors import InputError, StudentError
from reranker.jobs.folder import read_json
from reranker.jobs.memory import estimate_memory
from reranker.jobs.presets import make_settings
from reranker.jobs.settings import TrainingSettings, dump_settings, override_settings

TOLERANCE = 0.25


def total(**changes: str) -> int:
    names = {name.replace("__", "."): value for name, value in changes.items()}
    return estimate_memory(override_settings(make_settings("quick", "stage1"), names)).total


def test_more_of_anything_needs_more() -> None:
    plain = total()
    assert plain < total(schedule__batch="8") < total(schedule__batch="16")
    assert plain < total(data__passages="16")
    assert plain < total(quantization="fp32")
    assert plain > total(gradient_checkpointing="true")
    assert plain > total(max_passage_tokens="64")
    assert plain > total(teacher__weights="", objective__main="ce", objective__alpha="0")


def test_parts_add_up_and_libraries_are_one_of_them() -> None:
    estimate = estimate_memory(make_settings("quick", "stage1"))
    assert estimate.total == sum(estimate.parts.values()) > 512 * 2**20
    assert list(estimate.parts)[0] == "libraries"


def test_every_form_can_be_estimated(
    two_base_student: Path, bert_crossencoder: Path, tmp_path: Path
) -> None:
    for student in (two_base_student, bert_crossencoder):
        settings = override_settings(
            make_settings("quick", "stage1"), {"student": str(student), "lora.start": "fresh"}
        )
        assert estimate_memory(settings).parts["activations"] > 0
    assert estimate_memory(write_stage2(tmp_path)).parts["logits"] > 0


def test_what_is_not_there_cannot_be_estimated(bert_crossencoder: Path, tmp_path: Path) -> None:
    hub = override_settings(make_settings("quick", "stage1"), {"student": "dear-3b"})
    with pytest.raises(InputError, match="weights on this machine"):
        estimate_memory(hub)
    with pytest.raises(StudentError):
        estimate_memory(override_settings(hub, {"student": "absent"}))
    settings = override_settings(write_stage2(tmp_path), {"student": str(bert_crossencoder)})
    with pytest.raises(InputError, match="stage 2"):
        estimate_memory(settings)


def write_stage2(folder: Path) -> TrainingSettings:
    rows = [
        {"prompt": f"{number} " + "the tide and the moon, " * 40, "answer": " the moon pulls" * 10}
        for number in range(12)
    ]
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return override_settings(
        make_settings("quick", "stage2"),
        {"data.train": str(path), "data.format": "prompts", "schedule.batch": "4"},
    )


def choose_settings(name: str, folder: Path) -> TrainingSettings:
    if name == "stage2":
        return write_stage2(folder)
    if name == "quick":
        return make_settings("quick", "stage1")
    changes = {"schedule.epochs": "0", "quantization": "fp32", "data.passages": "4"}
    return override_settings(make_settings("paper", "stage1"), changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick", "paper", "stage2"])
def test_the_estimate_is_within_a_quarter_of_the_measured_peak(name: str, tmp_path: Path) -> None:
    short = {
        "schedule.steps": "4",
        "schedule.save_steps": "4",
        "schedule.eval_steps": "4",
        "data.max_dev_queries": "2",
    }
    settings = override_settings(choose_settings(name, tmp_path), short)
    config, out = tmp_path / "config.json", tmp_path / "jobs" / "one"
    config.write_text(dump_settings(settings))
    out.parent.mkdir()
    command = [sys.executable, "-m", "reranker", "train", settings.stage, "--config", str(config)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(out)], cwd=ROOT, env=environment, check=True)
    peak = read_json(out / "summary.json")["peak_memory_bytes"]
    assert abs(estimate_memory(settings).total / peak - 1) < TOLERANCE


def test_the_peak_of_a_job_is_not_that_of_who_started_it() -> None:
    held = bytearray(os.urandom(2**20) * 300)
    code = "from reranker.jobs.process import measure_peak_memory; print(measure_peak_memory())"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 0 < int(ended.stdout) < len(held)
