"""The machine's own part in the choice of kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from reranker.student.hardware import choose_device, choose_dtype, has_matrix_units
from reranker.student.load import load_base
from reranker.student.student import load_student
from reranker.types import Passage


def test_the_device_is_one_torch_can_use() -> None:
    assert torch.ones(1, device=choose_device()).item() == 1.0


def test_a_torch_that_cannot_tell_has_no_matrix_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_matrix_units() is False
    assert choose_dtype("cpu") is torch.float32


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": True}, torch.bfloat16),
    ],
)
def test_4_bit_layers_compute_in_what_the_cpu_can_multiply(
    capabilities: dict[str, bool],
    dtype: torch.dtype,
    digest_student: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_dtype("cpu") is dtype
    assert choose_dtype("cuda") is torch.bfloat16
    student = load_student(str(digest_student), "nf4")
    passages = [Passage(doc_id=str(n), title="", text=f"The tide rises {n}.") for n in range(3)]
    student.scorer.score("tide", passages)
    student.reader  # noqa: B018 - loads stage 2
    layers = [m for model in student.models() for m in model.modules() if isinstance(m, Linear4bit)]
    assert len(layers) >= 12
    assert {layer.compute_dtype for layer in layers} == {dtype}
    # What is read and given stays bf16, and what is not quantised is held in it.
    for model in student.models():
        assert model.get_input_embeddings().weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("capabilities", "attention"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "sdpa"),
        ({"amx_bf16": False, "avx512_bf16": True}, "eager"),
        ({"amx_bf16": False, "avx512_bf16": False}, "sdpa"),
    ],
)
def test_the_attention_of_an_encoder_follows_the_cpu(
    capabilities: dict[str, bool],
    attention: str,
    digest_student: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    model = load_base(
        str(digest_student / "base"), kind="encoder", quantization="bf16", device="cpu"
    )
    assert model.config._attn_implementation == attention
