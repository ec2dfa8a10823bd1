"""Training through 4-bit rounding: what is trained is what will be served.

Takes a PEFT model on an unquantised base; while the context lasts, every LoRA layer computes
with W + BA as NF4 would store it, and gradients pass the rounding as if it were not there
(straight-through estimation, Bengio et al. 2013). Serving merges the adapter into the base and
quantises once, so the student meets no rounding that it was not trained with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear

REFRESH_PASSES = 16
"""Forward passes a layer computes with one rounding error before it is worked out anew: weights
move little in a step, and rounding all of them costs as much as a small batch."""


@contextmanager
def train_through_rounding(model: PeftModel) -> Iterator[None]:
    """Every LoRA layer of `model` computes with its merged weights rounded to NF4."""
    layers = [m for m in model.modules() if isinstance(m, LoraLinear)]
    kept = [layer.forward for layer in layers]
    for layer in layers:
        layer.forward = _Rounded(layer)
    try:
        yield
    finally:
        for layer, forward in zip(layers, kept, strict=True):
            layer.forward = forward


def refresh_rounding(model: torch.nn.Module) -> None:
    """The next forward pass rounds anew. Called at every step it makes a run repeatable from any
    checkpoint; called before measuring, what is measured is what would be served."""
    for module in model.modules():
        if isinstance(module, LoraLinear) and isinstance(module.forward, _Rounded):
            module.forward.error = None


def round_weights(weights: torch.Tensor) -> torch.Tensor:
    """`weights` as NF4 in blocks of 64 gives them back."""
    packed, state = quantize_4bit(weights.detach().contiguous(), quant_type="nf4", blocksize=64)
    return dequantize_4bit(packed, state)


class _Rounded:
    """The forward pass of one LoRA layer, merged and rounded."""

    def __init__(self, layer: LoraLinear) -> None:
        self.layer = layer
        self.error: torch.Tensor | None = None
        self.passes = 0

    def __call__(self, inputs: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        layer = self.layer
        (name,) = layer.active_adapters
        merged = layer.base_layer.weight.float() + layer.get_delta_weight(name)
        if self.error is None or (layer.training and self.passes % REFRESH_PASSES == 0):
            with torch.no_grad():
                # Held and merged in bf16 when served, so what is rounded is that sum.
                frozen = layer.base_layer.weight
                stored = frozen.bfloat16() + (merged - frozen).bfloat16()
                self.error = round_weights(stored).float() - merged
        self.passes += layer.training
        weights = (merged + self.error).to(inputs.dtype)
        bias = layer.base_layer.bias
        return torch.nn.functional.linear(
            inputs, weights, None if bias is None else bias.to(inputs.dtype)
        )
