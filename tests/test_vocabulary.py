"""Which tokens may come next in free text."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.vocabulary import FreeText, Vocabulary, read_label

PIECES = [
    b"a",
    b" the",
    b"#",
    b"## ",
    b"### End",
    b"### End.",
    b" End",
    b" End.",
    b"[",
    b"[1",
    b"[1]",
    b"[9]",
    b"x[9] y",
    b"1",
    b"9",
    b"]",
    b"2] and",
    b"<|",
    b"|>",
    b"t|>",
    None,
    b"</s>",
    b"",
]
EOS = PIECES.index(b"</s>")
VOCABULARY = Vocabulary(PIECES, [EOS])
RULE = FreeText(stops=(b"### End",), barred=(b"<|t|>",), labels=frozenset({1, 12}))


def allowed(written: bytes, rule: FreeText = RULE) -> set[bytes]:
    return {VOCABULARY.pieces[i] or b"" for i in np.flatnonzero(VOCABULARY.allow(rule, written))}


def test_prefixes_are_found_at_every_length() -> None:
    found = {VOCABULARY.pieces[i] for i in VOCABULARY.prefixes_of(b"[1] and")}
    assert found == {b"[", b"[1", b"[1]"}
    assert list(VOCABULARY.prefixes_of(b"")) == []


def test_several_ids_can_stand_for_one_text() -> None:
    assert list(Vocabulary([b"a", b"a", b"b"], [2]).prefixes_of(b"ab")) == [0, 1]


def test_tokens_of_no_text_and_the_end_are_never_allowed() -> None:
    mask = VOCABULARY.allow(FreeText(stops=(b"zzz",)), b"")
    assert not mask[EOS] and not mask[PIECES.index(None)] and not mask[PIECES.index(b"")]


def test_a_token_may_end_with_a_stop_but_not_run_past_it() -> None:
    assert b"### End" in allowed(b"")
    assert b"### End." not in allowed(b"")


@pytest.mark.parametrize("begun", [b"###", b"some text ###"])
def test_a_stop_spelt_by_several_tokens_cannot_be_run_past(begun: bytes) -> None:
    assert b" End" in allowed(begun)
    assert b" End." not in allowed(begun)
    assert b" End." in allowed(b"##")


def test_a_barred_text_can_be_spelt_in_no_way() -> None:
    assert b"t|>" in allowed(b"")
    assert b"t|>" not in allowed(b"<|")
    assert b"|>" not in allowed(b"<|t")
    assert b"|>" in allowed(b"<|")


def test_labels_outside_the_list_can_be_spelt_in_no_way() -> None:
    assert {b"[1]", b"[1", b"["} <= allowed(b"")
    assert not {b"[9]", b"x[9] y"} & allowed(b"")
    assert b"]" in allowed(b"see [1")
    assert b"]" not in allowed(b"see [9")
    assert b"2] and" in allowed(b"see [1")
    assert b"2] and" not in allowed(b"see [")
    assert b"]" in allowed(b"see ["), "[] is no label"
    assert b"]" in allowed(b"see 9")
    assert b"]" not in allowed(b"[" + b"1" * 5000)


def test_without_a_list_any_label_may_be_written() -> None:
    free = FreeText(stops=(b"### End",))
    assert {b"[9]", b"x[9] y"} <= allowed(b"", free)
    assert b"]" in allowed(b"[9", free)


def test_a_mask_for_one_moment_does_not_change_the_next() -> None:
    before = VOCABULARY.allow(RULE, b"").copy()
    VOCABULARY.allow(RULE, b"[9")
    assert (VOCABULARY.allow(RULE, b"") == before).all()


def test_a_label_is_a_small_number() -> None:
    assert read_label(b"12") == 12
    assert read_label(b"9" * 5000) == 0
