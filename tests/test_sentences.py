"""Sentence spans lie inside the text, in order, and miss nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.sentences import split_sentences


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@given(st.text(alphabet='aB1.!?"”) \n\t-•(é', max_size=80))
def test_spans_are_in_order_stripped_and_miss_only_white_space(text: str) -> None:
    spans = split_sentences(text)
    end = 0
    for start, stop in spans:
        assert text[end:start].strip() == ""
        assert start < stop
        assert text[start:stop] == text[start:stop].strip()
        end = stop
    assert text[end:].strip() == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("One sentence", ["One sentence"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He said “No.” Then he left.", ["He said “No.”", "Then he left."]),
        ("Dr. Smith met J. Doe vs. Mr. Poe. They spoke.", None),
        ("It weighs 3.5 kg. 20 of them fit.", ["It weighs 3.5 kg.", "20 of them fit."]),
        ("So did I. You too.", ["So did I.", "You too."]),
        ("lower. case follows", ["lower. case follows"]),
        ("A heading\n\nits text", ["A heading", "its text"]),
        ("A list:\n- one\n- two\n• three", ["A list:", "- one", "- two", "• three"]),
        ("Cats, dogs, etc.\n\nNext part.", ["Cats, dogs, etc.", "Next part."]),
        ("Fruit, nuts, etc.\n- one", ["Fruit, nuts, etc.", "- one"]),
        ("One line\nbroken in two.", ["One line\nbroken in two."]),
    ],
)
def test_known_splits(text: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = ["Dr. Smith met J. Doe vs. Mr. Poe.", "They spoke."]
    assert sentences(text) == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    ["a" * 200_000 + "! B", "Mr. X " * 20_000, ". " * 50_000, "\n" * 100_000, "." + " " * 100_000],
    ids=["one word", "abbreviations", "stops", "lines", "spaces"],
)
def test_long_odd_texts_take_no_quadratic_time(text: str) -> None:
    spans = split_sentences(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
