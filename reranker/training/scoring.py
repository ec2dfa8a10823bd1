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
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=limit, return_tensors="pt"
        )
        return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}

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
    query_tokens, query_pooled = _embed(model, batch["queries"])
    passage_tokens, passage_pooled = _embed(model, batch["passages"])
    passage_tokens = passage_tokens.reshape(queries, -1, *passage_tokens.shape[1:])
    passage_pooled = passage_pooled.reshape(queries, -1, passage_pooled.shape[-1])
    similarity = torch.einsum("qih,qpjh->qpij", query_tokens, passage_tokens)
    hidden = ~batch["passages"]["attention_mask"].bool()
    hidden = hidden.reshape(queries, -1, 1, hidden.shape[-1])
    best = similarity.masked_fill(hidden, float("-inf")).amax(dim=-1)
    counted = batch["queries"]["attention_mask"].to(best.dtype)[:, None, :]
    late = (best * counted).sum(-1) / counted.sum(-1)
    pooled = torch.einsum("qh,qph->qp", query_pooled, passage_pooled)
    weight = profile.pooled_weight
    return profile.scale * (weight * pooled + (1 - weight) * late)


def _embed(model: Any, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Unit token vectors [texts, length, hidden] and unit pooled vectors [texts, hidden]."""
    hidden = model(**tokens).last_hidden_state.float()
    mask = tokens["attention_mask"].to(hidden.dtype)[..., None]
    pooled = (hidden * mask).sum(1) / mask.sum(1)
    normalize = torch.nn.functional.normalize
    return normalize(hidden, dim=-1), normalize(pooled, dim=-1)
