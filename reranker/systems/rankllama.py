"""RankLLaMA's form: a causal model's state at the end of query and passage, and a linear head.

Takes a query and texts, returns logits (Ma et al. 2023). Reads "query: ..." and "document: ..."
as a pair and the end token after it; the head is applied to that last token. So do DeAR's
teacher and the published rankllama adapters. Knows torch and peft; knows nothing of ranking.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import file_exists
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reranker.errors import CancelledError, StudentError
from reranker.progress import Cancelled
from reranker.stage1.batches import plan_batches
from reranker.student.load import add_adapter, load_base, load_tokenizer, widen_head
from reranker.student.locate import ADAPTER_CONFIG, fetch_adapter, resolve_weights
from reranker.systems.prompt import encode_fitting
from reranker.types import Quantization

MAX_QUERY_TOKENS, MAX_PASSAGE_TOKENS = 32, 196
TOKEN_BUDGET = 4096


class RankLlamaScorer:
    """Scores with a sequence-classification model built on a causal one."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_query_tokens: int = MAX_QUERY_TOKENS,
        max_passage_tokens: int = MAX_PASSAGE_TOKENS,
    ) -> None:
        self.model = model.get_base_model() if isinstance(model, PeftModel) else model
        if not hasattr(self.model, "score") or tokenizer.eos_token_id is None:
            raise StudentError(
                "expected a causal model with a classification head and an end token, got "
                f"{type(self.model).__name__}; choose crossencoder: for other forms"
            )
        self.tokenizer = tokenizer
        self.limits = (max_query_tokens, max_passage_tokens)

    def score(self, query: str, texts: Sequence[str], *, cancelled: Cancelled) -> list[float]:
        """Raw logits. Raises CancelledError between batches."""
        end = [self.tokenizer.eos_token_id]
        head = encode_fitting(
            self.tokenizer, lambda text: f"query: {text}".strip(), query, self.limits[0]
        )
        rows = [
            head
            + encode_fitting(
                self.tokenizer, lambda text: f"document: {text}".strip(), text, self.limits[1]
            )
            + end
            for text in texts
        ]
        scores = [0.0] * len(rows)
        for batch in plan_batches([len(row) for row in rows], TOKEN_BUDGET):
            if cancelled():
                raise CancelledError("RankLLaMA was stopped")
            for place, score in zip(batch, self._classify([rows[p] for p in batch]), strict=True):
                scores[place] = score
        return scores

    def _classify(self, rows: list[list[int]]) -> list[float]:
        """Padding follows the end, so no row sees it; the last real token is where a row ends."""
        longest = max(map(len, rows))
        device = self.model.device
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        with torch.inference_mode():
            hidden = self.model.base_model(
                input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
            ).last_hidden_state
            last = hidden[torch.arange(len(rows)), mask.sum(dim=1) - 1]
            values: list[float] = self.model.score(last).float().reshape(-1).tolist()
        return values


def load_rankllama(weights: str, quantization: Quantization, device: str) -> RankLlamaScorer:
    """A teacher from a folder or hub id: a whole model, or a LoRA adapter that names its base.

    Raises StudentError.
    """
    adapter = find_adapter(weights)
    base = weights if adapter is None else read_base(adapter)
    model: PreTrainedModel | PeftModel = load_base(
        base,
        kind="sequence",
        quantization=quantization,
        device=device,
        head_follows=adapter is not None,
        num_labels=1,
    )
    if adapter is not None:
        model = add_adapter(model, str(adapter), "teacher")
    widen_head(model)
    return RankLlamaScorer(model, load_tokenizer(base))


def find_adapter(weights: str) -> Path | None:
    """The folder of the adapter that `weights` names, or None where it is a whole model."""
    folder = Path(weights)
    if folder.is_dir():
        return fetch_adapter(weights) if (folder / ADAPTER_CONFIG).is_file() else None
    try:
        return fetch_adapter(weights) if file_exists(weights, ADAPTER_CONFIG) else None
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise StudentError(
            f"expected to find {weights!r} on the hub, got {type(error).__name__}; check the name "
            "and the network, or give a folder"
        ) from error


def read_base(adapter: Path) -> str:
    """The base an adapter says it belongs to, as `load_base` takes it. Raises StudentError."""
    settings = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise StudentError(f"{adapter}: expected an adapter that names its base, got none")
    return resolve_weights(base, str(adapter))
