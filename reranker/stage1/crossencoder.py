"""The cross-encoder form: query and passage are read together by a one-output head.

Takes a query and passages, returns `PassageScore`s. `CrossEncoderScorer` works with a
sequence-classification model, and with a causal base that carries the LoRA adapter of one
(see student/load.py: then the head is a vector applied to the last token). Knows nothing of BM25.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from reranker.config import Stage1Profile
from reranker.errors import CancelledError
from reranker.progress import Cancelled
from reranker.stage1.batches import plan_batches
from reranker.types import Passage, PassageScore

TOKEN_BUDGET = 4096

# A batch of token ids and mask, [rows, length] each, to one logit a row.
Classify = Callable[[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]], torch.Tensor]


class CrossEncoderScorer:
    """Scores each (query, passage) pair with one forward pass."""

    def __init__(
        self, classify: Classify, tokenizer: PreTrainedTokenizerBase, profile: Stage1Profile
    ) -> None:
        self.classify, self.tokenizer, self.profile = classify, tokenizer, profile

    def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Cancelled = lambda: False,
    ) -> list[PassageScore]:
        """Raw logits in input order. Raises CancelledError between batches."""
        if not passages:
            return []
        profile = self.profile
        query_text, _ = self._cut(
            profile.query_template.format(query=query), profile.max_query_tokens
        )
        texts = [
            self._cut(
                profile.passage_template.format(title=p.title, text=p.text).strip(),
                profile.max_passage_tokens,
            )
            for p in passages
        ]
        # A special token spelt out in a passage ("[SEP]", "<|eot_id|>") is text like any other.
        pairs = self.tokenizer(
            [query_text] * len(texts),
            [text for text, _ in texts],
            split_special_tokens=True,
            verbose=False,
        )
        lengths = [len(ids) for ids in pairs["input_ids"]]
        scores: list[PassageScore | None] = [None] * len(passages)
        done = 0
        progress(done, len(passages))
        for batch in plan_batches(lengths, TOKEN_BUDGET):
            if cancelled():
                raise CancelledError("stage 1 was stopped")
            rows = {name: [values[p] for p in batch] for name, values in pairs.items()}
            for position, logit in zip(batch, self._classify(rows), strict=True):
                scores[position] = PassageScore(
                    doc_id=passages[position].doc_id,
                    score=logit,
                    passage_tokens=lengths[position],
                    truncated=texts[position][1],
                )
            done += len(batch)
            progress(done, len(passages))
        return [score for score in scores if score is not None]

    def _classify(self, rows: dict[str, list[list[int]]]) -> list[float]:
        padded = self.tokenizer.pad(rows, padding=True, return_tensors="pt", padding_side="right")
        extra = {k: v for k, v in padded.items() if k not in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            logits = self.classify(padded["input_ids"], padded["attention_mask"], extra)
        values: list[float] = logits.float().reshape(-1).tolist()
        return values

    def _cut(self, text: str, max_tokens: int) -> tuple[str, bool]:
        """The text within `max_tokens` of its own tokens, and whether it was longer."""
        offsets = self.tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            verbose=False,
        )["offset_mapping"]
        if len(offsets) <= max_tokens:
            return text, False
        return text[: offsets[max_tokens - 1][1]], True
