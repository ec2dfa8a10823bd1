"""The adapters of a job: the best so far and the one it ends with.

Takes a trainer, writes folders in safetensors. A folder is made beside its place and put there
whole. Knows no data and no objective.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reranker.jobs.folder import (
    JobFolder,
    read_json,
    replace_folder,
    restore_folder,
    write_json,
)
from reranker.student.locate import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from reranker.training.reporter import Reporter

RECORD = "training.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The best evaluation after training began; value is -inf before the first."""

    step: int = 0
    value: float = float("-inf")


def read_best(folder: JobFolder) -> Best:
    """What lies in the job's folder `best`: the folder itself is the record."""
    record = read_json(folder.best / RECORD)
    if "value" not in record:
        return Best()
    return Best(step=int(record["step"]), value=float(record["value"]))


def save_best(trainer: Any, reporter: Reporter, base: str, step: int, value: float) -> None:
    """Replaces the best adapter."""
    new = reporter.folder.path / "best.new"
    save_adapter_folder(trainer, new, base, {"step": step, "value": value}, main=reporter.main)
    if reporter.main:
        replace_folder(new, reporter.folder.best)
    trainer.accelerator.wait_for_everyone()


def save_final(trainer: Any, reporter: Reporter, base: str, step: int) -> Best:
    """The job's adapter: the best by dev measure where there were evaluations, else the last."""
    new = reporter.folder.path / "adapter.new"
    best = read_best(reporter.folder)
    if best.step == 0:
        save_adapter_folder(trainer, new, base, {"step": step}, main=reporter.main)
    elif reporter.main:
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(reporter.folder.best, new)
    if reporter.main:
        replace_folder(new, reporter.folder.adapter)
    return best


def save_adapter_folder(
    trainer: Any, folder: Path, base: str, record: dict[str, Any], *, main: bool
) -> None:
    """adapter_config.json, adapter_model.safetensors and training.json, and nothing else.

    The base is named as the profile does, not by a path of the machine that trained it. Every
    process calls this: sharded weights are gathered from all of them.
    """
    if main:
        shutil.rmtree(folder, ignore_errors=True)
    trainer.save_model(str(folder))
    if not main:
        return
    for path in list(folder.iterdir()):
        if path.name not in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            path.unlink()
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    write_json(folder / ADAPTER_CONFIG, config)
    write_json(folder / RECORD, record)


def clear_unfinished(folder: JobFolder) -> None:
    """Takes away what a killed trainer left half made, and brings back what it had set aside."""
    for name in ("best.new", "adapter.new"):
        shutil.rmtree(folder.path / name, ignore_errors=True)
    restore_folder(folder.best)
    restore_folder(folder.adapter)
