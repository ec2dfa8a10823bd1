"""Loading students: tiny real replicas of the published layout, in every quantisation."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from reranker.errors import InputError, QuantizationError, StudentError
from reranker.student.load import load_base
from reranker.student.quantize import check_quantization, keep_unpacked, make_layer
from reranker.student.student import STAGE1, STAGE2, Student, load_student
from reranker.types import Passage, Quantization

QUERY = "why do tides rise"
PASSAGES = [
    Passage(doc_id=f"d{number}", text="The tide rises. " * (1 + number % 3) + f"Moon {number}.")
    for number in range(4)
]
LAYOUTS = ["shared_student", "two_base_student"]


def open_student(
    layout: str, request: pytest.FixtureRequest, quantization: str = "fp32"
) -> Student:
    return load_student(str(request.getfixturevalue(layout)), quantization)


def get_scores(student: Student) -> list[float]:
    return [result.score for result in student.scorer.score(QUERY, PASSAGES)]


def write_answer(student: Student) -> str:
    (decoded,) = student.reader.decoder.decode(["The tide"], [None], max_new_tokens=8)
    return decoded.text


# Quantisation and memory


@pytest.mark.parametrize("quantization", ["nf4", "fp4", "int8"])
@pytest.mark.parametrize("layout", [*LAYOUTS, "digest_student"])
def test_quantising_takes_the_layers_and_not_the_heads(
    layout: str, quantization: str, request: pytest.FixtureRequest
) -> None:
    student = open_student(layout, request, quantization)
    get_scores(student), write_answer(student)
    for model in student._models.values():
        linear = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        quantised = {n for n, m in linear.items() if isinstance(m, (Linear4bit, Linear8bitLt))}
        assert len(quantised) >= 12
        layers = [name for name in linear if "layer" in name and "lora_" not in name]
        assert set(layers) == quantised
        for weight in (model.get_submodule(name).weight for name in quantised):
            assert getattr(weight, "quant_type", "int8") == quantization
            assert weight.dtype == (torch.int8 if quantization == "int8" else torch.uint8)
        base = model.get_base_model() if isinstance(model, PeftModel) else model
        assert base.get_input_embeddings().weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("quantization", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_the_other_quantisations_have_no_4_bit_layer(
    quantization: str, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    student = open_student("shared_student", request, quantization)
    get_scores(student), write_answer(student)
    (model,) = student._models.values()
    assert not any(isinstance(m, (Linear4bit, Linear8bitLt)) for m in model.modules())
    weights = [p for n, p in model.named_parameters() if "lora_" not in n]
    assert {weight.dtype for weight in weights} == {dtype}


def test_memory_is_what_is_stored(shared_student: Path) -> None:
    sizes = {}
    for quantization in ("fp32", "bf16", "int8", "nf4", "fp4"):
        student = load_student(str(shared_student), quantization)  # type: ignore[arg-type]
        assert student.info().memory_bytes == 0  # nothing is loaded before it is needed
        student.scorer  # noqa: B018
        sizes[quantization] = student.info().memory_bytes
    base = load_file(shared_student / "base" / "model.safetensors")
    lora = [
        load_file(shared_student / s / "adapter_model.safetensors") for s in ("stage1", "stage2")
    ]
    numbers = sum(t.numel() for t in base.values())
    adapters = sum(t.numel() for part in lora for n, t in part.items() if "lora_" in n)
    assert sizes["fp32"] == pytest.approx(4 * (numbers + adapters), rel=0.01)
    assert sizes["bf16"] == pytest.approx(2 * (numbers + adapters), rel=0.01)
    layers = sum(t.numel() for n, t in base.items() if n.endswith("proj.weight"))
    saved = layers * (2 - 0.5 - 4 / 64)  # 4 bits a weight, an fp32 scale for every 64
    assert sizes["fp4"] == sizes["nf4"] == pytest.approx(sizes["bf16"] - saved, rel=0.01)
    rows = sum(t.shape[0] for n, t in base.items() if n.endswith("proj.weight"))
    # A byte a weight, an fp32 scale for every row.
    assert sizes["int8"] == pytest.approx(sizes["bf16"] - layers + 4 * rows, rel=0.01)


@pytest.mark.parametrize("quantization", ["nf4", "fp4", "int8"])
def test_a_quantised_layer_computes_what_its_weights_say(quantization: Quantization) -> None:
    check_quantization(quantization, "cpu")
    weight = torch.linspace(-1, 1, 64 * 64).reshape(64, 64).to(torch.bfloat16)
    bias = torch.nn.Parameter(torch.ones(64, dtype=torch.bfloat16), requires_grad=False)
    inputs = torch.sin(torch.arange(2 * 64.0)).reshape(2, 64).to(torch.bfloat16)
    before = torch.random.get_rng_state()
    with torch.inference_mode():
        found = make_layer(weight, bias, quantization).eval()(inputs).float()
    wanted = inputs.float() @ weight.float().T + 1
    assert (found - wanted).abs().max() < 0.15 * wanted.abs().max()
    assert 0 < (found - wanted).abs().max()
    check_quantization.cache_clear()
    torch.random.set_rng_state(before)
    check_quantization(quantization, "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("quantization", ["nf4", "fp4", "int8"])
def test_a_device_that_cannot_compute_with_few_bits_is_said(quantization: Quantization) -> None:
    """A device without memory stands for one whose kernels are missing."""
    with pytest.raises(QuantizationError, match="to work on meta, got: .*choose quantization bf16"):
        check_quantization(quantization, "meta")
    check_quantization("bf16", "meta")


def test_sizes_the_fast_4_bit_layout_cannot_hold_still_work(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=40, hidden_size=48, intermediate_size=80, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    model = load_base(str(tmp_path), kind="causal", quantization="nf4", device="cpu")
    with torch.inference_mode():
        assert torch.isfinite(model(torch.tensor([[1, 2, 3]])).logits).all()


def test_unpacked_layers_survive_saving_and_give_gradients(shared_student: Path) -> None:
    """What training needs: bitsandbytes' repacked layout allows neither (see load.py)."""
    ids = torch.tensor([[10, 20, 30, 40]])

    def load() -> torch.nn.Module:
        weights = str(shared_student / "base")
        model = load_base(weights, kind="causal", quantization="nf4", device="cpu")
        keep_unpacked(model)
        return model

    def measure_gradient(model: torch.nn.Module) -> torch.Tensor:
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        model(inputs_embeds=embedded).logits.float().square().sum().backward()
        assert embedded.grad is not None
        return embedded.grad

    model = load()
    with torch.inference_mode():
        before = model(ids).logits
        model.state_dict()
        assert torch.equal(model(ids).logits, before)
    assert torch.equal(measure_gradient(model), measure_gradient(load()))


