"""Stage 1 of any student: a LoRA adapter by labels and by a frozen teacher's scores.

Takes settings and read data, returns a trainer ready to go. The form (bi-encoder or
cross-encoder) is the profile's; nothing else here depends on it. Knows no job and no file of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, Trainer

from reranker.config import Profile, Stage1Profile, load_profile
from reranker.errors import InputError
from reranker.examples.load import RankingData
from reranker.jobs.settings import TrainingSettings
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.stage1.crossencoder import CrossEncoderScorer
from reranker.stage1.scorer import Scorer
from reranker.student.hardware import choose_device
from reranker.student.load import (
    load_base,
    load_tokenizer,
    widen_head,
)
from reranker.student.locate import fetch_adapter, resolve_weights
from reranker.student.quantize import keep_unpacked
from reranker.training.job_trainer import Evaluation, JobPlan, JobTrainer, make_job_arguments
from reranker.training.lists import ListCollator, ListDataset, make_list_tokenizer
from reranker.training.meter import NDCG, DevMeter
from reranker.training.objective import Targets, compute_objective
from reranker.training.reporter import Reporter
from reranker.training.rounding import refresh_rounding, train_through_rounding
from reranker.training.scoring import score_lists
from reranker.training.teacher import make_teacher
from reranker.types import Quantization

ATTENTION = r".*(query|key|value|attention\.output\.dense|[qkvo]_proj)$"
ALL = "all-linear"
UNTRAINED = r".*pooler.*"
DEV_CACHE = 20_000


class DistillTrainer(JobTrainer):
    """The objective over batches of lists. rounded: base and adapter together are rounded to
    4 bits in every step, as a bi-encoder is served."""

    def __init__(self, *, profile: Stage1Profile, rounded: bool, **options: Any) -> None:
        super().__init__(**options)
        self.profile, self.rounded = profile, rounded

    def train(self, *args: Any, **options: Any) -> Any:
        with train_through_rounding(self.model) if self.rounded else nullcontext():
            return super().train(*args, **options)

    def prepare_weights(self) -> None:
        if self.rounded:
            refresh_rounding(self.model)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any
    ) -> torch.Tensor:
        labels = inputs["labels"]
        scores = score_lists(model, inputs, self.profile, len(labels))
        targets = Targets(labels=labels, teacher=inputs.get("teacher"), mask=inputs["known"])
        objective = compute_objective(scores, targets, self.plan.settings.objective)
        tokens = sum(
            int(part["attention_mask"].sum()) for part in inputs.values() if isinstance(part, dict)
        )
        self.note_batch({"loss": objective.total, **objective.parts}, len(labels), tokens)
        return objective.total


@dataclass(frozen=True, slots=True)
class _Served:
    """A model in training as the scorers want it: callable, and on a device."""

    model: Any
    device: torch.device

    def __call__(self, **tokens: torch.Tensor) -> Any:
        return self.model(**tokens)


def build_distillation(
    settings: TrainingSettings,
    data: RankingData,
    reporter: Reporter,
    *,
    is_stopped: Callable[[], bool],
    world: int = 1,
) -> DistillTrainer:
    """The trainer of a stage-1 job. Raises StudentError, QuantizationError and InputError."""
    profile = load_profile(settings.student)
    stage1 = _set_lengths(profile.stage1, settings)
    device = choose_device()
    teacher = make_teacher(settings.teacher, profile, device=device)
    weights = resolve_weights(stage1.base, profile.folder)
    tokenizer = make_list_tokenizer(load_tokenizer(weights), stage1)
    model = load_trainable(settings, profile, stage1, tokenizer.tokenizer, device)
    batch = settings.schedule.batch * settings.schedule.accumulation * world
    steps = count_steps(settings, len(data.train), batch)
    reporter.steps = steps
    dataset = ListDataset(
        data.train,
        data.retriever,
        teacher,
        size=settings.data.passages,
        mining_depth=settings.data.mining_depth,
        count=steps * batch,
        seed=settings.seed,
    )
    evaluate = None
    if data.dev:
        reporter.tell("asks the teacher about the dev queries" if teacher else "reads dev queries")
        reporter.keep_queries({dev.query.query_id: dev.query.text for dev in data.dev})
        meter = DevMeter(data.dev, teacher)
        evaluate = _make_evaluation(meter, stage1, tokenizer.tokenizer)
    plan = JobPlan(
        settings=settings,
        reporter=reporter,
        base=stage1.base,
        steps=steps,
        evaluate=evaluate,
        is_stopped=is_stopped,
    )
    return DistillTrainer(
        plan=plan,
        profile=stage1,
        rounded=is_rounded(settings, stage1),
        model=model,
        args=make_job_arguments(settings, reporter.folder, steps, world),
        train_dataset=dataset,
        data_collator=ListCollator(lists=tokenizer),
    )


def count_steps(settings: TrainingSettings, examples: int, batch: int) -> int:
    """Optimizer steps: those asked for, or enough for the epochs."""
    schedule = settings.schedule
    if schedule.epochs > 0:
        return max(1, math.ceil(schedule.epochs * examples / batch))
    return schedule.steps


def load_trainable(
    settings: TrainingSettings,
    profile: Profile,
    stage1: Stage1Profile,
    tokenizer: Any,
    device: str,
) -> PeftModel:
    """The base with the adapter to train. The seed makes a fresh adapter and head the same."""
    torch.manual_seed(settings.seed)
    weights = resolve_weights(stage1.base, profile.folder)
    options: dict[str, Any] = {}
    kind = "encoder"
    if stage1.form == "crossencoder":
        kind, options = "sequence", {"num_labels": 1, "head_follows": True}
    stored: Quantization = "bf16" if is_rounded(settings, stage1) else settings.quantization
    base = load_base(weights, kind=kind, quantization=stored, device=device, **options)
    keep_unpacked(base)
    silence_dropout(base)
    if kind == "sequence":
        base.config.pad_token_id = tokenizer.pad_token_id
    task = "SEQ_CLS" if kind == "sequence" else "FEATURE_EXTRACTION"
    adapter = resolve_weights(stage1.adapter, profile.folder) if stage1.adapter else ""
    model = add_trainable_adapter(base, settings, task, adapter)
    if kind == "sequence":
        widen_head(model)
    return model


def is_rounded(settings: TrainingSettings, stage1: Stage1Profile) -> bool:
    """Whether training goes through the 4-bit rounding of the merged weights. A cross-encoder is
    served as a 4-bit base with its adapter beside it, and is trained so (QLoRA)."""
    return settings.quantization == "nf4" and stage1.form == "biencoder"


def silence_dropout(base: torch.nn.Module) -> None:
    """Switches off the base's own dropout: an adapter has few weights, and its own."""
    for module in base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def add_trainable_adapter(
    base: PreTrainedModel, settings: TrainingSettings, task: str, adapter: str
) -> PeftModel:
    """`base` with a fresh LoRA adapter, or with the one in `adapter` to go on with.

    Raises InputError when there is none to go on with.
    """
    lora = settings.lora
    if settings.gradient_checkpointing:
        base.gradient_checkpointing_enable({"use_reentrant": False})
        base.enable_input_require_grads()
    if lora.start == "student":
        if not adapter:
            raise InputError(
                "expected a student with an adapter to go on from, got one without; set "
                'lora.start to "fresh"'
            )
        folder = str(fetch_adapter(adapter))
        return PeftModel.from_pretrained(base, folder, is_trainable=True)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=ATTENTION if lora.targets == "attention" else ALL,
        exclude_modules=UNTRAINED,
        task_type=task,
    )
    return get_peft_model(base, config)


