"""Cross-encoders as sentence-transformers publishes them: one logit a (query, passage) pair.

Takes a query and texts, returns raw logits; sentence-transformers' own `predict` puts a sigmoid
over the same, which orders alike. Knows torch; knows nothing of ranking.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reranker.errors import CancelledError, StudentError
from reranker.progress import Cancelled
from reranker.stage1.batches import plan_batches
from reranker.student.load import load_base, load_tokenizer, widen_head
from reranker.types import Quantization

MAX_TOKENS = 512
TOKEN_BUDGET = 8192


class CrossEncoderScorer:
    """Scores with a one-output sequence-classification model over text pairs."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.max_tokens = min(max_tokens, tokenizer.model_max_length)
        if model.config.num_labels != 1:
            raise StudentError(
                "expected a cross-encoder with one output, got "
                f"{model.config.num_labels}; choose one trained for ranking"
            )

    def score(self, query: str, texts: Sequence[str], *, cancelled: Cancelled) -> list[float]:
        """Raw logits. The longer of query and passage is cut first. Raises CancelledError."""
        if not texts:
            return []
        pairs = self.tokenizer(
            [query] * len(texts),
            list(texts),
            truncation="longest_first",
            max_length=self.max_tokens,
            split_special_tokens=True,
            verbose=False,
        )
        lengths = [len(ids) for ids in pairs["input_ids"]]
        scores = [0.0] * len(texts)
        for batch in plan_batches(lengths, TOKEN_BUDGET):
            if cancelled():
                raise CancelledError("the cross-encoder was stopped")
            rows = {name: [values[place] for place in batch] for name, values in pairs.items()}
            padded = self.tokenizer.pad(rows, return_tensors="pt", padding_side="right")
            with torch.inference_mode():
                logits = self.model(**padded.to(self.model.device)).logits
            for place, score in zip(batch, logits.float().reshape(-1).tolist(), strict=True):
                scores[place] = score
        return scores


def load_crossencoder(weights: str, quantization: Quantization, device: str) -> CrossEncoderScorer:
    """A cross-encoder from a folder or hub id. Raises StudentError."""
    model = load_base(weights, kind="sequence", quantization=quantization, device=device)
    widen_head(model)
    return CrossEncoderScorer(model, load_tokenizer(weights))
