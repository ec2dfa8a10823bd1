"""Where a quotation may start and end: at words, and never in the middle of one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.spans import plan_spans

TEXTS = st.text(alphabet="ab1 .,:'’-\"(é\u0301\n潮क\u093f[3]", max_size=30)


def quotable(source: str, barriers: tuple[str, ...] = (), max_bytes: int = 400) -> set[str]:
    """Every text that could be quoted from `source`, with surrounding space taken off."""
    text = source.encode()
    spans, ends = plan_spans(source, [b.encode() for b in barriers], max_bytes)
    return {
        text[start:end].decode().strip()
        for start, limit in spans.items()
        for end in ends
        if start < end <= limit
    }


@given(TEXTS, st.integers(4, 60))
def test_every_start_reaches_an_end_and_holds_a_word(source: str, max_bytes: int) -> None:
    text = source.encode()
    spans, ends = plan_spans(source, [b'"', b"\n"], max_bytes)
    for start, limit in spans.items():
        assert limit in ends
        assert 0 <= start < limit <= len(text)
        for end in (end for end in ends if start < end <= limit):
            span = text[start:end].decode()
            assert any(character.isalnum() for character in span)
            assert '"' not in span and "\n" not in span
            assert end - start <= max_bytes


@given(TEXTS)
def test_whole_words_can_always_be_quoted(source: str) -> None:
    can = quotable(source)
    for word in source.split():
        has_letter = any(character.isalnum() for character in word)
        if has_letter and not unicodedata.category(word[0]).startswith("M"):
            assert word in can, word


@pytest.mark.parametrize(
    ("source", "yes", "no"),
    [
        ("the blue sky", ["the", "blue sky", "the blue sky"], ["th", "lue", "he blue"]),
        ("It costs 3.14 or 1,000.", ["3.14", "1,000", "1,000."], ["3", "14", "1", "000"]),
        ("at 10:30.", ["10:30"], ["10", "30"]),
        ("I don’t and can't stop", ["don’t", "can't stop"], ["don", "t stop", "t"]),
        ("a well-known fact", ["well-known", "known fact"], ["ell", "-known"]),
        ("He said “no” (twice).", ["“no”", "no", "(twice).", "twice"], ["(", "“", "”", "."]),
        ("cafe\u0301 here", ["cafe\u0301", "cafe\u0301 here"], ["cafe", "\u0301 here"]),
        ("कि ताब", ["कि", "कि ताब"], ["क"]),
        ("one - two", ["one", "two", "one - two"], ["-"]),
        ("- item", ["- item", "item"], ["-"]),
    ],
)
def test_known_boundaries(source: str, yes: list[str], no: list[str]) -> None:
    can = quotable(source)
    assert set(yes) <= can
    assert not set(no) & can


def test_a_span_may_take_the_space_before_it() -> None:
    spans, _ = plan_spans("the sky", [], 400)
    assert sorted(spans) == [0, 3, 4]


def test_nothing_is_quoted_across_a_barrier() -> None:
    can = quotable('say "no" now\nor later', ('"', "\n"))
    assert can == {"say", "no", "now", "or", "later", "or later"}


def test_a_span_ends_within_its_bytes_and_with_a_word() -> None:
    assert quotable("the blue sky", max_bytes=8) == {"the", "blue", "sky", "the blue", "blue sky"}
    assert quotable("the blue sky", max_bytes=7) == {"the", "blue", "sky"}


def test_only_an_endless_word_is_cut_between_characters() -> None:
    assert quotable("é" * 50, max_bytes=9) == {"éééé"}
    assert quotable("a" + "é" * 50 + " short", max_bytes=9) == {"short"}


@pytest.mark.parametrize("source", ["", "  ", "?!", "… — (", "\u0301"])
def test_a_text_without_words_has_no_spans(source: str) -> None:
    assert quotable(source) == set()
