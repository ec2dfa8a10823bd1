"""Loading a base in 4 or 8 bits, bf16 or fp32 and putting adapters on it.

Takes resolved weights and a quantisation, returns ready transformers models and tokenizers.
Knows peft; bits are quantize.py's, and ranking it knows nothing of. Only safetensors, never
remote code.

A trap in bitsandbytes 0.50: on CPUs with AVX512-BF16 the first forward pass in evaluation mode
repacks 4-bit weights in place, state_dict() afterwards scrambles their scales, and gradients
through repacked weights are wrong. So all adapters of a base are added before it first runs
(PEFT reads the state_dict), and whoever trains calls `keep_unpacked` first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from reranker.errors import QuantizationError, StudentError
from reranker.student.hardware import choose_dtype, has_matrix_units
from reranker.student.locate import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    fetch_adapter,
    is_cached_only,
)
from reranker.student.quantize import (
    NAMES,
    check_quantization,
    compute_in,
    configure_quantization,
    keep_unpacked,
    quantize_layers,
)
from reranker.types import Quantization

# Progress is told by StageProgress events, and what matters about loading by StudentError; a
# library's own bars and remarks would write over them.
disable_progress_bar()
set_verbosity_error()
# It reports missing weights and goes on with random ones; here that is an error (load_base).
logging.getLogger("transformers.modeling_utils").setLevel(logging.ERROR)

_LOADERS: dict[str, Callable[..., PreTrainedModel]] = {
    "encoder": AutoModel.from_pretrained,
    "causal": AutoModelForCausalLM.from_pretrained,
    "sequence": AutoModelForSequenceClassification.from_pretrained,
    "seq2seq": AutoModelForSeq2SeqLM.from_pretrained,
}


def load_base(
    weights: str,
    *,
    kind: str,
    quantization: Quantization,
    device: str,
    head_follows: bool = False,
    dtype: torch.dtype | None = None,
    **options: Any,
) -> PreTrainedModel:
    """The base model in evaluation mode. kind: "encoder", "causal", "sequence"
    or "seq2seq".

    head_follows: the base may lack its classification head because an adapter brings it. dtype:
    of what is not quantised; bf16 unless given, and fp32 in "fp32".
    Raises QuantizationError when 4 or 8 bits do not work here (nothing is changed silently) and
    StudentError when the weights cannot be read or are not whole.
    """
    dtype = dtype or (torch.float32 if quantization == "fp32" else torch.bfloat16)
    check_quantization(quantization, device)
    if config := configure_quantization(quantization, dtype):
        options["quantization_config"] = config
    if (Path(weights) / ADAPTER_CONFIG).is_file():
        # transformers would load it too, and another base if its configuration names one.
        raise StudentError(
            f"{weights}: expected a base model, got a folder with an {ADAPTER_CONFIG}; name it as "
            "the adapter, and the model it was trained on as the base"
        )
    plain = choose_dtype(device) == torch.bfloat16 and not has_matrix_units()
    if kind == "encoder" and device == "cpu" and plain:
        # With instructions for bf16, plain matrix products beat the fused attention kernel by a
        # tenth of the whole; with units for them, and where bf16 is imitated, the fused kernel
        # wins by as much.
        options.setdefault("attn_implementation", "eager")
    cached = is_cached_only(weights)
    try:
        model, report = _LOADERS[kind](
            weights,
            dtype=dtype,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=cached,
            adapter_kwargs={"local_files_only": cached},
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise _explain_failure(error, weights, kind, quantization, device) from error
    lost = [n for n in report["missing_keys"] if not (head_follows and _is_head(n))]
    _check_complete(weights, kind, lost)
    # The repacked layout is made for decoding row by row; for the batches stage 1 scores,
    # unpacking a layer once a batch is faster.
    keep_unpacked(model, only_odd_sizes=kind == "causal")
    compute_in(model, choose_dtype(device))
    return model.eval()


def _explain_failure(
    error: Exception, weights: str, kind: str, quantization: Quantization, device: str
) -> StudentError:
    """What to raise for what a library raised while it loaded a base."""
    if isinstance(error, (OSError, ValueError, SafetensorError)):
        return StudentError(
            f"expected to load {kind} weights from {weights!r}, got: {_brief(error)}; check the "
            "name, or choose the bundled student 'mini', which needs no network"
        )
    if isinstance(error, torch.OutOfMemoryError):
        return StudentError(
            f"expected {weights!r} in {quantization} to fit into the memory of {device}, got: "
            f"{_brief(error)}; choose a smaller student or a smaller quantization"
        )
    if quantization in NAMES:
        return QuantizationError(
            f"expected {NAMES[quantization]} to work on {device}, got: {_brief(error)}; "
            "choose quantization bf16 instead"
        )
    return StudentError(
        f"expected {kind} weights in {weights!r} that fit their config.json, got: "
        f"{_brief(error)}; check the folder"
    )


def _check_complete(weights: str, kind: str, missing: list[str]) -> None:
    """Random weights in the place of missing ones would answer, and answer nonsense."""
    lost = sorted(name for name in missing if "pooler" not in name)  # no pooler is used here
    if lost:
        raise StudentError(
            f"expected whole {kind} weights in {weights!r}, got none for {lost[0]} "
            f"({len(lost)} missing); choose a base of the form the profile names, or an adapter "
            "that carries the head"
        )


def load_tokenizer(weights: str) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights, never with remote code."""
    try:
        return AutoTokenizer.from_pretrained(
            weights, trust_remote_code=False, local_files_only=is_cached_only(weights)
        )
    except (OSError, ValueError) as error:
        raise StudentError(
            f"expected a tokenizer beside the weights {weights!r}, got: {_brief(error)}; check "
            "the name, or choose the bundled student 'mini', which needs no network"
        ) from error


