"""transformers' Trainer as a job runs it: it reports, measures, saves what can be trusted, stops.

Takes a model, data and a `JobPlan`; writes checkpoints and adapters into the job's folder. What
is learnt comes from subclasses (distill.py, sft.py). Knows no file format.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments

from reranker.jobs.checkpoints import drop_old_checkpoints, seal_checkpoint
from reranker.jobs.process import measure_memory, measure_peak_memory, release_free_memory
from reranker.jobs.settings import TrainingSettings
from reranker.training.adapters import read_best, save_best
from reranker.training.failures import NotFiniteError
from reranker.training.reporter import Reporter


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Dev measures; `value` is what the best adapter is chosen by, the higher the better."""

    value: float
    measures: dict[str, float]
    detail: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPlan:
    """What a job does beside training. evaluate: None without dev data. base: how the adapter
    names its base. is_stopped: whether somebody asked to stop."""

    settings: TrainingSettings
    reporter: Reporter
    base: str
    steps: int
    evaluate: Callable[[Trainer], Evaluation] | None
    is_stopped: Callable[[], bool]


class JobTrainer(Trainer):
    """Collects the parts of the loss and the work done between two reports."""

    def __init__(self, *, plan: JobPlan, **options: Any) -> None:
        super().__init__(**options)
        self.plan = plan
        self.loss_is_scaled_for_ga: bool | None = False
        self._parts: dict[str, float] = {}
        self._batches = self._examples = self._tokens = 0
        self.add_callback(JobCallback(self))

    def note_batch(self, parts: dict[str, Tensor], examples: int, tokens: int) -> None:
        """Adds one batch to the next report. Raises NotFiniteError for a loss that is none."""
        for name, part in parts.items():
            value = float(part.detach())
            if not math.isfinite(value):
                raise NotFiniteError(
                    f"expected a finite loss, got {value} for {name} after step "
                    f"{self.state.global_step}; lower the learning rate."
                )
            self._parts[name] = self._parts.get(name, 0.0) + value
        self._batches += 1
        self._examples += examples
        self._tokens += tokens

    def take_report(self, seconds: float) -> dict[str, Any]:
        """The mean parts over all processes, the rates and the memory since the last report."""
        batches = max(1, self._batches)
        world = self.args.world_size
        means = {name: total / batches for name, total in self._parts.items()}
        if world > 1:
            there = torch.tensor(list(means.values()), device=self.args.device)
            everywhere = self.accelerator.reduce(there, reduction="mean").tolist()
            means = dict(zip(means, everywhere, strict=True))
        report = {
            "parts": means,
            "examples_per_second": world * self._examples / max(seconds, 1e-9),
            "tokens_per_second": world * self._tokens / max(seconds, 1e-9),
            "memory_bytes": measure_memory() + _measure_gpu(),
        }
        self._parts = {}
        self._batches = self._examples = self._tokens = 0
        return report

    def prepare_weights(self) -> None:
        """Called before every step and every evaluation."""


