"""Stage-1 training groups: chunks, query styles, labels, and what the teacher says."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from reranker.training.chunks import CHUNK_CHARS, cut_passages
from reranker.training.ensemble import NEIGHBOURS, SMOOTHED_SHARE, teach
from reranker.training.groups import GroupSampler
from reranker.training.queries import (
    vary_query,
    write_keyword_query,
    write_statement,
    write_topic_query,
)
from reranker.training.sources import Question
from reranker.types import Passage

SUBJECTS = ("tides", "rust", "bread", "echoes", "glaciers", "soap", "lightning", "yeast")
PASSAGES = [
    Passage(
        doc_id=f"{subject}-{number}",
        title=subject.title(),
        text=" ".join(
            f"Remark {number} number {place} on {subject} says that thing "
            f"{subject[0]}{number}{place} is observed by careful people in many parts of it."
            for place in range(12)
        ),
    )
    for subject in SUBJECTS
    for number in range(3)
]


def ask(passage: Passage, answer: str) -> Question:
    return Question(
        query_id=f"q-{passage.doc_id}-{answer}",
        text=f"What thing of remark {answer} on {passage.title.lower()} is observed?",
        doc_id=passage.doc_id,
        answer=answer,
        answer_start=passage.text.index(answer),
    )


QUESTIONS = [
    ask(p, f"{p.title[0].lower()}{p.doc_id[-1]}{place}") for p in PASSAGES for place in (0, 7)
]


def make_sampler(**options: float) -> GroupSampler:
    return GroupSampler(
        cut_passages(PASSAGES, seed=0), QUESTIONS, queries=6, negatives=4, seed=0, **options
    )


def test_chunks_are_whole_sentences_that_make_up_the_passage() -> None:
    for passage in PASSAGES:
        chunks = [c for c in cut_passages(PASSAGES, seed=1) if c.paragraph_id == passage.doc_id]
        assert " ".join(c.passage.text for c in chunks) == passage.text
        for chunk in chunks:
            assert chunk.passage.text == passage.text[chunk.start : chunk.end]
            assert chunk.passage.text.endswith(".") and chunk.passage.title == passage.title
        assert len(chunks) > 1
        longest_sentence = max(map(len, passage.text.split(". ")))
        assert all(len(c.passage.text) <= CHUNK_CHARS[1] + longest_sentence + 2 for c in chunks)
    ids = [c.passage.doc_id for c in cut_passages(PASSAGES, seed=1)]
    assert len(set(ids)) == len(ids)


def test_a_group_labels_the_chunk_that_holds_the_answer() -> None:
    sampler = make_sampler(made_share=0.0)
    asked = {vary: q for q in QUESTIONS for vary in [q.text]}
    for number in range(5):
        group = sampler.sample(number)
        assert group.labels.shape == group.bm25.shape == group.known.shape
        assert (group.labels.sum(axis=1) == 1).all() and group.known[group.labels > 0].all()
        for row, query in enumerate(group.queries):
            if query in asked:
                gold = group.passages[int(np.argmax(group.labels[row]))]
                assert asked[query].answer in gold.text
        assert len({p.doc_id for p in group.passages}) == len(group.passages)
        assert len(set(group.queries)) == len(group.queries) == 6


def test_the_same_number_gives_the_same_group_and_another_gives_another() -> None:
    first, again, other = (make_sampler().sample(n) for n in (3, 3, 4))
    assert first.queries == again.queries and first.passages == again.passages
    assert first.queries != other.queries


def test_made_queries_never_meet_the_chunk_their_words_are_from() -> None:
    sampler = make_sampler(made_share=1.0)
    statements = 0
    for number in range(30):
        group = sampler.sample(number)
        for row, query in enumerate(group.queries):
            sources = [column for column, p in enumerate(group.passages) if query in p.text]
            if query.endswith(".") and sources:
                statements += 1
                assert not group.known[row, sources].any()
                assert not group.labels[row, sources].any()
    assert statements > 10


def test_kin_of_a_made_query_do_not_count_as_wrong() -> None:
    group = make_sampler(made_share=1.0).sample(1)
    for row in range(len(group.queries)):
        if group.labels[row].any():
            gold = group.passages[int(np.argmax(group.labels[row]))]
            for column, passage in enumerate(group.passages):
                if passage.title == gold.title and passage.doc_id != gold.doc_id:
                    assert not group.known[row, column]


def test_styles_of_queries() -> None:
    random_ = random.Random(0)
    question = "Why does the Moon raise two bulges of water?"
    varied = {vary_query(question, random_) for _ in range(50)}
    assert varied == {
        question,
        "why does the moon raise two bulges of water",
        "moon raise two bulges water",
    }
    assert "two_bulges" not in write_topic_query("Two_Bulges", random_)
    assert "two bulges" in write_topic_query("Two_Bulges", random_)
    text = "The Moon raises two bulges of water on opposite sides of the turning Earth. Short one."
    assert write_statement(text, random_).startswith("The Moon")
    assert write_statement("Short one.", random_) == ""
    words = write_keyword_query(text[:75], "Tide", {"moon": 9.0, "bulg": 8.0}, random_)
    assert set(words.replace("tide ", "").split()) <= set(text.lower().replace(".", "").split())
    assert write_keyword_query("One two.", "Tide", {}, random_) == ""


def test_the_teacher_blends_bm25_in_the_same_spread_and_smooths() -> None:
    scores = torch.tensor([[4.0, 2.0, 0.0, -2.0, 1.0]])
    bm25 = torch.tensor([[0.0, 10.0, 20.0, 30.0, 40.0]])
    alone = torch.eye(5)
    blended = scores + 0.5 * (bm25 - bm25.mean()) / bm25.std() * scores.std()
    found = teach(scores, bm25, alone, bm25_weight=0.5)
    # Equally unlike passages: the nearest are any NEIGHBOURS others, weighted alike.
    own = (found - (1 - SMOOTHED_SHARE) * blended) / SMOOTHED_SHARE
    for column in range(5):
        others = [float(blended[0, c]) for c in range(5) if c != column]
        low, high = sorted(others)[:NEIGHBOURS], sorted(others)[-NEIGHBOURS:]
        assert (
            sum(low) / NEIGHBOURS - 1e-4 <= float(own[0, column]) <= sum(high) / NEIGHBOURS + 1e-4
        )


def test_the_teacher_draws_a_passage_towards_its_twin() -> None:
    pooled = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [0.1, 1.0], [0.0, -1.0]]), dim=1
    )
    scores = torch.tensor([[10.0, 0.0, 0.0, 0.0, 0.0]])
    found = teach(scores, torch.zeros(1, 5), pooled, bm25_weight=0.0)
    assert float(found[0, 1]) > float(found[0, 2]) and float(found[0, 0]) < 10
    few = torch.tensor([[3.0, 1.0]])
    assert teach(few, torch.zeros(1, 2), pooled[:2], 0.0).tolist() == [[3.0, 1.0]]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_any_share_of_made_queries_fills_a_group(share: float) -> None:
    assert len(make_sampler(made_share=share).sample(0).queries) == 6
