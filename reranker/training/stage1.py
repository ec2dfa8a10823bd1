"""Stage-1 training: a LoRA adapter on the quantised base, distilled from a frozen teacher.

Takes SQuAD and a bi-encoder student, writes an adapter folder. The objective is the paper's:
(1 - alpha) x (cross-entropy + RankNet) + alpha x T^2 x KL from the teacher. The teacher is the
same base unquantised and unadapted, its scores blended with BM25. Knows nothing of stage 2.

    python -m reranker.training.stage1 --data DIR --out DIR [--steps N] [--main ce+ranknet]

Training resumes from the last checkpoint in --out when there is one.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedTokenizerBase, Trainer

from reranker.config import Stage1Profile, load_profile
from reranker.student.load import choose_device, keep_unpacked, load_base, load_tokenizer
from reranker.student.locate import resolve_weights
from reranker.training.groups import GroupSampler, QueryGroup
from reranker.training.losses import hybrid_loss
from reranker.training.schedule import (
    add_schedule_options,
    make_arguments,
    run_training,
    save_adapter,
)
from reranker.training.sources import read_squad

logger = logging.getLogger(__name__)

# The paper: LoRA r 32, alpha 64, dropout 0.1 on the attention and feed-forward projections.
# A base of 384 hidden units needs less room; the ratio and the dropout are kept.
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
            texts, padding=True, truncation=True, max_length=limit, return_tensors="pt"
        )
        return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}


def score_all(
    model: torch.nn.Module,
    queries: dict[str, torch.Tensor],
    passages: dict[str, torch.Tensor],
    profile: Stage1Profile,
) -> torch.Tensor:
    """Logits of every query against every passage, [queries, passages]; the same formula as
    BiEncoderScorer, differentiable."""
    query_tokens, query_pooled = _embed(model, queries)
    passage_tokens, passage_pooled = _embed(model, passages)
    similarity = torch.einsum("qih,pjh->qpij", query_tokens, passage_tokens)
    hidden = ~passages["attention_mask"].bool()
    similarity = similarity.masked_fill(hidden[None, :, None, :], float("-inf"))
    best = similarity.amax(dim=-1)
    counted = queries["attention_mask"].to(best.dtype)[:, None, :]
    late = (best * counted).sum(-1) / counted.sum(-1)
    pooled = query_pooled @ passage_pooled.T
    weight = profile.pooled_weight
    return profile.scale * (weight * pooled + (1 - weight) * late)


def _embed(
    model: torch.nn.Module, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit token vectors [texts, length, hidden] and unit pooled vectors [texts, hidden]."""
    hidden = model(**batch).last_hidden_state.float()
    mask = batch["attention_mask"].to(hidden.dtype)[..., None]
    pooled = (hidden * mask).sum(1) / mask.sum(1)
    normalize = torch.nn.functional.normalize
    return normalize(hidden, dim=-1), normalize(pooled, dim=-1)


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
        scores = score_all(model, inputs["queries"], inputs["passages"], self.profile)
        with torch.no_grad():
            taught = score_all(self.teacher, inputs["queries"], inputs["passages"], self.profile)
            taught = taught + self.objective.bm25_weight * _match_spread(inputs["bm25"], taught)
        loss = hybrid_loss(
            scores,
            teacher_scores=taught,
            labels=inputs["labels"],
            main=self.objective.main,
            alpha=self.objective.alpha,
            temperature=self.objective.temperature,
            mask=inputs["known"],
        )
        return loss.total


def _match_spread(scores: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`scores` z-scored per query and given the spread of `like`."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    spread = scores.std(dim=1, keepdim=True).clamp_min(1e-6)
    return centred / spread * like.std(dim=1, keepdim=True)


def train(options: argparse.Namespace) -> None:
    """Trains, or goes on training, and saves the adapter as it stands."""
    torch.manual_seed(options.seed)
    profile = load_profile(options.student)
    stage1 = replace(profile.stage1, max_passage_tokens=options.max_passage_tokens)
    weights = resolve_weights(stage1.base, profile.folder)
    device = choose_device()
    base = load_base(weights, kind="encoder", quantization=options.quantization, device=device)
    keep_unpacked(base)
    teacher = load_base(weights, kind="encoder", quantization="bf16", device=device)
    adapter = LoraConfig(
        r=options.rank,
        lora_alpha=2 * options.rank,
        lora_dropout=0.1,
        target_modules=TARGETS,
        exclude_modules=r".*pooler.*",
        task_type="FEATURE_EXTRACTION",
    )
    model = get_peft_model(base, adapter, adapter_name="default")
    model.print_trainable_parameters()
    passages, questions = read_squad(options.data)
    sampler = GroupSampler(
        passages,
        questions,
        queries=options.queries,
        negatives=options.negatives,
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
    parser.add_argument("--quantization", choices=("nf4", "bf16", "fp32"), default="nf4")
    parser.add_argument("--main", choices=("ce", "ranknet", "ce+ranknet"), default="ce+ranknet")
    parser.add_argument("--alpha", type=float, default=0.1, help="weight of the KL part")
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--bm25-weight", type=float, default=0.3, help="BM25 in the teacher")
    parser.add_argument("--rank", type=int, default=16, help="of the LoRA matrices")
    parser.add_argument("--queries", type=int, default=8, help="queries in a group")
    parser.add_argument("--negatives", type=int, default=3, help="passages drawn per query")
    parser.add_argument("--max-passage-tokens", type=int, default=160)
    add_schedule_options(parser, steps=300, learning_rate=1e-4, batch=1)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(options)


if __name__ == "__main__":
    main()
