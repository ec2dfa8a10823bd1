"""Settings to begin with: quick for a laptop, paper for what DeAR was trained with.

Takes a preset's name, stage and student, returns settings. The paper's figures are those of
arXiv 2508.16998 and its published code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from reranker.config import DEFAULT_STUDENT
from reranker.jobs.settings import (
    BASE,
    DataSettings,
    LoraSettings,
    ObjectiveSettings,
    ScheduleSettings,
    Stage,
    TeacherSettings,
    TrainingSettings,
)

Preset = Literal["quick", "paper", "custom"]
PRESETS: tuple[Preset, ...] = ("quick", "paper", "custom")


def make_settings(
    preset: Preset, stage: Stage, student: str = DEFAULT_STUDENT, data: DataSettings | None = None
) -> TrainingSettings:
    """The preset's settings; "custom" starts from quick and may be changed everywhere.

    quick: some minutes on two cores. paper: LoRA r 32, alpha 64, dropout 0.1, learning rate
    1e-4, two epochs, lengths 32 and 196, alpha 0.1, T 2 for stage 1; LoRA r 16, learning rate
    1e-4 for stage 2.
    """
    settings = TrainingSettings(stage=stage, student=student, preset=preset)
    if stage == "stage1":
        settings = _paper_stage1(settings) if preset == "paper" else _quick_stage1(settings)
    else:
        settings = _paper_stage2(settings) if preset == "paper" else _quick_stage2(settings)
    return replace(settings, data=data) if data else settings


def _quick_stage1(settings: TrainingSettings) -> TrainingSettings:
    return replace(
        settings,
        teacher=TeacherSettings(weights=BASE, bm25_weight=0.3),
        objective=ObjectiveSettings(main="ce+ranknet", alpha=0.1, temperature=2.0),
        lora=LoraSettings(start="student"),
        schedule=ScheduleSettings(steps=60, batch=4, learning_rate=2e-4, save_steps=20),
        max_passage_tokens=128,
    )


def _paper_stage1(settings: TrainingSettings) -> TrainingSettings:
    return replace(
        settings,
        teacher=TeacherSettings(weights=BASE),
        objective=ObjectiveSettings(main="ce+ranknet", alpha=0.1, temperature=2.0),
        lora=LoraSettings(rank=32, alpha=64, dropout=0.1, start="fresh"),
        schedule=ScheduleSettings(
            epochs=2, batch=2, learning_rate=1e-4, save_steps=200, eval_steps=200, log_steps=10
        ),
        max_query_tokens=32,
        max_passage_tokens=196,
    )


def _quick_stage2(settings: TrainingSettings) -> TrainingSettings:
    return replace(
        settings,
        data=DataSettings(format="dear-cot", train="", dev_share=0.1),
        objective=ObjectiveSettings(main="ce", alpha=0.0),
        lora=LoraSettings(start="student", dropout=0.05),
        schedule=ScheduleSettings(steps=40, batch=2, learning_rate=2e-4, save_steps=20),
    )


def _paper_stage2(settings: TrainingSettings) -> TrainingSettings:
    return replace(
        _quick_stage2(settings),
        lora=LoraSettings(rank=16, alpha=32, dropout=0.05, start="fresh"),
        schedule=ScheduleSettings(
            epochs=3, batch=1, accumulation=8, learning_rate=1e-4, save_steps=200, eval_steps=200
        ),
        max_tokens=4096,
    )
