"""Loading a base in 4 bits (or bf16, fp32) and putting adapters on it.

Takes resolved weights and a quantisation, returns ready transformers models and tokenizers.
Knows bitsandbytes and peft; knows nothing of ranking. Only safetensors, never remote code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from reranker.errors import QuantizationError, StudentError
from reranker.types import Quantization

# Heads stay unquantised: a fresh sequence-classification head in 4 bits has no quantisation
# state and fails in the forward pass.
UNQUANTIZED_MODULES = ["classifier", "pooler", "score", "lm_head"]

_LOADERS: dict[str, Callable[..., PreTrainedModel]] = {
    "encoder": AutoModel.from_pretrained,
    "causal": AutoModelForCausalLM.from_pretrained,
    "sequence": AutoModelForSequenceClassification.from_pretrained,
}


def choose_device() -> str:
    """"cuda" when torch can use one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_base(
    weights: str, *, kind: str, quantization: Quantization, device: str, **options: Any
) -> PreTrainedModel:
    """The base model in evaluation mode. kind: "encoder", "causal" or "sequence".

    Raises QuantizationError when 4 bits do not work here (nothing is changed silently) and
    StudentError when the weights cannot be read.
    """
    dtype = torch.float32 if quantization == "fp32" else torch.bfloat16
    if quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=UNQUANTIZED_MODULES,
        )
    try:
        model = _LOADERS[kind](
            weights,
            dtype=dtype,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            **options,
        )
    except (OSError, ValueError) as error:
        raise StudentError(
            f"expected to load {kind} weights from {weights!r}, got: {error}; check the name, "
            "or choose the bundled student 'mini', which needs no network"
        ) from error
    except (ImportError, RuntimeError) as error:
        if quantization != "nf4":
            raise
        raise QuantizationError(
            f"expected 4-bit NF4 to work on {device}, got: {error}; "
            "choose quantization bf16 instead"
        ) from error
    return model.eval()


def load_tokenizer(weights: str) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights, never with remote code."""
    try:
        return AutoTokenizer.from_pretrained(weights, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StudentError(
            f"expected a tokenizer beside the weights {weights!r}, got: {error}; check the name"
        ) from error


def add_adapter(model: PreTrainedModel | PeftModel, weights: str, name: str) -> PeftModel:
    """`model` with the LoRA adapter in `weights` added under `name` and made active."""
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(weights, adapter_name=name, use_safetensors=True)
            model.set_adapter(name)
            return model.eval()
        return PeftModel.from_pretrained(
            model, weights, adapter_name=name, use_safetensors=True
        ).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise StudentError(
            f"expected a LoRA adapter that fits its base in {weights!r}, got: {error}; "
            "check that adapter_config.json names the base this profile uses"
        ) from error


def count_bytes(model: torch.nn.Module) -> int:
    """Bytes of all parameters and buffers as stored (4-bit weights count their packed size)."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
