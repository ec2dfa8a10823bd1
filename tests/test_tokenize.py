"""The one tokeniser: stems, offsets, common words, every script."""

from __future__ import annotations

import threading
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.retrieval.tokenize import (
    STOPWORDS,
    Token,
    tokenize,
    tokenize_query,
    tokenize_with_offsets,
)


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("The runners were running", ["runner", "run"]),
        ("Einstein's relativity; Einstein’s", ["einstein", "relat", "einstein"]),
        ("get_event_loop() in os.path", ["get", "event", "loop", "os", "path"]),
        ("CO2 at 1,000 °C", ["co2", "1", "000", "c"]),
        ("STRASSE Straße", ["strass", "strass"]),
        ("caf\u0065\u0301 CAF\u00c9 ﬁsh", ["café", "café", "fish"]),
        ("½ Ⅷ x² ᴮ", ["1", "2", "viii", "x2", "b"]),
        ("東京 タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("not no never", ["not", "no", "never"]),
        ("--- !? \u0301", []),
        ("", []),
    ],
)
def test_stems(text: str, stems: list[str]) -> None:
    assert tokenize(text) == stems


def test_offsets_point_at_the_surface() -> None:
    assert tokenize_with_offsets("A ½-Tiger’s  café") == [
        Token("½", "1", 2, 3),
        Token("½", "2", 2, 3),
        Token("Tiger’s", "tiger", 4, 11),
        Token("café", "café", 13, 17),
    ]


def test_common_words_are_kept_on_request() -> None:
    assert tokenize("What is it?") == []
    assert tokenize("What is it?", keep_common=True) == ["what", "is", "it"]
    assert {"the", "of", "is"} <= STOPWORDS and not {"not", "no"} & STOPWORDS


def test_a_query_of_common_words_keeps_them() -> None:
    assert [t.surface for t in tokenize_query("The who")] == ["The", "who"]
    assert [t.surface for t in tokenize_query("The who of rock")] == ["rock"]
    assert tokenize_query(" ?! ") == []


@given(text=st.text(), keep_common=st.booleans())
def test_both_ways_give_the_same_stems(text: str, keep_common: bool) -> None:
    tokens = tokenize_with_offsets(text, keep_common=keep_common)
    assert [token.stem for token in tokens] == tokenize(text, keep_common=keep_common)
    assert all(text[t.start : t.end] == t.surface for t in tokens)
    assert [t.start for t in tokens] == sorted(t.start for t in tokens)


@given(words=st.lists(st.sampled_from("Élan naïve Ångström Dvořák Việt Ναί йод 한국".split())))
def test_composed_and_decomposed_text_are_the_same(words: list[str]) -> None:
    text = " ".join(words)
    assert tokenize(unicodedata.normalize("NFD", text)) == tokenize(text)
    assert tokenize(text.upper()) == tokenize(text.lower())


def test_threads_do_not_disturb_each_other() -> None:
    text = "generously running relational conditions " * 200
    expected = tokenize(text)
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(tokenize(text))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8
