"""Weights held in 4 or 8 bits by bitsandbytes: NF4, FP4 and int8.

Takes a quantisation and layers, returns what transformers is to be told and layers that hold fewer
bits; says what a model takes and whether a quantisation works here. Knows no student.

NF4 and FP4 hold four bits a weight and a scale for every 64 (Dettmers et al., arXiv 2305.14314).
int8 holds eight bits and a scale for every row, brings what a layer reads to eight bits too, and
leaves columns with outliers in 16 bits (LLM.int8(), arXiv 2208.07339).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from transformers import BitsAndBytesConfig, PreTrainedModel

from reranker.errors import QuantizationError
from reranker.types import Quantization

NAMES: dict[Quantization, str] = {"nf4": "4-bit NF4", "fp4": "4-bit FP4", "int8": "8-bit int8"}
"""The quantisations that need bitsandbytes; the others are plain tensors."""

# Heads stay unquantised: a fresh sequence-classification head in 4 bits has no quantisation
# state and fails in the forward pass.
UNQUANTIZED_MODULES = ["classifier", "pooler", "score", "lm_head"]

# bitsandbytes' repacked layout takes rows in blocks of 32 and scales in blocks of 64.
_ROW_BLOCK, _SCALE_BLOCK = 32, 64
# Columns of a layer's input with a value beyond this stay in 16 bits; LLM.int8()'s own choice.
_OUTLIER = 6.0
# A model that takes more than this when unpacked stays packed while it computes.
_UNPACKED_BYTES = 128 * 2**20
# Greatest share of a product that rounding may cost the trial layer; FP4, the coarsest, costs 0.03.
_TRIAL_ERROR = 0.2


def configure_quantization(
    quantization: Quantization, dtype: torch.dtype
) -> BitsAndBytesConfig | None:
    """What transformers is told when it loads a base; None where nothing is quantised.

    dtype: what 4-bit layers compute in.
    """
    if quantization not in NAMES:
        return None
    if quantization == "int8":
        return BitsAndBytesConfig(
            load_in_8bit=True,
            llm_int8_threshold=_OUTLIER,
            llm_int8_skip_modules=UNQUANTIZED_MODULES,
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=UNQUANTIZED_MODULES,
    )


@functools.cache
def check_quantization(quantization: Quantization, device: str) -> None:
    """Raises QuantizationError where a small layer held like this cannot compute on `device`, or
    computes something else than its weights say. Nothing is changed silently."""
    if quantization not in NAMES:
        return
    weights = torch.sin(torch.arange(_ROW_BLOCK * _SCALE_BLOCK, dtype=torch.float32))
    weights = weights.reshape(_ROW_BLOCK, _SCALE_BLOCK).to(torch.bfloat16)
    inputs = torch.cos(torch.arange(4 * _SCALE_BLOCK, dtype=torch.float32))
    inputs = inputs.reshape(4, _SCALE_BLOCK).to(torch.bfloat16)
    wanted = inputs.float() @ weights.float().T
    try:
        # A layer draws random numbers when it is made, which are not this check's to take.
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            layer = make_layer(weights.to(device), None, quantization).eval()
            found = layer(inputs.to(device)).float().cpu()
    # torch without CUDA fails an assertion when it is asked for it.
    except (RuntimeError, ValueError, OSError, AttributeError, AssertionError) as error:
        raise QuantizationError(
            f"expected {NAMES[quantization]} to work on {device}, got: "
            f"{' '.join(str(error).split())[:300]}; choose quantization bf16 instead"
        ) from error
    lost = float((found - wanted).abs().max() / wanted.abs().max())
    if not lost <= _TRIAL_ERROR:
        raise QuantizationError(
            f"expected a layer in {NAMES[quantization]} to compute on {device} what its weights "
            f"say, got results off by {lost:.0%}; choose quantization bf16 instead"
        )


def make_layer(
    weight: torch.Tensor, bias: torch.nn.Parameter | None, quantization: Quantization
) -> torch.nn.Module:
    """A linear layer with `weight`, [out, in] in the dtype it computes in, quantised on its
    device."""
    rows, columns = weight.shape
    layer: Linear4bit | Linear8bitLt
    if quantization == "int8":
        layer = Linear8bitLt(
            columns, rows, bias=bias is not None, has_fp16_weights=False, threshold=_OUTLIER
        )
        # It quantises only what comes from the CPU.
        layer.weight = Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False)
    else:
        layer = Linear4bit(
            columns,
            rows,
            bias=bias is not None,
            compute_dtype=weight.dtype,
            quant_type=quantization,
        )
        layer.weight = Params4bit(weight, requires_grad=False, quant_type=quantization)
    layer.bias = bias
    return layer.to(weight.device)


def quantize_layers(model: PreTrainedModel, quantization: Quantization) -> None:
    """Puts a quantised layer in the place of every linear layer but the heads."""
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
        and not set(name.split(".")) & set(UNQUANTIZED_MODULES)
    }
    for name, layer in layers.items():
        model.set_submodule(name, make_layer(layer.weight.data, layer.bias, quantization))
    keep_unpacked(model)


def keep_unpacked(model: torch.nn.Module, *, only_odd_sizes: bool = False) -> None:
    """Keeps 4-bit layers in the layout that can be trained and saved, on any CPU.

    only_odd_sizes: only those whose sizes the faster layout cannot hold.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            odd = module.out_features % _ROW_BLOCK or module.in_features % _SCALE_BLOCK
            if odd or not only_odd_sizes:
                module.support_avx512bf16_for_cpu = False


