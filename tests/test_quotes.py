"""A quote is found where it stands, and what is reported is the passage's own text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.prompts.digest import neutralize
from reranker.quotes import locate_quote

TEXTS = st.text(alphabet="aAbB éÉ\u0301ﬁﬀ½²’'“\"–-\t\n\u00a0\u00adßſİ[](1)", max_size=40)


@given(TEXTS, TEXTS)
def test_what_is_found_is_the_text_at_its_offsets(quote: str, text: str) -> None:
    found = locate_quote(quote, text)
    if found:
        assert 0 <= found.start < found.end <= len(text)
        assert text[found.start : found.end] == found.text


@given(st.text(max_size=60), st.data())
def test_every_part_of_a_text_is_found_in_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    quote = text[start:end]
    found = locate_quote(quote, text)
    if quote.strip():
        assert found is not None
        assert found.text == quote.strip()
        assert found.start == text.find(quote.strip())
    else:
        assert found is None


@pytest.mark.parametrize(
    ("quote", "text", "expected"),
    [
        ("the SKY", "Why the sky is blue", "the sky"),
        ("is  very\nblue", "It is very blue.", "is very blue"),
        ("is very blue", "It is \t very\r\n blue.", "is \t very\r\n blue"),
        ("it's", "Yes, it’s so", "it’s"),
        ('he said "no"', "Then he said “no” again", "he said “no”"),
        ("1914-1918", "from 1914–1918 on", "1914–1918"),
        ("the first office", "in the ﬁrst oﬃce of all", "the ﬁrst oﬃce"),
        ("1/2 cup", "add ½ cup", "½ cup"),
        ("x2 + y2", "x² + y²", "x² + y²"),
        ("café", "the cafe\u0301 there", "cafe\u0301"),
        ("cafe\u0301", "the café there", "café"),
        ("STRASSE", "die Straße dort", "Straße"),
        ("as shown (3) there", "as shown [3] there", "as shown [3] there"),
        ("information", "all infor\u00admation here", "infor\u00admation"),
        ("ab", "Ａｂ", "Ａｂ"),
    ],
)
def test_small_differences_are_forgiven(quote: str, text: str, expected: str) -> None:
    found = locate_quote(quote, text)
    assert found is not None
    assert found.text == expected
    assert text[found.start : found.end] == expected


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("", "text"),
        (" \n ", "text"),
        ("anything", ""),
        ("the sea", "the sky"),
        ("blue sky", "sky blue"),
        ("\u00ad", "text"),
        ("resume", "a résumé of it"),
        # Half of a character is no quote of it.
        ("of", "oﬀ"),
        ("cafe", "café"),
        ("1", "½"),
    ],
)
def test_what_is_not_there_is_not_found(quote: str, text: str) -> None:
    assert locate_quote(quote, text) is None


def test_the_first_place_counts() -> None:
    found = locate_quote("blue", "red Blue blue")
    assert found is not None and found.start == 9, "exact text before text of another case"
    found = locate_quote("BLUE", "red Blue blue")
    assert found is not None and found.start == 4


@pytest.mark.parametrize(
    "text",
    [
        "Rain falls [3] when\u200b clouds cool.",
        "One\x00two \u202ethree\u202c four.",
        "A <b>bold</b> claim\ufeff, said\tshe.",
    ],
)
def test_what_a_prompt_showed_of_a_passage_is_found_in_it(text: str) -> None:
    found = locate_quote(neutralize(text, 200), text)
    assert found is not None
    assert found.text == text
