"""Stage 2 of any student: supervised fine-tuning of a LoRA adapter, loss on the answers only.

Takes settings and texts, returns a trainer ready to go. Chat students learn conversations
rendered by their own template; students that read digests learn prompts rendered already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer

from reranker.config import Profile, Stage2Profile, load_profile
from reranker.errors import InputError
from reranker.examples.load import TextData
from reranker.examples.record import TextExample
from reranker.jobs.settings import TrainingSettings
from reranker.student.hardware import choose_device
from reranker.student.load import load_base, load_tokenizer
from reranker.student.locate import resolve_weights
from reranker.student.quantize import keep_unpacked
from reranker.training.distill import add_trainable_adapter, count_steps
from reranker.training.job_trainer import Evaluation, JobPlan, JobTrainer, make_job_arguments
from reranker.training.packing import IGNORED, TokenizedExample, tokenize_example
from reranker.training.reporter import Reporter

DEV_LOSS = "loss"
SHOWN_CHARS = 300
"""Of a dev example's prompt, kept for whoever reads its loss."""


class SftTrainer(JobTrainer):
    """The mean over the answer tokens of a step, as the Trainer computes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.loss_is_scaled_for_ga: bool | None = (
            None  # the model divides by the answer tokens of the step
        )

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any
    ) -> torch.Tensor:
        examples, tokens = len(inputs["labels"]), int(inputs["attention_mask"].sum())
        loss = super().compute_loss(model, inputs, *args, **options)
        share = loss.detach() * self.current_gradient_accumulation_steps
        self.note_batch({"loss": share}, examples, tokens)
        return loss


class TextDataset(torch.utils.data.Dataset[TokenizedExample]):
    """`count` tokenised examples; every pass over them is in another order, from the seed."""

    def __init__(self, examples: Sequence[TokenizedExample], count: int, seed: int) -> None:
        self.examples, self.count, self.seed = examples, count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> TokenizedExample:
        if not 0 <= number < self.count:
            raise IndexError(number)
        epoch, place = divmod(number, len(self.examples))
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        order = torch.randperm(len(self.examples), generator=generator)
        return self.examples[int(order[place])]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCollator:
    """Pads on the right; padding and prompts carry no loss."""

    pad_id: int

    def __call__(self, items: Sequence[TokenizedExample]) -> dict[str, torch.Tensor]:
        longest = max(len(item.ids) for item in items)
        ids = torch.full((len(items), longest), self.pad_id)
        labels = torch.full((len(items), longest), IGNORED)
        mask = torch.zeros((len(items), longest), dtype=torch.long)
        for row, item in enumerate(items):
            size = len(item.ids)
            ids[row, :size] = torch.tensor(item.ids)
            mask[row, :size] = 1
            labels[row, item.learn_from : size] = ids[row, item.learn_from : size]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def build_sft(
    settings: TrainingSettings,
    data: TextData,
    reporter: Reporter,
    *,
    is_stopped: Callable[[], bool],
    world: int = 1,
) -> SftTrainer:
    """The trainer of a stage-2 job. Raises StudentError, QuantizationError and InputError."""
    profile = load_profile(settings.student)
    stage2 = _require_stage2(profile, data)
    weights = resolve_weights(stage2.base, profile.folder)
    tokenizer = load_tokenizer(weights)
    train, left_out = tokenize_texts(tokenizer, data.train, settings.max_tokens)
    dev, dev_left_out = _name_dev(tokenizer, data.dev, settings.max_tokens)
    if dev:
        reporter.keep_queries({name: shown for name, (shown, _) in dev.items()})
    if left_out + dev_left_out:
        reporter.tell(
            f"{left_out + dev_left_out} examples are longer than {settings.max_tokens} tokens and "
            "left out",
            level="warning",
        )
    if not train:
        raise InputError(
            f"expected examples of at most {settings.max_tokens} tokens, got only longer ones; "
            "raise max_tokens"
        )
    model = _load_trainable(settings, profile, stage2, weights)
    batch = settings.schedule.batch * settings.schedule.accumulation * world
    steps = count_steps(settings, len(train), batch)
    reporter.steps = steps
    pad_id = tokenizer.pad_token_id
    collator = TextCollator(pad_id=tokenizer.eos_token_id if pad_id is None else pad_id)
    plan = JobPlan(
        settings=settings,
        reporter=reporter,
        base=stage2.base,
        steps=steps,
        evaluate=_make_evaluation({n: e for n, (_, e) in dev.items()}, collator) if dev else None,
        is_stopped=is_stopped,
    )
    return SftTrainer(
        plan=plan,
        model=model,
        args=make_job_arguments(settings, reporter.folder, steps, world),
        train_dataset=TextDataset(train, steps * batch, settings.seed),
        data_collator=collator,
    )


def tokenize_texts(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[TextExample], max_tokens: int
) -> tuple[list[TokenizedExample], int]:
    """The examples with the loss on their answers, and how many were too long and left out."""
    kept, left_out = [], 0
    for example in examples:
        prompt, answer = render_example(tokenizer, example)
        tokenized = tokenize_example(tokenizer, prompt, answer)
        if len(tokenized.ids) > max_tokens:
            left_out += 1
        else:
            kept.append(tokenized)
    return kept, left_out


def _name_dev(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[TextExample], max_tokens: int
) -> tuple[dict[str, tuple[str, TokenizedExample]], int]:
    """name -> (what is asked, example) of those that are not too long, and how many are."""
    named = {}
    for number, example in enumerate(examples, start=1):
        kept, _ = tokenize_texts(tokenizer, [example], max_tokens)
        asked = example.messages[-1].content if example.messages else example.prompt
        if kept:
            named[f"dev-{number}"] = (asked[:SHOWN_CHARS], kept[0])
    return named, len(examples) - len(named)


def render_example(tokenizer: PreTrainedTokenizerBase, example: TextExample) -> tuple[str, str]:
    """(prompt, answer) as the student will see and write them, the end of turn included.

    A special token spelt out in the text is taken apart, so that no passage can end a turn.
    Raises InputError when the student has no chat template, or one that writes a prompt
    differently once it is answered.
    """
    if example.prompt:
        return example.prompt, example.answer
    if not tokenizer.chat_template:
        raise InputError(
            "expected a student with a chat template for conversations, got one without; give "
            'prompts that are rendered already (format "prompts")',
            where=example.where,
        )
    special = [t for t in tokenizer.all_special_tokens if len(t) > 1]
    special += [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
    messages = [
        {"role": m.role, "content": _spell_out(m.content, special)} for m in example.messages
    ]
    answered = {"role": "assistant", "content": _spell_out(example.answer, special)}
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([*messages, answered], tokenize=False)
    if not whole.startswith(prompt):
        raise InputError(
            "expected a chat template that only adds the answer to the prompt, got one that "
            "writes the prompt differently; give prompts that are rendered already "
            '(format "prompts")',
            where=example.where,
        )
    return prompt, whole[len(prompt) :]


def _spell_out(text: str, special: Sequence[str]) -> str:
    for token in special:
        text = text.replace(token, f"{token[:1]} {token[1:]}") if len(token) > 1 else text
    return text


def _require_stage2(profile: Profile, data: TextData) -> Stage2Profile:
    if profile.stage2 is None:
        raise InputError(
            f"expected a student with a stage 2, got {profile.name!r}; choose another student"
        )
    if profile.stage2.template == "digest" and not all(e.prompt for e in data.train):
        raise InputError(
            f"expected rendered prompts for student {profile.name!r}, whose stage 2 reads digests, "
            "got conversations; make them with reranker.training.reasoning (see docs/training.md) "
            'and set data.format to "prompts", or choose a chat student'
        )
    return profile.stage2


def _load_trainable(
    settings: TrainingSettings, profile: Profile, stage2: Stage2Profile, weights: str
) -> PeftModel:
    torch.manual_seed(settings.seed)
    base = load_base(
        weights, kind="causal", quantization=settings.quantization, device=choose_device()
    )
    keep_unpacked(base)
    adapter = resolve_weights(stage2.adapter, profile.folder) if stage2.adapter else ""
    return add_trainable_adapter(base, settings, "CAUSAL_LM", adapter)


def _make_evaluation(
    dev: Mapping[str, TokenizedExample], collator: TextCollator
) -> Callable[[Trainer], Evaluation]:
    """Mean loss per answer token over all dev examples, and of each; one at a time."""

    def evaluate(trainer: Trainer) -> Evaluation:
        model = trainer.model_wrapped if trainer.is_fsdp_enabled else trainer.model
        total, tokens = 0.0, 0
        values = {}
        for name, example in dev.items():
            batch = {k: v.to(trainer.args.device) for k, v in collator([example]).items()}
            count = len(example.ids) - max(1, example.learn_from)
            with torch.inference_mode():
                values[name] = float(model(**batch).loss)
            total += values[name] * count
            tokens += count
        loss = total / max(1, tokens)
        detail = {"tokens": tokens, "values": values}
        return Evaluation(value=-loss, measures={DEV_LOSS: loss}, detail=detail)

    return evaluate
