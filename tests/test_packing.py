"""Training rows: whole examples, the loss only where it belongs, nothing twice and nothing lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.training.packing import (
    IGNORED,
    OPEN_ROWS,
    PackedRows,
    TokenizedExample,
    pack_rows,
    save_rows,
    tokenize_example,
)
from reranker.training.tokenizer import train_tokenizer

PAD = 0
LENGTH = 32


@st.composite
def examples(draw: st.DrawFn) -> list[TokenizedExample]:
    """Examples whose tokens are all different, so that each can be found again."""
    sizes = draw(st.lists(st.integers(1, LENGTH + 4), max_size=60))
    made, next_id = [], 1
    for size in sizes:
        ids = list(range(next_id, next_id + size))
        next_id += size
        made.append(TokenizedExample(ids=ids, learn_from=draw(st.integers(0, size))))
    return made


@given(examples())
def test_every_example_that_fits_stands_whole_in_one_row(made: list[TokenizedExample]) -> None:
    rows = list(pack_rows(made, LENGTH, PAD))
    texts = [ids for ids, _ in rows]
    for example in made:
        size = len(example.ids)
        places = [
            (number, start)
            for number, ids in enumerate(texts)
            for start in range(LENGTH - size + 1)
            if ids[start : start + size] == example.ids
        ]
        assert len(places) == (size <= LENGTH)
        for number, start in places:
            labels = rows[number][1][start : start + size]
            learn = example.learn_from
            assert labels == [IGNORED] * learn + example.ids[learn:]
    kept = sum(len(example.ids) for example in made if len(example.ids) <= LENGTH)
    assert sum(token != PAD for ids in texts for token in ids) == kept


@given(examples())
def test_rows_have_one_length_and_no_loss_on_padding(made: list[TokenizedExample]) -> None:
    for ids, labels in pack_rows(made, LENGTH, PAD):
        assert len(ids) == len(labels) == LENGTH
        assert ids != [PAD] * LENGTH
        padding = len(ids) - len([token for token in ids if token != PAD])
        assert ids[LENGTH - padding :] == [PAD] * padding
        assert labels[LENGTH - padding :] == [IGNORED] * padding


def test_the_order_of_a_curriculum_is_roughly_kept() -> None:
    sizes = [7, 13, 5, 21, 9, 17, 3, 11] * 40
    made = [TokenizedExample(ids=[n + 1] * size, learn_from=0) for n, size in enumerate(sizes)]
    rows = list(pack_rows(made, LENGTH, PAD))
    place = {n: row for row, (ids, _) in enumerate(rows) for n in {i - 1 for i in ids if i}}
    ranked = [place[n] for n in range(len(sizes))]
    correlation = np.corrcoef(np.arange(len(sizes)), ranked)[0, 1]
    assert correlation > 0.98
    assert len(rows) < 1.15 * sum(sizes) / LENGTH, "little of a row stays empty"


def test_no_more_rows_are_open_than_agreed() -> None:
    made = [TokenizedExample(ids=[1] * 20, learn_from=0) for _ in range(100)]
    taken = 0

    def feed() -> object:
        nonlocal taken
        for example in made:
            taken += 1
            yield example

    next(pack_rows(feed(), LENGTH, PAD))  # type: ignore[arg-type]
    assert taken == OPEN_ROWS + 1


def test_a_row_is_filled_to_its_last_token() -> None:
    made = [TokenizedExample(ids=[n] * 16, learn_from=0) for n in (1, 2, 3, 4)]
    rows = list(pack_rows(made, LENGTH, PAD))
    assert [ids for ids, _ in rows] == [[1] * 16 + [2] * 16, [3] * 16 + [4] * 16]


def test_an_empty_example_makes_no_row() -> None:
    assert list(pack_rows([TokenizedExample(ids=[], learn_from=0)], LENGTH, PAD)) == []


@pytest.mark.parametrize("learn_prompt", [False, True])
def test_the_loss_is_on_the_answer_unless_the_prompt_is_learnt_too(learn_prompt: bool) -> None:
    tokenizer = train_tokenizer(iter(["the sea and the sky are blue"]), 420)
    example = tokenize_example(tokenizer, "the sea", " and the sky", learn_prompt=learn_prompt)
    assert tokenizer.decode(example.ids) == "the sea and the sky"
    learnt = tokenizer.decode(example.ids[example.learn_from :])
    assert learnt == ("the sea and the sky" if learn_prompt else " and the sky")


def test_rows_come_back_from_disk(tmp_path: Path) -> None:
    made = [TokenizedExample(ids=[5, 6, 7], learn_from=1), TokenizedExample(ids=[8], learn_from=0)]
    save_rows(list(pack_rows(made, 6, PAD)), tmp_path / "rows")
    rows = PackedRows(tmp_path / "rows")
    assert len(rows) == 1
    assert rows[0]["input_ids"].tolist() == [5, 6, 7, 8, PAD, PAD]
    assert rows[0]["labels"].tolist() == [IGNORED, 6, 7, 8, IGNORED, IGNORED]
    assert rows[0]["input_ids"].dtype == np.int64
