"""Stage 1 as a bi-encoder, on a tiny real BERT with a LoRA adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModel, AutoTokenizer

from reranker.errors import CancelledError
from reranker.sentences import split_sentences
from reranker.stage1 import biencoder
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.student import student
from reranker.student.quantize import unpack_once
from reranker.student.student import load_student
from reranker.training.distill import _Served
from reranker.types import Passage

QUERY = "why do tides rise"
PASSAGES = [
    Passage(
        doc_id=f"d{number}",
        title="On tides" if number % 2 else "",
        text="The tide rises. " * (1 + number % 3) + f"It falls; naïve {number}. Granite cools.",
    )
    for number in range(6)
]
# Token vectors are kept in bf16, which moves a score of up to 20 by some hundredths.
BF16 = 0.05


@pytest.fixture(scope="module")
def student_folder(digest_student: Path) -> Path:
    return digest_student


@pytest.fixture
def scorer(student_folder: Path) -> BiEncoderScorer:
    scorer = load_student(str(student_folder)).scorer
    assert isinstance(scorer, BiEncoderScorer)
    return scorer


class Reference:
    """Mean pooling and MaxSim token by token, one text at a time, in numpy. [CLS] and [SEP], which
    stand around every text, take part in the first only."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "base")
        base = AutoModel.from_pretrained(folder / "base")
        self.model = PeftModel.from_pretrained(base, folder / "stage1").eval()

    def embed(self, text: str) -> tuple[np.ndarray, list[tuple[int, int]]]:
        batch = self.tokenizer(text, return_offsets_mapping=True)
        ids = torch.tensor([batch["input_ids"]])
        with torch.no_grad():
            return self.model(input_ids=ids).last_hidden_state[0].numpy(), batch["offset_mapping"]

    @staticmethod
    def late(query: np.ndarray, passage: np.ndarray) -> float:
        best = []
        for token in query:
            cosines = [
                float(token @ other / (np.linalg.norm(token) * np.linalg.norm(other)))
                for other in passage
            ]
            best.append(max(cosines))
        return sum(best) / len(best)

    @staticmethod
    def pooled(query: np.ndarray, passage: np.ndarray) -> float:
        q, p = query.mean(axis=0), passage.mean(axis=0)
        return float(q @ p / (np.linalg.norm(q) * np.linalg.norm(p)))


def test_scores_equal_an_independent_formulation(
    scorer: BiEncoderScorer, student_folder: Path
) -> None:
    reference, profile = Reference(student_folder), scorer.profile
    query, _ = reference.embed(QUERY)
    for passage, result in zip(PASSAGES, scorer.score(QUERY, PASSAGES), strict=True):
        head = f"{passage.title} " if passage.title else ""
        tokens, offsets = reference.embed(head + passage.text)
        logit = profile.scale * (
            profile.pooled_weight * reference.pooled(query, tokens)
            + (1 - profile.pooled_weight) * reference.late(query[1:-1], tokens[1:-1])
        )
        assert result.doc_id == passage.doc_id
        assert result.score == pytest.approx(logit, abs=BF16)
        assert result.passage_tokens == len(tokens) and not result.truncated
        for sentence in result.sentences:
            start, end = sentence.start + len(head), sentence.end + len(head)
            inside = [i for i, (a, b) in enumerate(offsets) if a < b and start <= a and b <= end]
            expected = profile.scale * reference.late(query[1:-1], tokens[inside])
            assert sentence.score == pytest.approx(expected, abs=BF16)


def test_nearness_is_the_cosine_to_each_of_the_two_best_others(
    scorer: BiEncoderScorer, student_folder: Path
) -> None:
    reference = Reference(student_folder)
    heads = [f"{passage.title} " if passage.title else "" for passage in PASSAGES]
    pooled = [reference.embed(head + p.text)[0] for head, p in zip(heads, PASSAGES, strict=True)]
    results = scorer.score(QUERY, PASSAGES)
    order = sorted(range(len(results)), key=lambda place: -results[place].score)
    for place, result in enumerate(results):
        best = [other for other in order if other != place][:2]
        expected = [reference.pooled(pooled[place], pooled[other]) for other in best]
        assert result.nearness == pytest.approx(expected, abs=1e-3)
    first, second = scorer.score(QUERY, PASSAGES[:2])
    assert len(first.nearness) == 1 and first.nearness == pytest.approx(second.nearness)
    assert scorer.score(QUERY, PASSAGES[:1])[0].nearness == ()


