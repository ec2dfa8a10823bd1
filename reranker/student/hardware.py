"""What this machine computes on: its device, and whether its CPU has units for matrix products.

Takes nothing, returns what torch sees. Knows no model.
"""

from __future__ import annotations

import functools
from typing import Any

import torch


def choose_device() -> str:
    """ "cuda" when torch can use one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@functools.cache
def has_matrix_units() -> bool:
    """Whether the CPU has units for bf16 matrix products (Intel's AMX); False where torch is too
    old to tell."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16", False))
