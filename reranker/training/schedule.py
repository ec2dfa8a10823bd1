"""What every training command shares: arguments, resuming, and ending in time.

Takes a command's options, returns transformers' TrainingArguments and callbacks. Knows no
model and no data.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from reranker.student.hardware import choose_device, choose_dtype


class StopAfter(TrainerCallback):
    """Saves and ends the run when its minutes are spent."""

    def __init__(self, minutes: float) -> None:
        self.deadline = time.monotonic() + 60 * minutes

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if time.monotonic() > self.deadline:
            control.should_save = control.should_training_stop = True


def add_schedule_options(
    parser: argparse.ArgumentParser, *, steps: int, learning_rate: float, batch: int
) -> None:
    """The options every training command takes."""
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and result go here")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--minutes", type=float, default=180, help="save and stop after these")
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--save-steps", type=int, default=250)
    parser.add_argument("--compile", action="store_true", help="faster; needs a C++ compiler")
    parser.add_argument("--seed", type=int, default=0)


def make_arguments(options: argparse.Namespace, **more: Any) -> TrainingArguments:
    """bf16 autocast where the machine computes in bf16, rows in the order of the data set, no
    reporting, two checkpoints kept."""
    return TrainingArguments(
        output_dir=str(options.out / "checkpoints"),
        per_device_train_batch_size=options.batch,
        max_steps=options.steps,
        learning_rate=options.learning_rate,
        save_steps=options.save_steps,
        save_total_limit=2,
        bf16=choose_dtype(choose_device()) == torch.bfloat16,
        torch_compile=options.compile,
        train_sampling_strategy="sequential",
        report_to=[],
        seed=options.seed,
        use_cpu=not torch.cuda.is_available(),
        **more,
    )


def run_training(trainer: Trainer, options: argparse.Namespace) -> None:
    """Trains, from the last checkpoint in options.out when there is one."""
    checkpoints = options.out / "checkpoints"
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    trainer.add_callback(StopAfter(options.minutes))
    trainer.train(resume_from_checkpoint=last)


def save_adapter(trainer: Trainer, options: argparse.Namespace, base: str) -> None:
    """The adapter in options.out/adapter as safetensors, with training.json: options and steps.

    The folder names its base as the profile does, not by a path of the machine that trained it.
    """
    folder = options.out / "adapter"
    trainer.model.save_pretrained(folder, safe_serialization=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    file.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    record = {
        name: value.name if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if not callable(value)
    }
    record["steps_done"] = trainer.state.global_step
    (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card; the student has one
