"""Pasted candidates: lines, paragraphs or jsonl, with and without ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.corpora import list_hits, parse_pasted, pasted
from reranker.errors import InputError


def pairs(text: str) -> list[tuple[str, str]]:
    return [(p.doc_id, p.text) for p in parse_pasted(text).passages]


def test_a_line_each() -> None:
    assert pairs("one\r\ntwo two\n") == [("c1", "one"), ("c2", "two two")]


def test_a_blank_line_at_the_ends_makes_no_paragraphs() -> None:
    assert pairs("\n \none\ntwo\n\n") == [("c1", "one"), ("c2", "two")]


def test_a_paragraph_each() -> None:
    assert pairs("one\nstill one\n\n\ntwo") == [("c1", "one\nstill one"), ("c2", "two")]


def test_ids_before_a_tab() -> None:
    assert pairs("d7\tone\nd8\ttwo\tmore") == [("d7", "one"), ("d8", "two\tmore")]
    assert pairs("d7\tone\nline\n\nd8\ttwo") == [("d7", "one\nline"), ("d8", "two")]


def test_a_tab_in_some_entries_is_no_id() -> None:
    assert pairs("d7\tone\ntwo") == [("c1", "d7\tone"), ("c2", "two")]


def test_jsonl_with_titles() -> None:
    corpus = parse_pasted(
        '\ufeff\n{"_id": "x", "title": "T", "text": "one"}\n{"id": 2, "text": "b"}'
    )
    assert [(p.doc_id, p.title, p.text) for p in corpus.passages] == [
        ("x", "T", "one"),
        ("2", "", "b"),
    ]
    assert corpus.corpus_id == "pasted"


def test_hits_keep_the_order_and_have_no_score() -> None:
    hits = list_hits(parse_pasted("b\na").passages)
    assert [(h.passage.text, h.rank, h.bm25_score, h.terms) for h in hits] == [
        ("b", 1, None, ()),
        ("a", 2, None, ()),
    ]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("", "pasted list", "at least one"),
        (" \n\t\n", "pasted list", "at least one"),
        ("a\tone\n\n\na\ttwo", "pasted list:4", "'a' again"),
        ("a\tone\nb\t ", "pasted list:2", "got none"),
        ('{"_id": "a", "text": "x"}\nplain', "pasted list:2", "invalid JSON"),
        ("one\ntw\0o", "pasted list:2", "NUL"),
    ],
)
def test_what_is_refused(text: str, where: str, said: str) -> None:
    with pytest.raises(InputError, match="expected .*, got .*; ") as caught:
        parse_pasted(text)
    assert caught.value.where == where and said in str(caught.value)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pasted, "MAX_PASTED_PASSAGES", 2)
    monkeypatch.setattr(pasted, "MAX_PASTED_CHARS", 10)
    with pytest.raises(InputError, match="pasted list:5: expected at most 2 candidates, got 3"):
        parse_pasted("a\n\nb\n\nc")
    with pytest.raises(InputError, match="10 characters, got 11"):
        parse_pasted("a" * 11)


line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1)


@given(lines=st.lists(line.map(str.strip).filter(lambda t: t and t[0] != "{"), min_size=1))
def test_every_line_becomes_one_passage(lines: list[str]) -> None:
    assert [text for _, text in pairs("\n".join(lines))] == lines
