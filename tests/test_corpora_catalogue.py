"""Names and paths to corpora, queries and qrels; the BEIR layout; the bundled corpora."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from reranker import config
from reranker.corpora import list_corpora, load_corpus, load_qrels, load_queries
from reranker.errors import InputError

CORPUS = '{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n'
QUERIES = "".join(f'{{"_id": "q{n}", "text": "query {n}"}}\n' for n in range(8))
HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(CORPUS)
    (folder / "queries.jsonl").write_text(QUERIES)
    (folder / "qrels" / "dev.tsv").write_text(f"{HEADER}q1\ta\t1\nq1\tb\t0\nq2\tb\t3\n")
    return folder


def refuse(folder: Path, where: str, said: str) -> None:
    with pytest.raises(InputError, match="expected .*, got .*; ") as caught:
        load_queries(folder)
        load_qrels(folder)
        load_corpus(folder)
    assert caught.value.where == where
    assert said in str(caught.value)


def test_a_beir_folder(collection: Path) -> None:
    corpus = load_corpus(collection)
    assert (corpus.corpus_id, corpus.title, corpus.licence) == ("tiny", "tiny", "not stated")
    assert corpus.example_queries == tuple(f"query {n}" for n in range(5))
    assert [q.query_id for q in load_queries(collection)] == [f"q{n}" for n in range(8)]
    assert load_qrels(str(collection)) == {"q1": {"a": 1, "b": 0}, "q2": {"b": 3}}


def test_packed_files_of_a_folder(collection: Path) -> None:
    plain = load_corpus(collection), load_queries(collection), load_qrels(collection)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/dev.tsv"):
        path = collection / name
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert (load_corpus(collection), load_queries(collection), load_qrels(collection)) == plain
    (collection / "corpus.jsonl").write_text(CORPUS)
    refuse(collection, "tiny", "corpus.jsonl, corpus.jsonl.gz")


def test_the_choice_of_a_split(collection: Path) -> None:
    (collection / "qrels" / "train.tsv").write_text(f"{HEADER}q3\ta\t1\n")
    assert set(load_qrels(collection)) == {"q1", "q2"}
    assert set(load_qrels(collection, "train")) == {"q3"}
    (collection / "qrels" / "test.tsv").write_text("q4\ta\t1\n")
    assert set(load_qrels(collection)) == {"q4"}
    with pytest.raises(InputError, match="dev, test, train, got 'all'"):
        load_qrels(collection, "all")


def test_a_collection_may_say_what_it_is(collection: Path) -> None:
    about = {"title": "Tiny", "description": "d", "licence": "MIT", "example_queries": ["why?"]}
    (collection / "about.json").write_text(json.dumps(about))
    corpus = load_corpus(collection)
    assert (corpus.title, corpus.description, corpus.licence) == ("Tiny", "d", "MIT")
    assert corpus.example_queries == ("why?",)


@pytest.mark.parametrize("about", ["[]", "{", '{"title": 3}', '{"example_queries": [1]}'])
def test_a_bad_about_file(collection: Path, about: str) -> None:
    (collection / "about.json").write_text(about)
    refuse(collection, "tiny/about.json", "expected")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q1 a 1", "between tabs"),
        ("q1\ta\t1.5", "between tabs"),
        ("q1\ta\t" + "9" * 5000, "between tabs"),
        ("q2\tb\t0", "two"),
    ],
)
def test_bad_qrels(collection: Path, line: str, said: str) -> None:
    with (collection / "qrels" / "dev.tsv").open("a") as stream:
        stream.write("\n" + line)
    refuse(collection, "tiny/qrels/dev.tsv:6", said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"_id": "", "text": "x"}', "empty"),
        ('{"_id": "q1", "text": "x"}', "'q1' again"),
        ("x", ""),
    ],
)
def test_bad_queries(collection: Path, line: str, said: str) -> None:
    (collection / "queries.jsonl").write_text(QUERIES + line)
    refuse(collection, "tiny/queries.jsonl:9", said)


def test_a_link_out_of_the_folder_is_not_followed(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text(CORPUS)
    (collection / "corpus.jsonl").unlink()
    (collection / "corpus.jsonl").symlink_to(tmp_path / "secret.jsonl")
    refuse(collection, "tiny/corpus.jsonl", "leads out of it")


def test_unknown_names_and_refused_paths(collection: Path) -> None:
    with pytest.raises(InputError, match=r"python-docs, or the path .*got 'nope'"):
        load_corpus("nope")
    for name in (collection, "../tiny", collection / "corpus.jsonl"):
        with pytest.raises(InputError, match="called one of"):
            load_corpus(name, allow_paths=False)
        with pytest.raises(InputError, match="called one of"):
            load_qrels(name, allow_paths=False)


def test_bundled_corpora(collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assets" / "corpora").mkdir(parents=True)
    bundled = collection.rename(tmp_path / "assets" / "corpora" / "tiny")
    (bundled / "about.json").write_text('{"title": "Tiny things", "licence": "Apache-2.0"}')
    monkeypatch.setattr(config, "ASSETS", tmp_path / "assets")
    first, last = list_corpora()
    assert (first.corpus_id, first.title, first.licence) == ("tiny", "Tiny things", "Apache-2.0")
    assert last.corpus_id == "python-docs"
    corpus = load_corpus("tiny", allow_paths=False)
    assert (corpus.corpus_id, len(corpus)) == ("tiny", 2)
    assert load_qrels("tiny", allow_paths=False)["q2"] == {"b": 3}
    assert load_queries("python-docs") == () and load_qrels("python-docs") == {}


def test_everyday_science_is_whole() -> None:
    corpus = load_corpus("everyday-science", allow_paths=False)
    queries = load_queries("everyday-science")
    qrels = load_qrels("everyday-science")
    assert len(corpus) >= 150 and len(queries) >= 40
    assert set(qrels) == {query.query_id for query in queries}
    judged = {doc_id for grades in qrels.values() for doc_id in grades}
    assert judged <= {p.doc_id for p in corpus.passages}
    assert {grade for grades in qrels.values() for grade in grades.values()} == {0, 1, 2, 3}


def test_scifact(shared_data: Path) -> None:
    folder = shared_data / "beir" / "scifact"
    corpus = load_corpus(folder)
    assert len(corpus) == 5183 and corpus.corpus_id == "scifact"
    assert corpus.passages[0].doc_id == "4983"
    assert len(load_queries(folder)) == 300
    qrels = load_qrels(folder)
    assert sum(len(grades) for grades in qrels.values()) == 339
    assert all(doc_id in corpus for grades in qrels.values() for doc_id in grades)
