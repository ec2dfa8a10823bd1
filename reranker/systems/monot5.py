"""MonoT5: how sure a T5 is that "true" follows a query and a passage.

Takes a query and texts, returns log-probabilities (Nogueira, Jiang, Pradeep and Lin 2020): the
log-softmax over the logits of "true" and "false" at the first decoded token, that of "true".
Knows torch; knows nothing of ranking.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reranker.errors import CancelledError, StudentError
from reranker.progress import Cancelled
from reranker.stage1.batches import plan_batches
from reranker.student.load import load_base, load_tokenizer
from reranker.systems.prompt import encode, encode_fitting
from reranker.types import Quantization

MAX_TOKENS = 512
TOKEN_BUDGET = 8192


class MonoT5Scorer:
    """Scores with a T5 that was trained to say `words`[0] for relevant and `words`[1] for not."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        words: tuple[str, str] = ("true", "false"),
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.model, self.tokenizer, self.max_tokens = model, tokenizer, max_tokens
        self.answers = [_find_token(tokenizer, word) for word in words]

    def score(self, query: str, texts: Sequence[str], *, cancelled: Cancelled) -> list[float]:
        """Natural logarithms, 0 at most. Raises CancelledError between batches."""
        rows = [
            encode_fitting(
                self.tokenizer,
                lambda text: f"Query: {query} Document: {text} Relevant:",
                text,
                self.max_tokens,
            )
            for text in texts
        ]
        scores = [0.0] * len(rows)
        for batch in plan_batches([len(row) for row in rows], TOKEN_BUDGET):
            if cancelled():
                raise CancelledError("MonoT5 was stopped")
            for place, score in zip(batch, self._classify([rows[p] for p in batch]), strict=True):
                scores[place] = score
        return scores

    def _classify(self, rows: list[list[int]]) -> list[float]:
        device = self.model.device
        padded = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt", padding_side="right")
        start = self.model.config.decoder_start_token_id
        with torch.inference_mode():
            logits = self.model(
                input_ids=padded["input_ids"].to(device),
                attention_mask=padded["attention_mask"].to(device),
                decoder_input_ids=torch.full((len(rows), 1), start, device=device),
            ).logits[:, 0, self.answers]
        values: list[float] = torch.log_softmax(logits.float(), dim=-1)[:, 0].tolist()
        return values


def load_monot5(weights: str, quantization: Quantization, device: str) -> MonoT5Scorer:
    """A MonoT5 from a folder or hub id. Raises StudentError."""
    model = load_base(weights, kind="seq2seq", quantization=quantization, device=device)
    return MonoT5Scorer(model, load_tokenizer(weights))


def _find_token(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    ids = encode(tokenizer, word, special=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise StudentError(
            f"expected a tokenizer with {word!r} as one token, got {len(ids)}; choose a MonoT5 "
            "checkpoint, such as castorini/monot5-base-msmarco"
        )
    return ids[0]
