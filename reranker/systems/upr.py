"""UPR: how likely a language model finds the query after reading the passage.

Takes a query and texts, returns the mean log-probability of the query's tokens (Sachan et al.
2022), each given the passage, the instruction and the tokens before it. Knows torch; knows
nothing of ranking. With an encoder-decoder the query is what is decoded, up to and with its end
token; with a causal model it follows the instruction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reranker.errors import CancelledError, InputError
from reranker.progress import Cancelled
from reranker.stage1.batches import plan_batches
from reranker.student.load import load_base, load_config, load_tokenizer
from reranker.systems.prompt import encode, encode_fitting
from reranker.types import Quantization

MAX_TOKENS = 512
TOKEN_BUDGET = 8192


class QueryLikelihoodScorer:
    """Scores by the likelihood of the query; the model's form is read from its configuration."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.model, self.tokenizer, self.max_tokens = model, tokenizer, max_tokens
        self.decodes = bool(model.config.is_encoder_decoder)
        self.pad = next(
            token
            for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
            if token is not None
        )

    def score(self, query: str, texts: Sequence[str], *, cancelled: Cancelled) -> list[float]:
        """Mean natural logarithms a token. Raises CancelledError between batches."""
        question = encode(self.tokenizer, query, special=self.decodes)
        if not question:
            raise InputError("expected a query with at least one token, got none; type one")
        if not self.decodes:
            question = encode(self.tokenizer, f" {query}", special=False)
        rows = [
            encode_fitting(self.tokenizer, write_prompt, text, self.max_tokens) for text in texts
        ]
        lengths = [len(row) + len(question) for row in rows]
        scores = [0.0] * len(rows)
        measure = self._decode if self.decodes else self._continue
        for batch in plan_batches(lengths, TOKEN_BUDGET):
            if cancelled():
                raise CancelledError("UPR was stopped")
            found = measure([rows[place] for place in batch], question)
            for place, score in zip(batch, found, strict=True):
                scores[place] = score
        return scores

    def _decode(self, rows: list[list[int]], question: list[int]) -> list[float]:
        ids, mask = self._pad(rows, left=False)
        labels = torch.tensor([question] * len(rows), device=self.model.device)
        with torch.inference_mode():
            logits = self.model(input_ids=ids, attention_mask=mask, labels=labels).logits
        return _mean_log_probability(logits, question)

    def _continue(self, rows: list[list[int]], question: list[int]) -> list[float]:
        """Padded on the left, so that the question stands at the same places in every row."""
        ids, mask = self._pad([row + question for row in rows], left=True)
        with torch.inference_mode():
            logits = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
                use_cache=False,
                logits_to_keep=len(question) + 1,
            ).logits[:, :-1]
        return _mean_log_probability(logits, question)

    def _pad(self, rows: list[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.pad)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            place = slice(longest - len(row), longest) if left else slice(0, len(row))
            ids[number, place] = torch.tensor(row)
            mask[number, place] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


def write_prompt(text: str) -> str:
    """What a model reads before the query, in the form UPR found to work best."""
    return f"Passage: {text}. Please write a question based on this passage."


def load_upr(weights: str, quantization: Quantization, device: str) -> QueryLikelihoodScorer:
    """A T5 (such as T0) or a causal model from a folder or hub id. Raises StudentError."""
    kind = "seq2seq" if is_encoder_decoder(weights) else "causal"
    model = load_base(weights, kind=kind, quantization=quantization, device=device)
    return QueryLikelihoodScorer(model, load_tokenizer(weights))


def is_encoder_decoder(weights: str) -> bool:
    """Whether the configuration beside the weights says so. Raises StudentError."""
    return bool(load_config(weights).is_encoder_decoder)


def _mean_log_probability(logits: torch.Tensor, question: list[int]) -> list[float]:
    """[rows, tokens, vocabulary] to one mean a row, in fp32."""
    wanted = torch.tensor(question, device=logits.device).expand(len(logits), -1).unsqueeze(-1)
    chosen = torch.log_softmax(logits.float(), dim=-1).gather(2, wanted).squeeze(-1)
    values: list[float] = chosen.mean(dim=1).tolist()
    return values