def compute_in(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Makes 4-bit layers compute in `dtype`, whatever they read and give. bitsandbytes takes the
    dtype of the first input instead, unless it believes it has done so."""
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.compute_dtype, module.compute_type_is_set = dtype, True


@contextmanager
def unpack_once(model: torch.nn.Module) -> Iterator[None]:
    """Inside, the 4-bit layers of a small model on the CPU compute from weights unpacked on the way
    in, to the same results, instead of unpacking them for every batch. Outside they are packed."""
    layers = [m for m in model.modules() if isinstance(m, Linear4bit) and _is_packed(m)]
    size = sum(
        layer.compute_dtype.itemsize * layer.in_features * layer.out_features for layer in layers
    )
    if size > _UNPACKED_BYTES:
        layers = []
    try:
        with torch.no_grad():  # unlike inference tensors, these may take part in a gradient
            for layer in layers:
                layer.__dict__["forward"] = _unpack(layer)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _unpack(layer: Linear4bit) -> Callable[[torch.Tensor], torch.Tensor]:
    """What the layer computes, from weights unpacked now."""
    dtype = layer.compute_dtype
    state = copy(layer.weight.quant_state)
    state.dtype = dtype  # as the layer does: not by way of the dtype the weights came in
    weight = dequantize_4bit(layer.weight.data, state)
    bias = None if layer.bias is None else layer.bias.to(dtype)

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(inputs.to(dtype), weight, bias).to(inputs.dtype)

    return forward


def _is_packed(layer: Linear4bit) -> bool:
    """Whether a layer holds bf16 weights in 4 bits on the CPU, in the layout they came in."""
    state = layer.weight.quant_state
    return (
        layer.weight.device.type == "cpu"
        and state is not None
        and state.dtype == torch.bfloat16
        and not layer.support_avx512bf16_for_cpu
    )


def count_bytes(model: torch.nn.Module) -> int:
    """Bytes of all parameters and buffers as stored: quantised weights count their packed size and
    their scales."""
    total = 0
    for tensor in [*model.parameters(), *model.buffers()]:
        total += tensor.numel() * tensor.element_size()
        scales = getattr(getattr(tensor, "quant_state", None), "absmax", None)
        if scales is not None:
            total += scales.numel() * scales.element_size()
    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            # On the weights until the first forward pass, on the layer's state after it.
            scales = module.weight.SCB if module.weight.SCB is not None else module.state.SCB
            total += 0 if scales is None else scales.numel() * scales.element_size()
    return total
