"""Stage-1 training: a LoRA adapter on the quantised base, distilled from a frozen teacher.

Takes SQuAD and a bi-encoder student, writes an adapter folder. The objective is the paper's:
(1 - alpha) x (cross-entropy + RankNet) + alpha x T^2 x KL from the teacher (see ensemble.py).
Knows nothing of stage 2.

    python -m reranker.training.stage1 --data DIR --out DIR [--steps N] [--main ce+ranknet]

Training resumes from the last checkpoint in --out when there is one.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedTokenizerBase, Trainer

from reranker.config import Stage1Profile, load_profile
from reranker.student.hardware import choose_device, choose_dtype
from reranker.student.load import load_base, load_tokenizer
from reranker.student.locate import resolve_weights
from reranker.student.quantize import keep_unpacked
from reranker.training.chunks import cut_passages
from reranker.training.ensemble import teach
from reranker.training.groups import GroupSampler, QueryGroup
from reranker.training.losses import hybrid_loss
from reranker.training.rounding import train_through_rounding
from reranker.training.schedule import (
    add_schedule_options,
    make_arguments,
    run_training,
    save_adapter,
)
from reranker.training.sources import read_squad, read_wiki
from reranker.types import Quantization

logger = logging.getLogger(__name__)

ROUNDED = "nf4-merged"
# Few adapter weights and many data: the base's own dropout would only cost, a quarter of a step.
NO_DROPOUT: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ROWS_TOGETHER = 16
"""Texts that share one forward pass; padding a group to its longest costs half as much."""

# The paper: LoRA r 32, alpha 64 on the attention and feed-forward projections. A base of 384
# hidden units needs less room; the ratio is kept.
TARGETS = r".*(query|key|value|attention\.output\.dense|intermediate\.dense|output\.dense)$"


class GroupDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """One query group an item, tokenised."""

    def __init__(
        self,
        sampler: GroupSampler,
        tokenizer: PreTrainedTokenizerBase,
        profile: Stage1Profile,
        count: int,
    ) -> None:
        self.sampler, self.tokenizer = sampler, tokenizer
        self.profile, self.count = profile, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not 0 <= number < self.count:
            raise IndexError(number)
        group: QueryGroup = self.sampler.sample(number)
        queries = [self.profile.query_template.format(query=query) for query in group.queries]
        texts = [
            self.profile.passage_template.format(title=p.title, text=p.text) for p in group.passages
        ]
        return {
            "queries": self._tokenize(queries, self.profile.max_query_tokens),
            "passages": self._tokenize(texts, self.profile.max_passage_tokens),
            "labels": torch.from_numpy(group.labels),
            "bm25": torch.from_numpy(group.bm25),
            "known": torch.from_numpy(group.known),
        }

    def _tokenize(self, texts: list[str], limit: int) -> dict[str, torch.Tensor]:
        batch = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=limit,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        words = batch["attention_mask"] * (1 - batch["special_tokens_mask"])
        return {
            "input_ids": batch["input_ids"],
            "attention_mask": batch["attention_mask"],
            "words": words,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """Texts as the model sees them: unit token vectors [texts, length, hidden], which of them
    stand for words [texts, length], unit pooled vectors [texts, hidden]."""

    tokens: torch.Tensor
    words: torch.Tensor
    pooled: torch.Tensor


def embed(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> Embedded:
    """`batch` (see GroupDataset) through the model, rows of like length together."""
    mask = batch["attention_mask"]
    lengths = mask.sum(1)
    order = lengths.argsort()
    parts = []
    for rows in order.split(ROWS_TOGETHER):
        length = int(lengths[rows].max())
        hidden = model(
            input_ids=batch["input_ids"][rows, :length], attention_mask=mask[rows, :length]
        ).last_hidden_state.float()
        parts.append(torch.nn.functional.pad(hidden, (0, 0, 0, mask.shape[1] - length)))
    hidden = torch.cat(parts)[order.argsort()]
    shown = mask.to(hidden.dtype)[..., None]
    pooled = (hidden * shown).sum(1) / shown.sum(1)
    normalize = torch.nn.functional.normalize
    return Embedded(
        tokens=normalize(hidden, dim=-1),
        words=batch["words"].bool(),
        pooled=normalize(pooled, dim=-1),
    )


def compare(queries: Embedded, passages: Embedded, profile: Stage1Profile) -> torch.Tensor:
    """Logits of every query against every passage, [queries, passages]; the same formula as
    BiEncoderScorer, differentiable."""
    similarity = torch.einsum("qih,pjh->qpij", queries.tokens, passages.tokens)
    similarity = similarity.masked_fill(~passages.words[None, :, None, :], float("-inf"))
    best = similarity.amax(dim=-1)
    counted = queries.words.to(best.dtype)[:, None, :]
    late = (best * counted).sum(-1) / counted.sum(-1)
    pooled = queries.pooled @ passages.pooled.T
    weight = profile.pooled_weight
    return profile.scale * (weight * pooled + (1 - weight) * late)


class DistillationTrainer(Trainer):
    """transformers' Trainer with the hybrid objective over query groups."""

    def __init__(
        self,
        *,
        teacher: torch.nn.Module,
        profile: Stage1Profile,
        objective: argparse.Namespace,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.teacher, self.profile, self.objective = teacher, profile, objective

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], **options: Any
    ) -> torch.Tensor:
        queries, passages = inputs["queries"], inputs["passages"]
        scores = compare(embed(model, queries), embed(model, passages), self.profile)
        with torch.no_grad():
            shown = embed(self.teacher, passages)
            taught = compare(embed(self.teacher, queries), shown, self.profile)
            taught = teach(taught, inputs["bm25"], shown.pooled, self.objective.bm25_weight)
        loss = hybrid_loss(
            scores,
            teacher_scores=taught,
            labels=inputs["labels"],
            main=self.objective.main,
            alpha=self.objective.alpha,
            temperature=self.objective.temperature,
            known=inputs["known"],
        )
        return loss.total