def _set_lengths(stage1: Stage1Profile, settings: TrainingSettings) -> Stage1Profile:
    return replace(
        stage1,
        max_query_tokens=settings.max_query_tokens or stage1.max_query_tokens,
        max_passage_tokens=settings.max_passage_tokens or stage1.max_passage_tokens,
    )


def _make_evaluation(
    meter: DevMeter, stage1: Stage1Profile, tokenizer: Any
) -> Callable[[Trainer], Evaluation]:
    def evaluate(trainer: Trainer) -> Evaluation:
        # Sharded weights can only be used through the wrapped model; all processes measure.
        model = trainer.model_wrapped if trainer.is_fsdp_enabled else trainer.model
        result = meter.measure(_make_scorer(model, trainer.args.device, tokenizer, stage1))
        detail = {"values": result.values, "run": result.run}
        return Evaluation(value=result.measures[NDCG], measures=result.measures, detail=detail)

    return evaluate


def _make_scorer(model: Any, device: torch.device, tokenizer: Any, stage1: Stage1Profile) -> Scorer:
    if stage1.form == "biencoder":
        served: Any = _Served(model, device)
        return BiEncoderScorer(served, tokenizer, stage1, cached_passages=DEV_CACHE)

    def classify(
        ids: torch.Tensor, mask: torch.Tensor, extra: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        moved = {name: tensor.to(device) for name, tensor in extra.items()}
        return model(input_ids=ids.to(device), attention_mask=mask.to(device), **moved).logits

    return CrossEncoderScorer(classify, tokenizer, stage1)
