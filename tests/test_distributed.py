"""Training under torchrun: two gloo processes learn what one learns from double batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reranker.config import ROOT
from reranker.jobs.job import Job, read_job
from reranker.jobs.settings import (
    DataSettings,
    LoraSettings,
    ObjectiveSettings,
    ScheduleSettings,
    TeacherSettings,
    TrainingSettings,
    dump_settings,
    override_settings,
)
from tests.replicas import build_biencoder_student

STEPS = 3


def launch(settings: TrainingSettings, folder: Path, processes: int) -> Job:
    """The command of docs/training.md, in `processes` processes."""
    folder.parent.mkdir(exist_ok=True)
    config = folder.parent / f"{folder.name}.json"
    config.write_text(dump_settings(settings))
    command = ["-m", "reranker", "train", "stage1", "--config", str(config), "--out", str(folder)]
    if processes > 1:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = ["-m", *launcher, *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return read_job(folder.name, folder.parent)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_double_batches(tmp_path: Path) -> None:
    if not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    settings = TrainingSettings(
        student=str(build_biencoder_student(tmp_path / "tiny")),
        data=DataSettings(passages=3, mining_depth=3, dev_depth=4, max_dev_queries=2),
        teacher=TeacherSettings(weights="base", quantization="fp32"),
        objective=ObjectiveSettings(alpha=0.3),
        lora=LoraSettings(rank=4, alpha=8, dropout=0.0),
        schedule=ScheduleSettings(
            steps=STEPS, batch=2, learning_rate=1e-2, save_steps=STEPS, eval_steps=STEPS
        ),
        quantization="fp32",
        threads=1,
    )
    two = launch(settings, tmp_path / "jobs" / "two", 2)
    doubled = override_settings(settings, {"schedule.batch": "4"})
    one = launch(doubled, tmp_path / "jobs" / "one", 1)
    assert two.status == one.status == "done" and two.step == one.step == STEPS
    for first, second in zip(two.progress.steps, one.progress.steps, strict=True):
        assert first.parts == pytest.approx(second.parts, abs=1e-4)
    there, here = (
        load_file(job.folder / "adapter" / "adapter_model.safetensors") for job in (two, one)
    )
    for name, tensor in here.items():
        assert torch.allclose(tensor, there[name], atol=1e-4), name
    assert two.progress.evaluations[-1].measures == pytest.approx(
        one.progress.evaluations[-1].measures, abs=1e-4
    )


@pytest.mark.parametrize("name", ["ddp-cpu", "ddp", "fsdp", "deepspeed"])
def test_the_shipped_launch_configurations_are_accelerates(name: str) -> None:
    """Every key is one that accelerate knows; it refuses others when it launches."""
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(ROOT / "assets" / "launch" / f"{name}.yaml"))
    kind = {"ddp-cpu": "MULTI_CPU", "ddp": "MULTI_GPU", "fsdp": "FSDP", "deepspeed": "DEEPSPEED"}
    assert config.distributed_type == kind[name] and config.num_processes == 2
