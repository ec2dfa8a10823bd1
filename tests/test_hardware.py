"""The machine's own part in the choice of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from reranker.student.hardware import choose_device, has_matrix_units
from reranker.student.load import load_base


@pytest.fixture(autouse=True)
def _ask_anew() -> Iterator[None]:
    has_matrix_units.cache_clear()
    yield
    has_matrix_units.cache_clear()


def test_the_device_is_one_torch_can_use() -> None:
    assert torch.ones(1, device=choose_device()).item() == 1.0


def test_a_torch_that_cannot_tell_has_no_matrix_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_matrix_units() is False


@pytest.mark.parametrize("amx, attention", [(True, "sdpa"), (False, "eager")])
def test_the_attention_of_an_encoder_follows_the_cpu(
    amx: bool, attention: str, digest_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    model = load_base(
        str(digest_student / "base"), kind="encoder", quantization="bf16", device="cpu"
    )
    assert model.config._attn_implementation == attention