def load_config(weights: str) -> PretrainedConfig:
    """The configuration beside the weights, never with remote code. Raises StudentError."""
    try:
        return AutoConfig.from_pretrained(
            weights, trust_remote_code=False, local_files_only=is_cached_only(weights)
        )
    except (OSError, ValueError) as error:
        raise StudentError(
            f"expected a config.json beside the weights {weights!r}, got: {_brief(error)}; check "
            "the name"
        ) from error


def add_adapter(model: PreTrainedModel | PeftModel, weights: str, name: str) -> PeftModel:
    """`model` with the LoRA adapter in `weights` added under `name` and made active.

    Call it before the model first runs in 4 bits (see the module's docstring). Raises
    StudentError unless it is a LoRA adapter in safetensors that fits.
    """
    folder = str(fetch_adapter(weights))
    device = str(model.device)
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(folder, adapter_name=name, torch_device=device)
            model.set_adapter(name)
        else:
            model = PeftModel.from_pretrained(model, folder, adapter_name=name, torch_device=device)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise StudentError(
            f"expected a LoRA adapter that fits its base in {weights!r}, got: {_brief(error)}; "
            "check that adapter_config.json names the base this profile uses"
        ) from error
    _match_dtype(model)
    return model.eval()


def merge_adapter(
    model: PreTrainedModel | PeftModel, quantization: Quantization
) -> PreTrainedModel:
    """An unquantised `model` with its adapter worked into the weights, and these then held as
    `quantization` says. One rounding instead of two, and the one the adapter was trained with
    (reranker/training/rounding.py)."""
    merged = model.merge_and_unload() if isinstance(model, PeftModel) else model
    if quantization in NAMES:
        check_quantization(quantization, str(merged.device))
        quantize_layers(merged, quantization)
        compute_in(merged, choose_dtype(merged.device.type))
    return merged.eval()


def _match_dtype(model: PeftModel) -> None:
    """LoRA matrices in the precision the base computes in: in fp32, as peft loads them, every
    layer would convert its whole input twice."""
    dtype = model.get_base_model().dtype
    for parameter_name, parameter in model.named_parameters():
        if "lora_" in parameter_name:
            parameter.data = parameter.data.to(dtype)


def read_head(weights: str) -> torch.Tensor | None:
    """The classification head an adapter carries, [labels, hidden] in fp32, or None."""
    with safe_open(fetch_adapter(weights) / ADAPTER_WEIGHTS, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - no mapping
            parts = name.removeprefix("base_model.model.")
            if _is_head(parts) and parts.endswith(".weight") and "lora_" not in parts:
                return tensors.get_tensor(name).float()
    return None


def widen_head(model: PreTrainedModel | PeftModel) -> None:
    """Makes the head compute in fp32: bf16 logits have three digits and tie."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    for name, head in base.named_children():
        if _is_head(name):
            head.float()
            head.register_forward_pre_hook(lambda module, inputs: (inputs[0].float(), *inputs[1:]))


def _is_head(name: str) -> bool:
    return name.split(".")[0] in ("score", "classifier")


def _brief(error: BaseException) -> str:
    """The first lines of a library's message, which can run to a page."""
    return " ".join(str(error).split())[:300]