def test_feedback_reads_the_query_beside_the_passage_that_leads(
    scorer: BiEncoderScorer, student_folder: Path
) -> None:
    reference, profile = Reference(student_folder), scorer.profile
    texts = [f"{p.title} {p.text}" if p.title else p.text for p in PASSAGES]
    states = [reference.embed(text)[0] for text in texts]
    alone = reference.embed(QUERY)[0]
    results = scorer.score(QUERY, PASSAGES)
    logits = np.array([result.score for result in results])
    near = np.array([result.nearness[0] for result in results])
    leader = int(np.argmax(logits / logits.std() + 0.6 * near / near.std()))
    beside = reference.embed(f"{QUERY} {texts[leader]}")[0]

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # type: ignore[no-any-return]

    words = len(alone) - 2
    tokens = unit(alone[1:-1]) + unit(beside[1 : 1 + words])
    pooled = unit(alone.mean(axis=0)) + unit(beside.mean(axis=0))
    weight = profile.pooled_weight
    expected = [
        profile.scale
        * (
            weight * float(unit(pooled) @ unit(rows.mean(axis=0)))
            + (1 - weight) * reference.late(tokens, rows[1:-1])
        )
        for rows in states
    ]
    found = [result.feedback for result in results]
    assert [f.score for f in found if f] == pytest.approx(expected, abs=BF16)
    assert max(abs(f.score - r.score) for f, r in zip(found, results, strict=True) if f) > BF16
    first, second = sorted(range(len(expected)), key=lambda place: -expected[place])[:2]
    for place, f in enumerate(found):
        other = second if place == first else first
        cosine = reference.pooled(states[place], states[other])
        assert f is not None and f.nearness == pytest.approx(cosine, abs=1e-3)
    assert scorer.score(QUERY, PASSAGES[:1])[0].feedback is None


@pytest.mark.parametrize("query", ["tides " * 300, "🌊", " "])
def test_feedback_stays_within_what_the_model_reads(scorer: BiEncoderScorer, query: str) -> None:
    long = [Passage(doc_id=str(n), text="The tide rises and falls. " * 200) for n in range(2)]
    read: list[int] = []
    scorer.model.register_forward_hook(
        lambda module, args, kwargs, output: read.append(kwargs["input_ids"].shape[1]),
        with_kwargs=True,
    )
    results = scorer.score(query, long)
    assert max(read) <= scorer.profile.max_passage_tokens
    assert all(r.feedback and np.isfinite(r.feedback.score) for r in results)


def test_the_adapter_counts(scorer: BiEncoderScorer, student_folder: Path) -> None:
    bare = load_student(str(student_folder), stage1_adapter="").scorer
    with_adapter, without = (s.score(QUERY, PASSAGES) for s in (scorer, bare))
    gaps = [abs(a.score - b.score) for a, b in zip(with_adapter, without, strict=True)]
    assert max(gaps) > 0.1


def test_the_cache_changes_nothing_and_saves_the_encoding(scorer: BiEncoderScorer) -> None:
    read: list[int] = []
    scorer.model.register_forward_hook(
        lambda module, args, kwargs, output: read.append(len(kwargs["input_ids"])),
        with_kwargs=True,
    )
    first = scorer.score(QUERY, PASSAGES)
    # the query, alone and beside the passage that leads, and each passage once
    assert sum(read) == 2 + len(PASSAGES)
    read.clear()
    assert scorer.score(QUERY, PASSAGES) == first
    assert read == [1, 1]
    changed = Passage(doc_id=PASSAGES[0].doc_id, text="Another text under the same key.")
    assert scorer.score(QUERY, [changed])[0].score != first[0].score


def test_a_small_cache_gives_the_same_scores(student_folder: Path, scorer: BiEncoderScorer) -> None:
    small = BiEncoderScorer(scorer.model, scorer.tokenizer, scorer.profile, cached_passages=2)
    expected = scorer.score(QUERY, PASSAGES)
    assert small.score(QUERY, PASSAGES) == expected
    again = [result.score for result in small.score(QUERY, PASSAGES)]
    assert again == pytest.approx([result.score for result in expected], abs=BF16)


@pytest.mark.parametrize("quantization", ["fp32", "bf16", "nf4"])
def test_batches_change_nothing_but_rounding(student_folder: Path, quantization: str) -> None:
    one, many = (load_student(str(student_folder), quantization).scorer for _ in range(2))
    together = [result.score for result in many.score(QUERY, PASSAGES)]
    alone = [one.score(QUERY, [passage])[0].score for passage in PASSAGES]
    assert together == pytest.approx(alone, abs=BF16 if quantization == "fp32" else 0.5)


