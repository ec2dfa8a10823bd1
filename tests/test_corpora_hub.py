"""Hub corpora without a network: names, absent packages, and the shape of records."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from reranker.corpora import load_corpus
from reranker.corpora.hub import make_rows, stream_data_set
from reranker.corpora.rows import Row
from reranker.errors import InputError


@pytest.mark.parametrize(
    "name", ["hub:", "hub:beir/scifact", "hub:datasets:", "hub:datasets:../x", "hub:datasets:/etc"]
)
def test_names_of_another_form(name: str) -> None:
    with pytest.raises(InputError, match="expected hub:ir_datasets:<id> or hub:datasets:<id>, got"):
        load_corpus(name)


@pytest.mark.parametrize("library", ["datasets", "ir_datasets"])
def test_an_absent_package_is_named_with_the_mend(library: str) -> None:
    if importlib.util.find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    with pytest.raises(InputError, match=f"got no such package; run: pip install {library}"):
        load_corpus(f"hub:{library}:beir/scifact")


def test_records_become_rows() -> None:
    records = [
        {"_id": "x", "title": "T", "text": "one"},
        {"_id": "y", "title": "Only a title", "text": ""},
        {"body": "no id"},
        {"doc_id": "z", "text": None, "title": None, "abstract": "two"},
    ]
    assert list(make_rows(records, "hub:x")) == [
        Row(line=0, doc_id="x", title="T", text="one"),
        Row(line=0, doc_id="y", title="", text="Only a title"),
        Row(line=0, doc_id="3", text="no id"),
        Row(line=0, doc_id="z", text="two"),
    ]


def test_a_record_without_text_is_named() -> None:
    with pytest.raises(InputError, match="record 2: expected a field named 'text'"):
        list(make_rows([{"text": "x"}, {"label": 1}], "hub:x"))


def test_a_data_set_read_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """datasets takes a folder of that relative path for the data set: the real code, offline."""
    pytest.importorskip("datasets", reason="the optional package datasets is not installed")
    folder = tmp_path / "acme" / "notes"
    folder.mkdir(parents=True)
    rows = [{"_id": "a", "text": "x"}, {"_id": "b", "text": "y"}]
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    corpus = load_corpus("hub:datasets:acme/notes")
    assert [(p.doc_id, p.text) for p in corpus.passages] == [("a", "x"), ("b", "y")]
    assert [r["_id"] for r in stream_data_set("acme/notes", "default", "train")] == ["a", "b"]
    with pytest.raises(InputError, match="check the name and the network"):
        load_corpus("hub:datasets:acme/nothing-there")
    with pytest.raises(InputError, match="check the name and the network"):
        list(stream_data_set("acme/nothing-there", "default", "train"))
