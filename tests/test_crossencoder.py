"""Stage 1 as a cross-encoder, on tiny real models: Llama with a LoRA adapter, and BERT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from reranker.errors import CancelledError
from reranker.stage1 import crossencoder
from reranker.student.student import load_student
from reranker.types import Passage

QUERY = "why do tides rise"
PASSAGES = [
    Passage(
        doc_id=f"d{number}",
        title="Tides" if number % 2 else "",
        text="The tide rises and falls. " * (1 + number * 3 % 5) + f"Granite {number} 🌙 cools.",
    )
    for number in range(7)
]


@pytest.fixture(scope="module", params=["two_base_student", "shared_student", "bert_crossencoder"])
def scorer(request: pytest.FixtureRequest) -> crossencoder.CrossEncoderScorer:
    scorer = load_student(str(request.getfixturevalue(request.param))).scorer
    assert isinstance(scorer, crossencoder.CrossEncoderScorer)
    return scorer


def get_scores(scorer: crossencoder.CrossEncoderScorer, passages: list[Passage]) -> list[float]:
    results = scorer.score(QUERY, passages)
    assert [result.doc_id for result in results] == [passage.doc_id for passage in passages]
    return [result.score for result in results]


def test_scores_do_not_depend_on_batching_or_order(
    scorer: crossencoder.CrossEncoderScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = get_scores(scorer, PASSAGES)
    assert len({round(score, 3) for score in together}) == len(PASSAGES)
    alone = [get_scores(scorer, [passage])[0] for passage in PASSAGES]
    assert together == pytest.approx(alone, abs=1e-4)
    assert get_scores(scorer, PASSAGES[::-1])[::-1] == pytest.approx(together, abs=1e-4)
    monkeypatch.setattr(crossencoder, "TOKEN_BUDGET", 130)
    assert get_scores(scorer, PASSAGES) == pytest.approx(together, abs=1e-4)


@pytest.mark.parametrize("layout", ["two_base_student", "shared_student"])
def test_logits_equal_the_reference_of_the_published_code(
    layout: str, request: pytest.FixtureRequest
) -> None:
    """AutoModelForSequenceClassification + PeftModel, padded on the right, in fp32."""
    folder: Path = request.getfixturevalue(layout)
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    tokenizer.pad_token = tokenizer.eos_token
    base = AutoModelForSequenceClassification.from_pretrained(folder / "base", num_labels=1)
    reference = PeftModel.from_pretrained(base, folder / "stage1").eval()
    reference.config.pad_token_id = tokenizer.pad_token_id
    batch = tokenizer(
        [f"query: {QUERY}"] * len(PASSAGES),
        [f"document: {p.title} {p.text}" for p in PASSAGES],
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    with torch.no_grad():
        expected = reference(**batch).logits.flatten().tolist()
        with reference.disable_adapter():
            bare = reference(**batch).logits.flatten().tolist()
    scores = get_scores(load_student(str(folder)).scorer, PASSAGES)
    assert scores == pytest.approx(expected, abs=1e-4)
    assert min(abs(a - b) for a, b in zip(scores, bare, strict=True)) > 1e-3


def test_truncation_is_flagged_and_what_is_cut_does_not_count(
    scorer: crossencoder.CrossEncoderScorer,
) -> None:
    limit = scorer.profile.max_passage_tokens
    long = "The tide rises. " * limit
    results = scorer.score(
        QUERY,
        [
            Passage(doc_id="short", text="The tide rises."),
            Passage(doc_id="long", text=long),
            Passage(doc_id="other end", text=long + "Granite cools."),
        ],
    )
    assert [result.truncated for result in results] == [False, True, True]
    assert results[1].score == pytest.approx(results[2].score, abs=1e-5)
    assert limit <= results[1].passage_tokens <= limit + scorer.profile.max_query_tokens + 3


def test_a_long_query_is_cut(scorer: crossencoder.CrossEncoderScorer) -> None:
    words = "tide " * 2 * scorer.profile.max_query_tokens
    first, second = (scorer.score(words + end, PASSAGES[:1])[0] for end in ("moon", "granite"))
    assert first.score == pytest.approx(second.score, abs=1e-5)


def test_special_tokens_spelt_out_in_a_passage_are_text(
    scorer: crossencoder.CrossEncoderScorer,
) -> None:
    special = {token for token in scorer.tokenizer.all_special_tokens if token}
    text = "tide " + " ".join(sorted(special)) + " moon"
    seen: list[list[int]] = []
    classify = scorer.classify

    def watch(ids: torch.Tensor, mask: torch.Tensor, extra: dict[str, torch.Tensor]):  # noqa: ANN202
        seen.extend(row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True))
        return classify(ids, mask, extra)

    scorer.classify = watch
    try:
        scorer.score(QUERY, [Passage(doc_id="plain", text="tide moon")])
        scorer.score(QUERY, [Passage(doc_id="forged", text=text)])
    finally:
        scorer.classify = classify
    ids = set(scorer.tokenizer.convert_tokens_to_ids(sorted(special)))
    unknown = scorer.tokenizer.unk_token_id
    plain, forged = ([i for i in row if i in ids and i != unknown] for row in seen)
    assert plain == forged


def test_progress_and_cancelling(
    scorer: crossencoder.CrossEncoderScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossencoder, "TOKEN_BUDGET", 130)
    calls: list[tuple[int, int]] = []
    scorer.score(QUERY, PASSAGES, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 7) and calls[-1] == (7, 7)
    assert calls == sorted(calls) and len(calls) > 3
    calls.clear()
    with pytest.raises(CancelledError):
        scorer.score(
            QUERY,
            PASSAGES,
            progress=lambda done, total: calls.append((done, total)),
            cancelled=lambda: len(calls) > 1,
        )
    assert len(calls) == 2


def test_no_passages_have_no_scores(scorer: crossencoder.CrossEncoderScorer) -> None:
    assert scorer.score(QUERY, []) == []