@pytest.fixture
def _many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every passage is a batch of its own."""
    monkeypatch.setattr(biencoder, "TOKEN_BUDGET", {"cpu": 1})


@pytest.mark.usefixtures("_many_batches")
def test_a_model_that_is_only_called_is_enough(scorer: BiEncoderScorer) -> None:
    """As a job measures what it trains."""
    bare: Any = _Served(scorer.model, scorer.model.device)
    served = BiEncoderScorer(bare, scorer.tokenizer, scorer.profile)
    expected = [result.score for result in scorer.score(QUERY, PASSAGES)]
    found = [result.score for result in served.score(QUERY, PASSAGES)]
    assert found == pytest.approx(expected, abs=BF16)


@pytest.mark.usefixtures("_many_batches")
def test_several_batches_are_prepared_for_once(scorer: BiEncoderScorer) -> None:
    entered = []

    @contextmanager
    def prepare() -> Iterator[None]:
        entered.append(True)
        yield

    prepared = BiEncoderScorer(scorer.model, scorer.tokenizer, scorer.profile, many_batches=prepare)
    prepared.score(QUERY, PASSAGES[:1])
    assert not entered, "one batch needs no preparing"
    prepared.score(QUERY, PASSAGES)
    prepared.score(QUERY, PASSAGES)
    assert entered == [True], "what is in the cache is not encoded again"


@pytest.mark.usefixtures("_many_batches")
def test_a_student_in_4_bits_unpacks_once_for_all_batches(
    student_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = []

    @contextmanager
    def unpack(model: torch.nn.Module) -> Iterator[None]:
        entered.append(model)
        with unpack_once(model):
            yield

    monkeypatch.setattr(student, "unpack_once", unpack)
    scorer = load_student(str(student_folder), "nf4").scorer
    assert isinstance(scorer, BiEncoderScorer)
    scorer.score(QUERY, PASSAGES)
    assert entered == [scorer.model]


def test_repeated_passages_and_order(scorer: BiEncoderScorer) -> None:
    twice = [PASSAGES[2], PASSAGES[0], PASSAGES[2]]
    results = scorer.score(QUERY, twice)
    assert [r.doc_id for r in results] == ["d2", "d0", "d2"]
    assert results[0] == results[2]


def test_spans_count_into_the_text_with_and_without_a_title(scorer: BiEncoderScorer) -> None:
    text = "  The tide rises 🌙 here. It falls. Naïve granite cools."
    plain, titled = scorer.score(
        QUERY,
        [
            Passage(doc_id="plain", text=text),
            Passage(doc_id="titled", text=text, title="Moon. Of {text} and {title}"),
        ],
    )
    for result in (plain, titled):
        assert [(s.start, s.end) for s in result.sentences] == list(split_sentences(text))


def test_truncation_is_flagged_and_unread_sentences_are_left_out(scorer: BiEncoderScorer) -> None:
    limit = scorer.profile.max_passage_tokens
    text = "The tide rises. " * limit
    long, exact = scorer.score(
        QUERY, [Passage(doc_id="long", text=text), Passage(doc_id="short", text="The tide.")]
    )
    assert long.truncated and long.passage_tokens == limit
    assert 0 < len(long.sentences) < len(split_sentences(text))
    assert not exact.truncated


def test_progress_and_cancelling(scorer: BiEncoderScorer) -> None:
    calls: list[tuple[int, int]] = []
    scorer.score(QUERY, PASSAGES, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 6) and calls[-1] == (6, 6)
    fresh = BiEncoderScorer(scorer.model, scorer.tokenizer, scorer.profile)
    with pytest.raises(CancelledError):
        fresh.score(QUERY, PASSAGES, cancelled=lambda: True)
    assert fresh.score(QUERY, PASSAGES)  # a cancelled call leaves nothing half done


def test_an_empty_list_and_an_empty_text(scorer: BiEncoderScorer) -> None:
    assert scorer.score(QUERY, []) == []
    (result,) = scorer.score(QUERY, [Passage(doc_id="empty", text="")])
    assert result.sentences == () and not result.truncated


def test_a_text_the_tokenizer_reads_nothing_of_has_no_sentences(scorer: BiEncoderScorer) -> None:
    """Only special tokens are left of it, and these stand for no sentence."""
    unseen = Passage(doc_id="unseen", text="\u200b\u2060")
    assert scorer.read_passage(unseen).words() == [0, 1]
    (result,) = scorer.score(QUERY, [unseen])
    assert result.sentences == ()
