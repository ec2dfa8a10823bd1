"""The interpreter's own documentation as a corpus, built for real."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.corpora import load_corpus, python_docs
from reranker.corpora.corpus import Corpus
from reranker.corpora.doc_text import (
    MAX_WORDS,
    MIN_WORDS,
    count_words,
    pack_paragraphs,
    split_docstring,
    split_topic,
)


@pytest.fixture(scope="module")
def docs() -> Corpus:
    return load_corpus("python-docs")


def test_thousands_of_passages_of_readable_size(docs: Corpus) -> None:
    words = [count_words(p.text) for p in docs.passages]
    assert len(docs) > 3000
    assert max(words) <= MAX_WORDS
    assert sum(MIN_WORDS <= count <= MAX_WORDS for count in words) > len(words) // 5
    assert docs.licence.startswith("PSF") and len(docs.example_queries) >= 3


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("topic: The for statement", "iterate over the elements of a sequence"),
        ("str.split", "delimiter"),
        ("os.getcwd", "current working directory"),
        ("textwrap.wrap", "Wrap a single paragraph of text"),
        ("pathlib.Path.read_text", "text mode"),
        ("itertools.chain", "first iterable"),
    ],
)
def test_known_entries(docs: Corpus, title: str, said: str) -> None:
    assert any(p.title == title and said in p.text for p in docs.passages)


def test_no_text_twice_and_no_private_names(docs: Corpus) -> None:
    assert len({p.text for p in docs.passages}) == len(docs)
    modules = {p.title.split(".")[0] for p in docs.passages}
    assert not modules & {"antigravity", "this", "test", "idlelib", "tkinter", "site-packages"}
    parts = {part for p in docs.passages if " " not in p.title for part in p.title.split(".")}
    private = {part for part in parts if part.startswith("_") and not part.endswith("__")}
    assert private <= {"_thread"}


def test_building_imports_nothing_with_side_effects() -> None:
    code = (
        "import sys; from reranker.corpora.python_docs import build_passages; build_passages();"
        "print(*{'antigravity','this','idlelib','tkinter','test','turtle','asyncio','unittest'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_second_time_it_comes_from_the_cache(docs: Corpus) -> None:
    file = python_docs.cache_file()
    assert file.is_file() and f"{sys.version_info[0]}.{sys.version_info[1]}" in file.name
    written = file.stat().st_mtime_ns
    assert load_corpus("python-docs") == docs
    assert file.stat().st_mtime_ns == written
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_a_broken_cache_is_built_again(
    cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = python_docs.cache_file()
    file.parent.mkdir(parents=True)
    file.write_text('{"_id": "a", "text": "cut o')
    with caplog.at_level(logging.WARNING):
        assert len(load_corpus("python-docs")) > 3000
    assert "building it again" in caplog.text
    assert file.stat().st_size > 100_000


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DEAR_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert len(load_corpus("python-docs")) > 3000
    assert "could not be cached" in caplog.text


TOPIC = """The "for" statement
*******************

A loop
over things:

   for x in y:
       pass

str.lower()

   Return a copy.

   New in 3.3.

str.upper()
str.title()

   Two at once.

Back at the margin.

Notes
=====

* an item that
  goes on
"""


def test_sections_of_a_topic() -> None:
    assert [(s.title, s.paragraphs) for s in split_topic(TOPIC)] == [
        ("The for statement", ["A loop over things:", "for x in y:\n    pass"]),
        ("str.lower", ["str.lower()", "Return a copy.", "New in 3.3."]),
        ("str.upper", ["str.upper()\nstr.title()", "Two at once."]),
        ("The for statement", ["Back at the margin."]),
        ("Notes", ["* an item that goes on"]),
    ]


def test_code_in_a_docstring_keeps_its_lines() -> None:
    doc = "Sums\nnumbers::\n\n    a = 1\n    b = 2\n\n>>> 1\n1\n\nDone\nnow."
    assert split_docstring(doc) == ["Sums numbers::", "a = 1\nb = 2", ">>> 1\n1", "Done now."]


def test_an_announcement_stays_with_what_it_announces() -> None:
    texts = pack_paragraphs(["word " * 59 + "for example:", ">>> 1\n1", "after " * 70])
    assert texts[0].endswith(">>> 1\n1") and texts[1].startswith("after")


paragraph = st.lists(st.sampled_from(["word", "end.", "More", "x:"]), min_size=1, max_size=400)


@given(paragraphs=st.lists(paragraph.map(" ".join), min_size=1, max_size=12))
def test_packing_loses_nothing_and_keeps_the_size(paragraphs: list[str]) -> None:
    texts = pack_paragraphs(paragraphs)
    assert " ".join(texts).split() == " ".join(paragraphs).split()
    assert all(count_words(text) <= MAX_WORDS for text in texts)
    assert all(count_words(text) >= MIN_WORDS for text in texts[:-2])
