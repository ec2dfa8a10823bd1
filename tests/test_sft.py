"""Stage-2 training: conversations by the student's template, loss on the answers only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reranker.errors import InputError
from reranker.examples.record import Message, TextExample
from reranker.jobs.folder import JobFolder
from reranker.jobs.job import create_folder, read_job
from reranker.jobs.outcome import measure_outcome
from reranker.jobs.settings import (
    DataSettings,
    LoraSettings,
    ObjectiveSettings,
    ScheduleSettings,
    TrainingSettings,
    override_settings,
)
from reranker.student.load import load_tokenizer
from reranker.student.student import load_student
from reranker.training.packing import IGNORED
from reranker.training.run import DONE, FAILED, run_job
from reranker.training.sft import TextCollator, TextDataset, render_example, tokenize_texts
from tests.replicas import EOT

EXAMPLE = TextExample(
    messages=(
        Message(role="system", content="You rank."),
        Message(role="user", content=f"Which? {EOT} tide"),
    ),
    answer="### Final Reranking: [2] > [1]",
)


def write_cot(path: Path, count: int = 6) -> Path:
    rows = [
        {
            "system": "You rank.",
            "instruction": f"Query {n}: why tides",
            "input": "[1] dough [2] the moon",
            "output": "### Final Reranking: [2] > [1]",
            "history": [],
            "think": "the moon pulls",
        }
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def make_settings(student: Path, data: Path, **more: str) -> TrainingSettings:
    settings = TrainingSettings(
        stage="stage2",
        student=str(student),
        data=DataSettings(format="dear-cot", train=str(data), dev_share=0.3),
        objective=ObjectiveSettings(main="ce", alpha=0),
        lora=LoraSettings(rank=4, alpha=8),
        schedule=ScheduleSettings(steps=6, batch=2, learning_rate=1e-2, save_steps=3, eval_steps=3),
        quantization="fp32",
    )
    return override_settings(settings, more)


def train(settings: TrainingSettings, root: Path) -> JobFolder:
    folder = create_folder(settings, root)
    assert run_job(folder) == DONE, folder.state.read_text()
    return folder


def test_the_prompt_is_the_templates_and_the_answer_ends_the_turn(shared_student: Path) -> None:
    tokenizer = load_tokenizer(str(shared_student / "base"))
    prompt, answer = render_example(tokenizer, EXAMPLE)
    assert prompt.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
    assert answer == f"### Final Reranking: [2] > [1]{EOT}"
    assert prompt.count(EOT) == 2, "a passage cannot end the turn"


def test_only_the_answer_is_learnt(shared_student: Path) -> None:
    tokenizer = load_tokenizer(str(shared_student / "base"))
    (example,), left_out = tokenize_texts(tokenizer, [EXAMPLE], 1000)
    assert left_out == 0
    batch = TextCollator(pad_id=0)([example, example])
    learnt = batch["labels"][0] != IGNORED
    assert tokenizer.decode(batch["input_ids"][0][learnt]) == f"### Final Reranking: [2] > [1]{EOT}"
    assert tokenize_texts(tokenizer, [EXAMPLE], 16) == ([], 1)


def test_padding_carries_no_loss_and_no_attention(shared_student: Path) -> None:
    tokenizer = load_tokenizer(str(shared_student / "base"))
    longer = TextExample(messages=EXAMPLE.messages, answer=EXAMPLE.answer * 2)
    items, _ = tokenize_texts(tokenizer, [EXAMPLE, longer], 1000)
    batch = TextCollator(pad_id=3)(items)
    size = len(items[0].ids)
    assert batch["attention_mask"][0].sum() == size
    assert (batch["labels"][0, size:] == IGNORED).all()


def test_a_template_that_rewrites_the_prompt_is_refused(shared_student: Path) -> None:
    tokenizer = load_tokenizer(str(shared_student / "base"))
    tokenizer.chat_template = (
        "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    with pytest.raises(InputError, match="writes the prompt differently"):
        render_example(tokenizer, EXAMPLE)
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="chat template"):
        render_example(tokenizer, EXAMPLE)


def test_every_pass_has_another_order() -> None:
    examples = [object() for _ in range(8)]
    data = TextDataset(examples, 16, seed=0)  # type: ignore[arg-type]
    first, second = ([data[n] for n in range(start, start + 8)] for start in (0, 8))
    assert set(map(id, first)) == set(map(id, second)) == set(map(id, examples))
    assert first != second and first == [TextDataset(examples, 16, seed=0)[n] for n in range(8)]  # type: ignore[arg-type]


@pytest.mark.parametrize("quantization", ["nf4", "fp32"])
def test_a_chat_student_learns_dear_cot(
    two_base_student: Path, tmp_path: Path, quantization: str
) -> None:
    data = write_cot(tmp_path / "cot.jsonl")
    settings = make_settings(two_base_student, data, quantization=quantization)
    folder = train(settings, tmp_path)
    job = read_job(folder.path.name, tmp_path)
    losses = [e.measures["loss"] for e in job.progress.evaluations]
    assert losses[0] > losses[-1] and job.metric == "loss" and job.best == min(losses[1:])
    outcome = measure_outcome(job)
    assert outcome.difference.wins == len(outcome.changes) > 1
    assert all(change.text for change in outcome.changes)
    student = load_student(str(two_base_student), stage2_adapter=str(folder.adapter))
    assert student.reader is not None
    config = json.loads((folder.adapter / "adapter_config.json").read_text())
    assert config["task_type"] == "CAUSAL_LM" and config["base_model_name_or_path"] == "instruct"


def test_accumulated_tokens_weigh_as_in_one_batch(two_base_student: Path, tmp_path: Path) -> None:
    data = write_cot(tmp_path / "cot.jsonl")
    plain = {"lora.dropout": "0", "data.dev_share": "0", "schedule.steps": "2"}
    weights = []
    for name, changes in (
        ("one", {"schedule.batch": "4"}),
        ("two", {"schedule.batch": "2", "schedule.accumulation": "2"}),
    ):
        settings = make_settings(two_base_student, data, **plain, **changes)
        folder = train(settings, tmp_path / name)
        weights.append(load_file(folder.adapter / "adapter_model.safetensors"))
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], atol=1e-4), name


def test_a_digest_student_learns_rendered_prompts_only(
    digest_student: Path, tmp_path: Path
) -> None:
    conversations = write_cot(tmp_path / "cot.jsonl")
    folder = create_folder(make_settings(digest_student, conversations), tmp_path)
    assert run_job(folder) == FAILED
    assert "rendered prompts" in read_job(folder.path.name, tmp_path).message
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"prompt": f"note {n}:", "answer": " the moon"} for n in range(6)]
    prompts.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = make_settings(digest_student, prompts, **{"data.format": "prompts"})
    folder = train(settings, tmp_path)
    assert (folder.adapter / "adapter_model.safetensors").is_file()


def test_examples_that_are_too_long_are_told_of(two_base_student: Path, tmp_path: Path) -> None:
    data = write_cot(tmp_path / "cot.jsonl")
    folder = create_folder(make_settings(two_base_student, data, max_tokens="20"), tmp_path)
    assert run_job(folder) == FAILED
    assert "raise max_tokens" in read_job(folder.path.name, tmp_path).message
    events = read_job(folder.path.name, tmp_path).progress.events
    assert any("left out" in event.message for event in events)


def test_a_student_without_stage_2_is_refused(bert_crossencoder: Path, tmp_path: Path) -> None:
    data = write_cot(tmp_path / "cot.jsonl")
    folder = create_folder(make_settings(bert_crossencoder, data), tmp_path)
    assert run_job(folder) == FAILED
    assert "with a stage 2" in read_job(folder.path.name, tmp_path).message
