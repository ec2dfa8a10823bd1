"""Differentiable stage-1 scores of whole lists, for both forms.

Takes a model and tokenised lists, returns logits [queries, passages] by the formulas that the
scorers of reranker/stage1 serve. Knows no loss and no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from reranker.config import Stage1Profile
from reranker.training.stage1 import embed
from reranker.types import Passage

Tokens = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListTokenizer:
    """Turns queries with their lists into token tensors, as the profile's form wants them."""

    tokenizer: PreTrainedTokenizerBase
    profile: Stage1Profile

    def tokenize(
        self, queries: Sequence[str], lists: Sequence[Sequence[Passage]]
    ) -> dict[str, Tokens]:
        """lists: as many passages for every query. {"queries", "passages"} for a bi-encoder, with
        passages query by query; {"pairs"} for a cross-encoder."""
        profile = self.profile
        asked = [profile.query_template.format(query=query) for query in queries]
        passages = [self._format(passage) for row in lists for passage in row]
        if profile.form == "biencoder":
            return {
                "queries": self._encode(asked, profile.max_query_tokens),
                "passages": self._encode(passages, profile.max_passage_tokens),
            }
        size = len(lists[0])
        firsts = [self._cut(text, profile.max_query_tokens) for text in asked for _ in range(size)]
        seconds = [self._cut(text, profile.max_passage_tokens) for text in passages]
        pairs = self.tokenizer(
            firsts,
            seconds,
            split_special_tokens=True,
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
        return {"pairs": dict(pairs)}

    def _format(self, passage: Passage) -> str:
        """The text the scorers read: a bi-encoder leaves out the place of an absent title."""
        template = self.profile.passage_template
        if self.profile.form == "biencoder" and not passage.title:
            template = "{text}"
        text = template.format(title=passage.title, text=passage.text)
        return text if self.profile.form == "biencoder" else text.strip()

    def _encode(self, texts: list[str], limit: int) -> Tokens:
        """As `embed` wants them; in a text without a word every token counts, as when serving."""
        batch = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=limit,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        mask = batch["attention_mask"]
        words = mask * (1 - batch["special_tokens_mask"])
        words = torch.where(words.any(dim=1, keepdim=True), words, mask)
        return {"input_ids": batch["input_ids"], "attention_mask": mask, "words": words}

    def _cut(self, text: str, limit: int) -> str:
        offsets = self.tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            verbose=False,
        )["offset_mapping"]
        return text if len(offsets) <= limit else text[: offsets[limit - 1][1]]


def score_lists(
    model: Any, batch: dict[str, Tokens], profile: Stage1Profile, queries: int
) -> Tensor:
    """Logits [queries, passages] in single precision, with gradients."""
    if profile.form == "crossencoder":
        logits: Tensor = model(**batch["pairs"]).logits
        return logits.float().reshape(queries, -1)
    asked, shown = embed(model, batch["queries"]), embed(model, batch["passages"])
    tokens = shown.tokens.reshape(queries, -1, *shown.tokens.shape[1:])
    pooled = shown.pooled.reshape(queries, -1, shown.pooled.shape[-1])
    words = shown.words.reshape(queries, -1, 1, shown.words.shape[-1])
    similarity = torch.einsum("qih,qpjh->qpij", asked.tokens, tokens)
    best = similarity.masked_fill(~words, float("-inf")).amax(dim=-1)
    counted = asked.words.to(best.dtype)[:, None, :]
    late = (best * counted).sum(-1) / counted.sum(-1)
    alike = torch.einsum("qh,qph->qp", asked.pooled, pooled)
    weight = profile.pooled_weight
    return profile.scale * (weight * alike + (1 - weight) * late)