# Adapters


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("quantization", ["fp32", "nf4"])
@pytest.mark.parametrize("first", [STAGE1, STAGE2])
def test_neither_stage_changes_the_other(
    layout: str, quantization: str, first: str, request: pytest.FixtureRequest
) -> None:
    student = open_student(layout, request, quantization)
    if first == STAGE1:
        scores, answer = get_scores(student), write_answer(student)
    else:
        answer, scores = write_answer(student), get_scores(student)
    assert write_answer(student) == answer
    assert get_scores(student) == scores
    assert write_answer(student) == answer
    assert get_scores(open_student(layout, request, quantization)) == scores


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stage_2_is_the_reference_with_its_own_adapter(
    layout: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(layout)
    base = folder / ("base" if layout == "shared_student" else "instruct")
    ids = AutoTokenizer.from_pretrained(base)("The tide rises.", return_tensors="pt")
    reference = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), folder / "stage2"
    ).eval()
    student = load_student(str(folder))
    get_scores(student), student.reader
    student.activate(STAGE2)
    with torch.no_grad():
        logits = student.reader.decoder.model(**ids).logits
        expected = reference(**ids).logits
        with reference.disable_adapter():
            bare = reference(**ids).logits
    assert torch.allclose(logits, expected, atol=1e-4)
    assert not torch.allclose(logits, bare, atol=1e-2)


def test_a_shared_base_is_loaded_once_and_two_bases_twice(
    shared_student: Path, two_base_student: Path
) -> None:
    shared, two = load_student(str(shared_student)), load_student(str(two_base_student))
    for student in (shared, two):
        assert student.scorer and student.reader
    (model,) = shared._models.values()
    assert shared.reader.decoder.model is model
    assert set(model.peft_config) == {STAGE1, STAGE2}
    assert len(two._models) == 2
    assert two.info().memory_bytes > 1.6 * shared.info().memory_bytes


def test_activate_switches_and_an_absent_adapter_means_the_bare_base(shared_student: Path) -> None:
    student = load_student(str(shared_student), stage2_adapter="")
    bare = write_answer(student)
    with_adapter = write_answer(load_student(str(shared_student)))
    scores = get_scores(student)
    assert write_answer(student) == bare != with_adapter
    assert get_scores(student) == scores == get_scores(load_student(str(shared_student)))
    model = AutoModelForCausalLM.from_pretrained(shared_student / "base").eval()
    tokenizer = AutoTokenizer.from_pretrained(shared_student / "base")
    ids = tokenizer("The tide", add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        best = int(model(ids).logits[0, -1].argmax())
    assert bare.startswith(tokenizer.decode([best]).rstrip("�"))


def test_adapters_can_be_swapped_and_are_hashed(
    shared_student: Path, bert_crossencoder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(shared_student / "stage1", other)
    tensors = load_file(other / "adapter_model.safetensors")
    save_file({n: t * 1.5 for n, t in tensors.items()}, other / "adapter_model.safetensors")
    first = load_student(str(shared_student))
    second = load_student(str(shared_student), stage1_adapter=str(other))
    assert get_scores(first) != get_scores(second)
    for student, folder in ((first, shared_student / "stage1"), (second, other)):
        digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
        assert student.info().stage1_adapter_sha256 == digest
    assert first.info().stage2_adapter_sha256 == second.info().stage2_adapter_sha256 != ""
    with pytest.raises(InputError, match="stage 2"):
        load_student(str(bert_crossencoder), stage2_adapter="x")


def test_a_student_without_stage_2_says_so(bert_crossencoder: Path) -> None:
    student = load_student(str(bert_crossencoder))
    assert get_scores(student)
    with pytest.raises(StudentError, match="stages=1"):
        student.reader  # noqa: B018
    assert student.info().stage2_base == ""
