"""Training commands end to end on a handful of passages: data, tokenizer, base, both adapters."""

from __future__ import annotations

import gzip
import json
import lzma
import random
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from reranker.config import load_profile
from reranker.parsing import parse_ranking
from reranker.prompts.digest import END, MARKERS, SENTENCES, VERDICT_MARKERS
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.student.hardware import choose_dtype
from reranker.student.load import load_base, load_tokenizer
from reranker.student.locate import resolve_weights
from reranker.student.student import Student, load_student
from reranker.training import base, reasoning, stage1, stage2, tokenizer
from reranker.training.chunks import cut_passages
from reranker.training.groups import GroupSampler
from reranker.training.judged_windows import WindowSampler
from reranker.training.packing import IGNORED
from reranker.training.rounding import train_through_rounding
from reranker.training.sources import read_squad
from reranker.types import Verdict

ARTICLES = {
    "Tides": ("moon", "The pull of the moon raises two bulges of water on opposite sides."),
    "Rust": ("oxygen", "Iron turns to rust when oxygen and water reach its surface."),
    "Bread": ("yeast", "Dough rises because yeast gives off carbon dioxide as it feeds."),
    "Echo": ("wall", "An echo returns when sound meets a wall and comes back to the ear."),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQuAD and a wiki of sixteen short passages in the layout of docs/training.md."""
    folder = tmp_path_factory.mktemp("data")
    passages, questions = [], []
    for title, (answer, sentence) in ARTICLES.items():
        for number in range(4):
            text = f"This is note {number} on {title.lower()} for readers. {sentence}"
            if number:
                text = f"Another remark on {title.lower()}, number {number}. It has its own story."
            doc_id = f"{title}-{number}"
            passages.append({"_id": doc_id, "title": title, "text": text})
            if not number:
                questions.append(
                    {
                        "_id": f"q-{title}",
                        "text": f"What has to do with {title.lower()} and how?",
                        "doc_id": doc_id,
                        "answer": answer,
                        "answer_start": text.index(answer),
                    }
                )
    (folder / "squad").mkdir()
    (folder / "wiki").mkdir()
    for name, rows in (("passages", passages), ("questions", questions * 3)):
        with gzip.open(folder / "squad" / f"{name}.train.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    for shard in range(5):
        with lzma.open(folder / "wiki" / f"passages-{shard}.jsonl.xz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in passages)
    return folder


@pytest.fixture(scope="module")
def examples(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("examples") / "examples.jsonl"
    reasoning.main(["--data", str(data), "--out", str(out), "--windows", "6", "--seed", "3"])
    return out


@pytest.fixture(scope="module")
def tokens(data: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    tokenizer.main(
        ["--data", str(data), "--examples", str(examples), "--out", str(out), "--vocabulary", "900"]
    )
    return out


@pytest.fixture(scope="module")
def small_base(
    data: Path, examples: Path, tokens: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("base")
    common = ["--tokenizer", str(tokens)]
    base.main(
        ["pack", "--data", str(data), "--examples", str(examples), "--out", str(out / "rows")]
        + common
    )
    base.main(
        ["train", "--rows", str(out / "rows"), "--out", str(out), "--steps", "3", "--batch", "2"]
        + ["--hidden", "64", "--layers", "2", "--decay-steps", "1", "--save-steps", "2"]
        + common
    )
    return out / "base"


def test_examples_are_what_the_reader_asks_and_parses(examples: Path) -> None:
    records = [json.loads(line) for line in examples.read_text().splitlines()]
    notes = [r["answer"] for r in records if r["kind"] == "note"]
    rankings = [r for r in records if r["kind"] == "ranking"]
    assert len(rankings) == 6 and len(notes) > 20
    for answer in notes:
        assert answer.startswith(SENTENCES) and answer.endswith(END)
        assert sum(marker in answer for marker in VERDICT_MARKERS.values()) == 1
        assert "{" not in answer and "  " not in answer
    for record in rankings:
        size = record["answer"].count("[")
        assert parse_ranking(record["answer"], size).defects == ()


def test_no_example_gives_a_verdict_that_decoding_closes(examples: Path) -> None:
    """Far from the best nothing is related, and the strongest that has all words is not off
    topic."""
    seen = set()
    for record in map(json.loads, examples.read_text().splitlines()):
        found = re.search(
            r"<\|passage\|>\[\d+\] \d+ (?P<strength>\d).*<\|covers\|>(?P<covers>.*)"
            r"<\|lacks\|>(?P<lacks>.*)<\|repeats\|>.*<\|asks\|> \w+ (?P<near>\w+) \d<\|note",
            record["prompt"],
        )
        if record["kind"] != "note" or found is None:
            continue
        whole = "<|c1|>" in found["covers"] and found["lacks"] == " none"
        verdict = next(v for v, m in VERDICT_MARKERS.items() if m in record["answer"])
        if found["strength"] == "9" and whole:
            seen.add("strongest")
            assert verdict != "off_topic"
        elif found["near"] in "012":
            seen.add("far")
            assert verdict in ("answers", "off_topic")
    assert seen == {"strongest", "far"}


def test_the_same_seed_writes_the_same_examples(data: Path, examples: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.jsonl"
    reasoning.main(["--data", str(data), "--out", str(again), "--windows", "6", "--seed", "3"])
    assert again.read_bytes() == examples.read_bytes()


def test_notes_are_kept_by_their_verdicts_share(
    data: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every passage has its ranking line; what is left out are notes alone."""
    only: dict[Verdict, float] = {"answers": 1.0, "partial": 0.0, "related": 0.0, "off_topic": 0.0}
    monkeypatch.setattr(reasoning, "KEPT", only)
    out = tmp_path / "answers.jsonl"
    reasoning.main(["--data", str(data), "--out", str(out), "--windows", "6", "--seed", "3"])
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    notes = [r["answer"] for r in kept if r["kind"] == "note"]
    assert notes and all(VERDICT_MARKERS["answers"] in note for note in notes)
    assert sum(r["kind"] == "ranking" for r in kept) == 6


def test_questions_that_ask_why_are_drawn_more_often_than_they_are_asked(data: Path) -> None:
    passages, asked = read_squad(data)
    facts = [replace(q, text=f"Who is note {n}?") for n, q in enumerate(asked * 8)]
    why = replace(asked[0], text="Why does the moon do it?")
    scorer = load_student("mini", "bf16").scorer
    assert isinstance(scorer, BiEncoderScorer)
    for questions, low, high in (([*facts, why], 0.2, 0.32), (facts, 0.0, 0.0)):
        sampler = WindowSampler(passages, questions, scorer)
        drawn = [sampler.choose_question(random.Random(seed)) for seed in range(400)]
        assert low <= sum(question == why for question in drawn) / len(drawn) <= high


def test_tokenizer_keeps_markers_whole_and_text_intact(tokens: Path, examples: Path) -> None:
    trained = load_tokenizer(str(tokens))
    for marker in MARKERS:
        assert len(trained(marker)["input_ids"]) == 1
    for line in examples.read_text().splitlines():
        text = json.loads(line)["prompt"] + " naïve “ﬁ” 漢字"
        assert trained.decode(trained(text)["input_ids"]) == text


def test_base_trains_and_resumes(small_base: Path, tokens: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(small_base)
    assert model.config.hidden_size == 64 and (small_base / "model.safetensors").is_file()
    before = model.model.embed_tokens.weight.clone()
    out = small_base.parent
    base.main(
        ["train", "--rows", str(out / "rows"), "--tokenizer", str(tokens), "--out", str(out)]
        + ["--steps", "5", "--batch", "2", "--hidden", "64", "--layers", "2", "--decay-steps", "1"]
        + ["--save-steps", "5"]
    )
    state = json.loads((out / "checkpoints" / "checkpoint-5" / "trainer_state.json").read_text())
    assert state["global_step"] == 5
    after = LlamaForCausalLM.from_pretrained(small_base).model.embed_tokens.weight
    assert not torch.equal(before, after)


def test_a_verdict_weighs_more_than_a_word_and_a_prompt_nothing(tokens: Path) -> None:
    known = load_tokenizer(str(tokens))
    verdict = known.convert_tokens_to_ids(VERDICT_MARKERS["related"])
    labels = torch.tensor([[IGNORED, IGNORED, verdict, 7, IGNORED], [IGNORED, 5, 6, 7, 8]])
    logits = torch.randn(2, 5, len(known), generator=torch.Generator().manual_seed(0))
    surprise = -logits.log_softmax(dim=-1)
    learnt = [
        (0, 2, stage2.VERDICT_WEIGHT),
        (0, 3, 1.0),
        *((1, place, 1.0) for place in range(1, 5)),
    ]
    total = sum(
        weight * float(surprise[row, place - 1, labels[row, place]])
        for row, place, weight in learnt
    )
    loss = stage2.weigh_verdicts(known)(SimpleNamespace(logits=logits), labels)
    assert float(loss) == pytest.approx(total / sum(weight for *_, weight in learnt), rel=1e-5)
    nothing = torch.full_like(labels, IGNORED)
    assert float(stage2.weigh_verdicts(known)(SimpleNamespace(logits=logits), nothing)) == 0.0


def test_stage2_adapter_carries_no_path_and_changes_the_model(
    small_base: Path, examples: Path, tmp_path: Path
) -> None:
    stage2.main(
        ["--examples", str(examples), "--base", str(small_base), "--out", str(tmp_path)]
        + ["--steps", "2", "--batch", "2"]
    )
    adapter = tmp_path / "adapter"
    assert (adapter / "adapter_model.safetensors").is_file()
    assert not list(adapter.glob("*.bin"))
    for file in adapter.glob("*.json"):
        assert str(tmp_path) not in file.read_text() and str(small_base) not in file.read_text()


def test_stage2_goes_on_from_another_runs_adapter(
    small_base: Path, examples: Path, tmp_path: Path
) -> None:
    """At a rate of 0 what comes out is what went in, and not a fresh adapter."""
    common = ["--examples", str(examples), "--base", str(small_base), "--batch", "2"]
    first, second = tmp_path / "first", tmp_path / "second"
    stage2.main([*common, "--out", str(first), "--steps", "2", "--rank", "4"])
    stage2.main(
        [*common, "--out", str(second), "--steps", "1", "--learning-rate", "0"]
        + ["--init", str(first / "adapter")]
    )
    before, after = (
        load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (first, second)
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(weights, after[name]) for name, weights in before.items())
    assert any("lora_B" in name and weights.any() for name, weights in before.items())


def test_training_scores_equal_the_scorer(data: Path) -> None:
    student = Student(replace(load_profile("mini"), stage2=None), "fp32")
    scorer = student.scorer
    assert isinstance(scorer, BiEncoderScorer)
    passages, questions = read_squad(data)
    chunks = cut_passages(passages, seed=0)
    sampler = GroupSampler(chunks, questions, queries=2, negatives=2, seed=0)
    rows = stage1.GroupDataset(sampler, scorer.tokenizer, student.profile.stage1, 1)[0]
    with torch.inference_mode():
        trained = stage1.compare(
            stage1.embed(scorer.model, rows["queries"]),
            stage1.embed(scorer.model, rows["passages"]),
            student.profile.stage1,
        )
    group = sampler.sample(0)
    for row, query in enumerate(group.queries):
        served = [score.score for score in scorer.score(query, group.passages)]
        # The scorer keeps token vectors in bf16, which moves a logit by some hundredths.
        assert trained[row].tolist() == pytest.approx(served, abs=0.1)


def test_stage1_adapter_trains_and_is_used(data: Path, tmp_path: Path) -> None:
    stage1.main(
        ["--data", str(data), "--out", str(tmp_path), "--steps", "2", "--queries", "2"]
        + ["--negatives", "2", "--learning-rate", "1e-2", "--save-steps", "2", "--wiki", "0"]
    )
    adapter = tmp_path / "adapter"
    assert json.loads((adapter / "training.json").read_text())["steps_done"] == 2
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == load_profile("mini").stage1.base
    passages, _ = read_squad(data)
    bare = load_student("mini", "bf16", stage1_adapter="").scorer.score("why tides", passages)
    adapted = load_student("mini", "bf16", stage1_adapter=str(adapter))
    assert adapted.info().stage1_adapter_sha256
    scores = adapted.scorer.score("why tides", passages)
    assert any(abs(a.score - b.score) > 0.05 for a, b in zip(bare, scores, strict=True))


def test_what_is_trained_through_rounding_is_what_is_served(data: Path, tmp_path: Path) -> None:
    """Training's forward pass and the 4-bit student built from the saved adapter agree."""
    profile = load_profile("mini").stage1
    weights = resolve_weights(profile.base, load_profile("mini").folder)
    base_model = load_base(weights, kind="encoder", quantization="bf16", device="cpu")
    base_model = base_model.to(choose_dtype("cpu"))
    adapter = LoraConfig(
        r=4, lora_alpha=8, target_modules=stage1.TARGETS, exclude_modules=".*pooler.*"
    )
    torch.manual_seed(0)
    model = get_peft_model(base_model, adapter)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(tmp_path)
    passages, questions = read_squad(data)
    sampler = GroupSampler(cut_passages(passages, 0), questions, queries=2, negatives=2, seed=0)
    served = load_student("mini", "nf4", stage1_adapter=str(tmp_path)).scorer
    assert isinstance(served, BiEncoderScorer)
    rows = stage1.GroupDataset(sampler, served.tokenizer, profile, 1)[0]

    def score() -> torch.Tensor:
        with torch.inference_mode():
            sides = [stage1.embed(model, rows[side]) for side in ("queries", "passages")]
            return stage1.compare(*sides, profile)

    exact = score()
    with train_through_rounding(model):
        rounded = score()
    assert torch.equal(score(), exact)
    group = sampler.sample(0)
    four_bit = torch.tensor(
        [[s.score for s in served.score(query, group.passages)] for query in group.queries]
    )
    assert (rounded - four_bit).abs().max() < 0.1
    assert (exact - four_bit).abs().max() > 2 * (rounded - four_bit).abs().max()
