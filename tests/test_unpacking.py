"""4-bit layers unpacked once for many batches: the same results, and packed again afterwards."""

from __future__ import annotations

import pytest
import torch

from reranker.student import quantize
from reranker.student.quantize import compute_in, keep_unpacked, make_layer, unpack_once


def make_model() -> torch.nn.Sequential:
    torch.manual_seed(0)
    bias = torch.nn.Parameter(torch.randn(64, dtype=torch.bfloat16), requires_grad=False)
    weights = torch.randn(2, 64, 64, dtype=torch.bfloat16)
    layers = [make_layer(w, b, "nf4") for w, b in zip(weights, (bias, None), strict=True)]
    model = torch.nn.Sequential(*layers).eval()
    keep_unpacked(model)
    return model


def count_unpacked(model: torch.nn.Module) -> int:
    return sum("forward" in layer.__dict__ for layer in model.modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_unpacked_weights_compute_the_same_and_are_packed_again(dtype: torch.dtype) -> None:
    model, inputs = make_model(), torch.randn(5, 64, dtype=torch.bfloat16)
    compute_in(model, dtype)
    with torch.inference_mode():
        wanted = model(inputs)
        with unpack_once(model):
            assert count_unpacked(model) == 2
            assert torch.equal(model(inputs), wanted)
        assert count_unpacked(model) == 0
        assert torch.equal(model(inputs), wanted)


def test_layers_compute_in_what_they_are_told_and_give_what_they_read() -> None:
    inputs = torch.randn(5, 64, dtype=torch.bfloat16)
    found = {}
    for dtype in (torch.bfloat16, torch.float32):
        model = make_model()
        compute_in(model, dtype)
        with torch.inference_mode():
            found[dtype] = model(inputs)
        assert {layer.compute_dtype for layer in model} == {dtype}
        assert found[dtype].dtype == torch.bfloat16
    narrow, wide = (value.float() for value in found.values())
    assert 0 < (narrow - wide).abs().max() < 0.02 * wide.abs().max()


def test_a_gradient_taken_inside_is_that_of_the_packed_layers() -> None:
    """Another thread may explain a score while this one ranks."""
    model, inputs = make_model(), torch.randn(3, 64, dtype=torch.bfloat16, requires_grad=True)
    (wanted,) = torch.autograd.grad(model(inputs).sum(), inputs)
    with unpack_once(model):
        (found,) = torch.autograd.grad(model(inputs).sum(), inputs)
    assert torch.equal(found, wanted)


def test_they_are_packed_again_after_an_error() -> None:
    model = make_model()
    with pytest.raises(KeyError), unpack_once(model):
        raise KeyError
    assert count_unpacked(model) == 0


def test_a_large_model_stays_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "_UNPACKED_BYTES", 2 * 2 * 64 * 64 - 1)
    model = make_model()
    with unpack_once(model):
        assert count_unpacked(model) == 0


def test_layers_of_the_other_layout_and_plain_ones_are_left_alone() -> None:
    model = make_model()
    model[0].support_avx512bf16_for_cpu = True
    with unpack_once(torch.nn.Sequential(*model, torch.nn.Linear(64, 64))) as nothing:
        assert nothing is None
        assert count_unpacked(model) == 1