class JobCallback(TrainerCallback):
    """What happens at the ends of steps."""

    def __init__(self, trainer: JobTrainer) -> None:
        self.trainer, self.plan = trainer, trainer.plan
        self._since_report = self._began = time.monotonic()
        self._first_step = 0
        self.ended_early = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._since_report = self._began = time.monotonic()
        self._first_step = state.global_step
        if state.global_step == 0:
            self._evaluate(0)
            self._since_report = self._began = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.prepare_weights()
        release_free_memory()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One infinite gradient would spoil every weight, and the next checkpoint with them."""
        for name, parameter in self.trainer.model.named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                raise NotFiniteError(
                    f"expected finite gradients, got NaN or infinity in {name} at step "
                    f"{state.global_step + 1}; lower the learning rate."
                )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        schedule, step = self.plan.settings.schedule, state.global_step
        last = step >= self.plan.steps
        if step % schedule.log_steps == 0 or last:
            self._report(step)
        if self._is_any(self.plan.is_stopped()):
            self._end(control, "stopped")
        elif schedule.max_minutes and self._is_any(
            time.monotonic() - self._began > 60 * schedule.max_minutes
        ):
            self._end(control, f"ended after {schedule.max_minutes:g} minutes")
        ending = last or bool(self.ended_early and self.ended_early != "stopped")
        if step % schedule.eval_steps == 0 or ending:
            self._evaluate(step)
            if self._is_hopeless(step):
                self._end(control, f"no better dev result for {schedule.patience} evaluations")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seals the checkpoint once every process has written its part."""
        self.trainer.accelerator.wait_for_everyone()
        if not self.plan.reporter.main:
            return
        for name, parameter in self.trainer.model.named_parameters():
            if parameter.requires_grad and not torch.isfinite(parameter).all():
                raise NotFiniteError(
                    f"expected finite weights, got NaN or infinity in {name} at step "
                    f"{state.global_step}; lower the learning rate."
                )
        folder = self.plan.reporter.folder.checkpoints
        seal_checkpoint(folder / f"checkpoint-{state.global_step}")
        drop_old_checkpoints(folder)
        self.plan.reporter.summarize(
            steps_done=state.global_step, peak_memory_bytes=measure_peak_memory()
        )

    def _end(self, control: Any, reason: str) -> None:
        self.ended_early = self.ended_early or reason
        control.should_save = control.should_training_stop = True

    def _report(self, step: int) -> None:
        now = time.monotonic()
        seconds, self._since_report = now - self._since_report, now
        done = step - self._first_step
        self.plan.reporter.tell_step(
            step,
            learning_rate=float(self.trainer.lr_scheduler.get_last_lr()[0]),
            seconds=self.plan.reporter.seconds,
            eta_seconds=(self.plan.steps - step) * (now - self._began) / max(1, done),
            **self.trainer.take_report(seconds),
        )

    def _evaluate(self, step: int) -> None:
        if self.plan.evaluate is None:
            return
        began = time.monotonic()
        training = self.trainer.model.training
        self.trainer.model.eval()
        self.trainer.prepare_weights()
        try:
            evaluation = self.plan.evaluate(self.trainer)
        finally:
            self.trainer.model.train(training)
        reporter = self.plan.reporter
        seconds = time.monotonic() - began
        reporter.tell_evaluation(step, evaluation.measures, seconds, evaluation.detail)
        if step == 0:
            reporter.summarize(baseline=evaluation.measures)
        elif evaluation.value > read_best(reporter.folder).value:
            save_best(self.trainer, reporter, self.plan.base, step, evaluation.value)
            reporter.summarize(best=evaluation.measures, best_step=step)
        self._since_report += time.monotonic() - began

    def _is_hopeless(self, step: int) -> bool:
        schedule = self.plan.settings.schedule
        if not schedule.patience or self.plan.evaluate is None:
            return False
        best = read_best(self.plan.reporter.folder).step
        return self._is_any(step - best >= schedule.patience * schedule.eval_steps)

    def _is_any(self, mine: bool) -> bool:
        """Whether any process says so: they must all stop after the same step."""
        if self.trainer.args.world_size == 1:
            return mine
        flag = torch.tensor([float(mine)], device=self.trainer.args.device)
        return bool(self.trainer.accelerator.reduce(flag, reduction="sum").item() > 0)


def make_job_arguments(
    settings: TrainingSettings, folder: Any, steps: int, world: int
) -> TrainingArguments:
    """The Trainer's arguments: data in the order of the data set, no reporting of its own."""
    schedule = settings.schedule
    cpu = not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder.checkpoints),
        per_device_train_batch_size=schedule.batch,
        gradient_accumulation_steps=schedule.accumulation,
        max_steps=steps,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=schedule.scheduler,
        warmup_steps=round(schedule.warmup_share * steps),
        weight_decay=schedule.weight_decay,
        max_grad_norm=1.0,
        save_strategy="steps",
        save_steps=schedule.save_steps,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=settings.seed,
        bf16=settings.quantization != "fp32",
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if cpu and world > 1 else None,
        use_cpu=cpu,
    )


def _measure_gpu() -> int:
    return int(torch.cuda.memory_allocated()) if torch.cuda.is_available() else 0
