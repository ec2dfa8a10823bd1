"""What this machine computes on: its device, its numbers, and whether its CPU has units for matrix
products.

Takes nothing, returns what torch sees. Knows no model.
"""

from __future__ import annotations

from typing import Any

import torch

MATRIX_UNITS = "amx_bf16"
# What torch calls the instructions that multiply bf16 numbers, on x86 and on ARM.
BF16_UNITS = (MATRIX_UNITS, "avx512_bf16", "bf16", "sve_bf16")


def choose_device() -> str:
    """ "cuda" when torch can use one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_dtype(device: str) -> torch.dtype:
    """What 4-bit layers compute in, and training: bf16, but fp32 on a CPU without instructions for
    bf16, where torch imitates them and a matrix product takes three times as long."""
    return torch.bfloat16 if device != "cpu" or _has_any(BF16_UNITS) else torch.float32


def has_matrix_units() -> bool:
    """Whether the CPU has units for bf16 matrix products (Intel's AMX); False where torch is too
    old to tell."""
    return _has_any((MATRIX_UNITS,))


def _has_any(names: tuple[str, ...]) -> bool:
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in names)
