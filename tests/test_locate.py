"""What a student may be made of: unsafe, broken, absent and misfitting weights are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reranker.config import list_students, load_profile
from reranker.errors import StudentError
from reranker.student.locate import resolve_weights
from reranker.student.student import Student, load_student
from reranker.types import Passage

PASSAGES = [Passage(doc_id="d1", text="The tide rises."), Passage(doc_id="d2", text="Granite.")]


def get_scores(student: Student) -> list[float]:
    return [result.score for result in student.scorer.score("why do tides rise", PASSAGES)]


def copy_student(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def change_profile(folder: Path, **stage1: object) -> None:
    file = folder / "profile.json"
    profile = json.loads(file.read_text())
    profile["stage1"].update(stage1)
    file.write_text(json.dumps(profile))


def test_pickled_weights_are_refused(shared_student: Path, tmp_path: Path) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    (student / "base" / "model.safetensors").rename(student / "base" / "pytorch_model.bin")
    with pytest.raises(StudentError, match=r"safetensors.*pytorch_model\.bin"):
        load_student(str(student)).scorer  # noqa: B018


@pytest.mark.parametrize("beside", [False, True])
def test_pickled_adapters_are_refused(shared_student: Path, tmp_path: Path, beside: bool) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    weights = student / "stage1" / "adapter_model.safetensors"
    weights.rename(student / "stage1" / "adapter_model.bin")
    if beside:  # some other safetensors file must not open the door
        save_file({"x": torch.zeros(1)}, student / "stage1" / "other.safetensors")
    with pytest.raises(StudentError, match="safetensors"):
        load_student(str(student)).scorer  # noqa: B018


@pytest.mark.parametrize("model_type", ["llama", "made_up"])
def test_code_beside_the_weights_is_never_run(
    shared_student: Path, tmp_path: Path, model_type: str
) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    witness = tmp_path / "was-run"
    (student / "base" / "evil.py").write_text(f"open({str(witness)!r}, 'w').close()\n")
    file = student / "base" / "config.json"
    config = json.loads(file.read_text())
    classes = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer")
    config |= {"model_type": model_type, "auto_map": {name: "evil.Evil" for name in classes}}
    file.write_text(json.dumps(config))
    opened = load_student(str(student))
    if model_type == "llama":
        assert get_scores(opened) == get_scores(load_student(str(shared_student)))
    else:
        with pytest.raises(StudentError):
            opened.reader  # noqa: B018
    assert not witness.exists()


def test_other_adapters_than_lora_are_refused(shared_student: Path, tmp_path: Path) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    config = student / "stage1" / "adapter_config.json"
    config.write_text(config.read_text().replace('"LORA"', '"LOHA"'))
    with pytest.raises(StudentError, match="LOHA"):
        load_student(str(student)).scorer  # noqa: B018
    config.write_text("not json")
    with pytest.raises(StudentError, match="peft_type"):
        load_student(str(student)).scorer  # noqa: B018


def test_broken_and_misfitting_weights_are_named(
    shared_student: Path, digest_student: Path, tmp_path: Path
) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    (student / "base" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(StudentError, match="base"):
        load_student(str(student)).scorer  # noqa: B018
    other = str(digest_student / "stage1")
    with pytest.raises(StudentError, match="head"):
        load_student(str(shared_student), stage1_adapter=other).scorer  # noqa: B018
    bert = load_student(str(digest_student), stage1_adapter=str(shared_student / "stage1"))
    with pytest.raises(StudentError, match="fits its base"):
        bert.scorer  # noqa: B018


@pytest.mark.parametrize("layout", ["shared_student", "two_base_student", "digest_student"])
def test_a_crossencoder_without_a_trained_head_is_refused(
    layout: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    student = copy_student(request.getfixturevalue(layout), tmp_path / "student")
    change_profile(
        student, form="crossencoder", adapter="" if layout == "digest_student" else "stage2"
    )
    with pytest.raises(StudentError, match="head|score|classifier"):
        load_student(str(student)).scorer  # noqa: B018


def test_an_adapter_is_not_taken_for_a_base(shared_student: Path, tmp_path: Path) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    change_profile(student, base="stage1", adapter="")
    shutil.copy(student / "base" / "tokenizer.json", student / "stage1")
    shutil.copy(student / "base" / "tokenizer_config.json", student / "stage1")
    with pytest.raises(StudentError, match="expected a base model"):
        load_student(str(student)).scorer  # noqa: B018


def test_what_is_not_there_is_named(shared_student: Path, tmp_path: Path) -> None:
    student = copy_student(shared_student, tmp_path / "student")
    change_profile(student, base="package:no_such_package/model")
    with pytest.raises(StudentError, match="no_such_package"):
        load_student(str(student)).scorer  # noqa: B018
    for name in ("no-such-folder", "./weights", "/nowhere/weights", "package:torch/no_such"):
        with pytest.raises(StudentError, match="expected"):
            resolve_weights(name, str(student))
    with pytest.raises(StudentError, match="mini"):
        load_student(str(tmp_path / "nothing"))


# The hub


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize("name", ["dear-3b", "dear-8b"])
def test_published_students_without_the_hub_say_what_to_do(name: str, offline: None) -> None:
    student = load_student(name)
    with pytest.raises(StudentError, match=r"meta-llama/.*mini"):
        student.scorer  # noqa: B018
    with pytest.raises(StudentError, match=r"meta-llama/.*mini"):
        student.reader  # noqa: B018
    assert student.info().memory_bytes == 0


def test_an_adapter_on_the_hub_is_wanted_by_name(shared_student: Path, offline: None) -> None:
    student = load_student(str(shared_student), stage1_adapter="owner/unheard-of")
    with pytest.raises(StudentError, match=r"owner/unheard-of.*mini"):
        student.scorer  # noqa: B018
    assert student.info().stage1_adapter_sha256 == ""


def test_published_profiles_name_what_was_published() -> None:
    assert list_students()[0] == "mini" and {"dear-3b", "dear-8b"} < set(list_students())
    for name, base in (("dear-3b", "Llama-3.2-3B"), ("dear-8b", "Llama-3.1-8B")):
        profile = load_profile(name)
        assert profile.name == name and "Llama" in profile.licence
        assert profile.stage1.base == f"meta-llama/{base}"
        assert profile.stage1.adapter == f"abdoelsayed/{name}-reranker-ranknet-lora-v1"
        assert profile.stage2 is not None
        assert profile.stage2.base == "meta-llama/Llama-3.1-8B-Instruct"
        assert profile.stage2.adapter == "abdoelsayed/dear-8b-reranker-listwise-lora-v1"