def train(options: argparse.Namespace) -> None:
    """Trains, or goes on training, and saves the adapter as it stands."""
    torch.manual_seed(options.seed)
    profile = load_profile(options.student)
    stage1 = replace(profile.stage1, max_passage_tokens=options.max_passage_tokens)
    if options.pooled_weight is not None:
        stage1 = replace(stage1, pooled_weight=options.pooled_weight)
    weights = resolve_weights(stage1.base, profile.folder)
    device = choose_device()
    rounded = options.quantization == ROUNDED
    stored: Quantization = "bf16" if rounded else options.quantization
    base = load_base(weights, kind="encoder", quantization=stored, device=device, **NO_DROPOUT)
    keep_unpacked(base)
    if rounded:
        # From the bf16 weights that are served: others would be rounded to other four bits.
        base = base.to(choose_dtype(device))
    teacher = load_base(
        weights, kind="encoder", quantization="bf16", device=device, dtype=choose_dtype(device)
    )
    adapter = LoraConfig(
        r=options.rank,
        lora_alpha=2 * options.rank,
        lora_dropout=0.0,
        target_modules=TARGETS,
        exclude_modules=r".*pooler.*",
        task_type="FEATURE_EXTRACTION",
    )
    model = get_peft_model(base, adapter, adapter_name="default")
    model.print_trainable_parameters()
    passages, questions = read_squad(options.data)
    wiki = islice(read_wiki(options.data), options.wiki)
    sampler = GroupSampler(
        cut_passages([*passages, *wiki], options.seed),
        questions,
        queries=options.queries,
        negatives=options.negatives,
        made_share=options.made_share,
        seed=options.seed,
    )
    trainer = DistillationTrainer(
        teacher=teacher.requires_grad_(False),
        profile=stage1,
        objective=options,
        model=model,
        args=make_arguments(
            options,
            lr_scheduler_type="cosine",
            warmup_steps=20,
            logging_steps=10,
            remove_unused_columns=False,
        ),
        train_dataset=GroupDataset(sampler, load_tokenizer(weights), stage1, options.steps),
        data_collator=_take_only,
    )
    with train_through_rounding(model) if rounded else nullcontext():
        run_training(trainer, options)
    save_adapter(trainer, options, stage1.base)


def _take_only(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A group is a batch already."""
    (item,) = items
    return item


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with squad/")
    parser.add_argument("--student", default="mini")
    parser.add_argument(
        "--quantization", choices=(ROUNDED, "nf4", "bf16", "fp32"), default=ROUNDED,
        help=f"of the base; {ROUNDED}: base and adapter together, rounded as they are served",
    )  # fmt: skip
    parser.add_argument("--main", choices=("ce", "ranknet", "ce+ranknet"), default="ce+ranknet")
    parser.add_argument("--alpha", type=float, default=0.1, help="weight of the KL part")
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--bm25-weight", type=float, default=0.1, help="BM25 in the teacher")
    parser.add_argument("--rank", type=int, default=16, help="of the LoRA matrices")
    parser.add_argument("--queries", type=int, default=12, help="queries in a group")
    parser.add_argument("--negatives", type=int, default=4, help="passages drawn per query")
    parser.add_argument("--made-share", type=float, default=0.4, help="queries made from chunks")
    parser.add_argument("--wiki", type=int, default=40_000, help="wiki paragraphs beside SQuAD")
    parser.add_argument("--max-passage-tokens", type=int, default=160)
    parser.add_argument(
        "--pooled-weight", type=float,
        help="share of pooled embeddings in what is trained, the rest is late interaction; the "
        "student's own unless given",
    )  # fmt: skip
    add_schedule_options(parser, steps=1500, learning_rate=1e-4, batch=1)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(options)


if __name__ == "__main__":
    main()
