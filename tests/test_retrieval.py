"""BM25: the formula, exact term weights, ties, two libraries in agreement, saved indexes."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.corpora import Corpus, load_corpus, load_queries, make_corpus
from reranker.errors import InputError
from reranker.retrieval import Retriever, bm25, build_retriever, saved_index, tokenize
from reranker.retrieval.index import K1, B
from reranker.retrieval.saved_index import index_folder
from reranker.types import Hit, Passage, TermWeight

KINDS: tuple[bm25.RetrieverKind, ...] = ("rank_bm25", "bm25s")
TEXTS = ("The cat sat", "A cat and a dog, a cat", "Dogs bark", "Nothing here")


def corpus_of(*texts: str) -> Corpus:
    return make_corpus(
        (Passage(doc_id=f"d{n}", text=text) for n, text in enumerate(texts)), corpus_id="test"
    )


def score_by_hand(texts: tuple[str, ...], query: list[str]) -> list[float]:
    """The formula of reranker/retrieval/index.py, written out once more."""
    stems = [tokenize(text, keep_common=True) for text in texts]
    mean = sum(map(len, stems)) / len(stems)
    scores = []
    for passage in stems:
        score = 0.0
        for stem in query:
            df = sum(stem in other for other in stems)
            tf = passage.count(stem)
            if tf:
                norm = K1 * (1 - B + B * len(passage) / mean)
                score += math.log((len(texts) + 1) / df) * tf * (K1 + 1) / (tf + norm)
        scores.append(score)
    return scores


def check_weights(hits: tuple[Hit, ...]) -> None:
    for rank, hit in enumerate(hits, start=1):
        assert hit.rank == rank
        assert hit.bm25_score is not None and hit.bm25_score > 0
        assert math.fsum(term.weight for term in hit.terms) == hit.bm25_score


@pytest.mark.parametrize("kind", KINDS)
def test_scores_follow_the_formula(kind: bm25.RetrieverKind, cache_folder: Path) -> None:
    hits = build_retriever(corpus_of(*TEXTS), kind=kind).search("cats with a Dog", 10)
    expected = score_by_hand(TEXTS, ["cat", "dog"])
    assert [hit.passage.doc_id for hit in hits] == ["d1", "d2", "d0"]
    assert [hit.bm25_score for hit in hits] == pytest.approx(
        [expected[1], expected[2], expected[0]], rel=1e-12
    )
    check_weights(hits)


@pytest.mark.parametrize("kind", KINDS)
def test_terms_are_surface_forms_in_query_order(
    kind: bm25.RetrieverKind, cache_folder: Path
) -> None:
    retriever = build_retriever(corpus_of(*TEXTS), kind=kind)
    (hit,) = retriever.search("Unicorns Barking and barks", 10)
    assert [term.term for term in hit.terms] == ["Unicorns", "Barking"]
    assert hit.terms[0] == TermWeight(term="Unicorns", weight=0.0)
    (once,) = retriever.search("bark", 10)
    assert hit.terms[1].weight == 2 * once.terms[0].weight, "a word said twice counts twice"


@pytest.mark.parametrize("kind", KINDS)
def test_ties_keep_the_corpus_order_at_every_depth(
    kind: bm25.RetrieverKind, cache_folder: Path
) -> None:
    texts = ["same words"] * 7 + ["same same words"] + ["same words"] * 5
    retriever = build_retriever(corpus_of(*texts), kind=kind)
    full = [hit.passage.doc_id for hit in retriever.search("same", 50)]
    assert full == ["d7", *(f"d{n}" for n in range(13) if n != 7)]
    for depth in range(1, 14):
        assert [h.passage.doc_id for h in retriever.search("same", depth)] == full[:depth]


@pytest.mark.parametrize("kind", KINDS)
def test_passages_without_a_query_word_are_left_out(
    kind: bm25.RetrieverKind, cache_folder: Path
) -> None:
    retriever = build_retriever(corpus_of(*TEXTS), kind=kind)
    assert len(retriever.search("bark", 4)) == 1
    assert retriever.search("zebra", 4) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_of_one_passage(kind: bm25.RetrieverKind, cache_folder: Path) -> None:
    hits = build_retriever(corpus_of("Snow melts"), kind=kind).search("melting snow", 5)
    assert [hit.passage.doc_id for hit in hits] == ["d0"]
    check_weights(hits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_without_words(kind: bm25.RetrieverKind, cache_folder: Path) -> None:
    assert build_retriever(corpus_of("...", "!!"), kind=kind).search("snow", 5) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_without_words_beside_others(
    kind: bm25.RetrieverKind, cache_folder: Path
) -> None:
    hits = build_retriever(corpus_of("...", "snow", "?"), kind=kind).search("snow", 5)
    assert [hit.passage.doc_id for hit in hits] == ["d1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_of_common_words_finds_them(kind: bm25.RetrieverKind, cache_folder: Path) -> None:
    retriever = build_retriever(corpus_of("The Who", "a band", "who is it"), kind=kind)
    assert [h.passage.doc_id for h in retriever.search("the who", 5)] == ["d0", "d2"]


@pytest.mark.parametrize("query", ["", "  \n", "?!", "\u0301"])
def test_a_query_without_a_word_is_refused(query: str) -> None:
    retriever = build_retriever(corpus_of(*TEXTS))
    with pytest.raises(InputError, match="expected a query with at least one word, got .*; type"):
        retriever.search(query, 5)


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="expected a depth of 1 or more, got 0"):
        build_retriever(corpus_of(*TEXTS)).search("cat", 0)


def test_titles_are_searched_and_unicode_is_found() -> None:
    corpus = make_corpus(
        [
            Passage(doc_id="a", title="Zürich", text="Eine Stadt"),
            Passage(doc_id="b", text="東京タワー"),
        ],
        corpus_id="u",
    )
    retriever = build_retriever(corpus)
    assert [h.passage.doc_id for h in retriever.search("ZU\u0308RICH", 5)] == ["a"]
    assert [h.passage.doc_id for h in retriever.search("京", 5)] == ["b"]


vocabulary = st.sampled_from("sun moon star stars the of cloud rain ice é 日 bright".split())
sentence = st.lists(vocabulary, max_size=8).map(lambda words: " ".join(words) or "...")


@settings(deadline=None)
@given(
    texts=st.lists(sentence, min_size=1, max_size=12).map(tuple),
    query=st.lists(vocabulary, min_size=1, max_size=6).map(" ".join),
    depth=st.integers(1, 14),
)
def test_both_libraries_agree_with_the_formula(
    texts: tuple[str, ...], query: str, depth: int
) -> None:
    corpus = corpus_of(*texts)
    found = [build_retriever(corpus, kind=kind).search(query, depth) for kind in KINDS]
    expected = score_by_hand(texts, [t.stem for t in bm25.tokenize_query(query)])
    order = sorted(
        (n for n, score in enumerate(expected) if score > 0),
        key=lambda n: (-round(expected[n], 9), n),
    )
    for hits in found:
        assert [hit.passage.doc_id for hit in hits] == [f"d{n}" for n in order[:depth]]
        assert [hit.bm25_score for hit in hits] == pytest.approx(
            [expected[n] for n in order[:depth]], rel=1e-9
        )
        check_weights(hits)


def test_both_libraries_agree_on_scifact(shared_data: Path, cache_folder: Path) -> None:
    folder = shared_data / "beir" / "scifact"
    corpus = load_corpus(folder)
    retrievers = [build_retriever(corpus, kind=kind) for kind in KINDS]
    assert [r.kind for r in retrievers] == list(KINDS)
    for query in load_queries(folder):
        one, two = (retriever.search(query.text, 10) for retriever in retrievers)
        check_weights(one)
        check_weights(two)
        assert len(one) == 10
        assert [h.passage.doc_id for h in one] == [h.passage.doc_id for h in two], query
        np.testing.assert_allclose(
            [h.bm25_score for h in one if h.bm25_score], [h.bm25_score for h in two], rtol=1e-9
        )


def test_the_kind_follows_the_size(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch, corpus: Corpus
) -> None:
    small = build_retriever(corpus)
    assert small.kind == "rank_bm25"
    assert small.description == "BM25 by rank_bm25 over 40 passages, index in memory"
    monkeypatch.setattr(bm25, "LARGE_CORPUS", 39)
    large = build_retriever(corpus)
    assert large.kind == "bm25s"
    assert large.description == "BM25 by bm25s over 40 passages, index memory-mapped from disk"


@pytest.fixture
def corpus() -> Corpus:
    return corpus_of(*(f"number {n} of {n * n}" for n in range(40)))


def list_ids(retriever: Retriever) -> list[str]:
    return [hit.passage.doc_id for hit in retriever.search("number 4", 10)]


def test_an_index_is_built_once_then_memory_mapped(cache_folder: Path, corpus: Corpus) -> None:
    calls: list[tuple[int, int]] = []
    first = build_retriever(corpus, kind="bm25s", on_progress=lambda *done: calls.append(done))
    second = build_retriever(corpus, kind="bm25s", on_progress=lambda *done: calls.append(done))
    assert calls == [(40, 40)], "only the first one tokenised"
    assert list_ids(first) == list_ids(second)
    assert list_ids(first)[:2] == ["d2", "d4"]
    assert isinstance(second._index, saved_index.SavedIndex)
    assert isinstance(second._index._weights, np.memmap)
    folder = index_folder(corpus.sha256)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert {path.suffix for path in folder.iterdir()} == {".npy", ".json"}
    for path in folder.glob("*.npy"):
        np.load(path, allow_pickle=False)


def test_other_corpora_and_other_tokenisers_have_other_indexes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = index_folder("a" * 64)
    assert index_folder("b" * 64) != first
    monkeypatch.setattr(saved_index, "TOKENIZER_VERSION", "another")
    assert index_folder("a" * 64) != first


@pytest.mark.parametrize("broken", ["cut", "missing", "json", "pickled", "size"])
def test_an_unusable_index_is_built_again(
    broken: str, cache_folder: Path, corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    expected = list_ids(build_retriever(corpus, kind="bm25s"))
    folder = index_folder(corpus.sha256)
    data = folder / "data.csc.index.npy"
    if broken == "cut":
        data.write_bytes(data.read_bytes()[:-100])
    elif broken == "missing":
        (folder / "vocab.index.json").unlink()
    elif broken == "json":
        (folder / "params.index.json").write_text("{")
    elif broken == "size":
        params = folder / "params.index.json"
        params.write_text(params.read_text().replace('"num_docs": 40', '"num_docs": 39'))
    else:
        np.save(data, np.array([object()], dtype=object), allow_pickle=True)
    with caplog.at_level(logging.WARNING):
        retriever = build_retriever(corpus, kind="bm25s")
    assert "building it again" in caplog.text
    assert list_ids(retriever) == expected
    assert "memory-mapped" in retriever.description


def test_a_cache_that_cannot_be_written_leaves_the_index_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Corpus
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DEAR_CACHE", str(tmp_path / "file"))
    retriever = build_retriever(corpus, kind="bm25s")
    assert retriever.description.endswith("index in memory")
    assert list_ids(retriever)[:2] == ["d2", "d4"]


def _build_and_die(corpus: Corpus) -> None:
    """Ends the process in the middle of saving, as a kill would."""

    def die(self: object, folder: Path, **_: object) -> None:
        (Path(folder) / "data.csc.index.npy").write_bytes(b"half")
        os._exit(9)

    import bm25s

    bm25s.BM25.save = die
    build_retriever(corpus, kind="bm25s")


def test_a_killed_build_leaves_nothing_that_breaks(cache_folder: Path, corpus: Corpus) -> None:
    process = multiprocessing.get_context("fork").Process(target=_build_and_die, args=(corpus,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    folder = index_folder(corpus.sha256)
    (left,) = folder.parent.iterdir()
    assert left.name.startswith(".building-") and not folder.exists()
    os.utime(left, (0, 0))
    assert list_ids(build_retriever(corpus, kind="bm25s"))[:2] == ["d2", "d4"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_two_builds_at_once_share_one_index(cache_folder: Path, corpus: Corpus) -> None:
    def tokenize_slowly() -> list[list[str]]:
        build_retriever(corpus, kind="bm25s")  # the other build ends first
        return [tokenize(p.text, keep_common=True) for p in corpus.passages]

    index = saved_index.open_saved_index(corpus.sha256, len(corpus), tokenize_slowly)
    assert index.place == "index memory-mapped from disk"
    assert [p.name for p in (cache_folder / "indexes").iterdir()] == [
        index_folder(corpus.sha256).name
    ]


def test_counts_of_repeated_words_match_the_postings(cache_folder: Path) -> None:
    corpus = corpus_of("a b b c", "b c c c", "d")
    index = saved_index.open_saved_index(
        corpus.sha256, 3, lambda: [tokenize(p.text, keep_common=True) for p in corpus.passages]
    )
    df = Counter({stem: len(index.find_postings(stem).positions) for stem in "abcde"})
    assert df == Counter({"a": 1, "b": 2, "c": 2, "d": 1, "e": 0})
    assert index.find_postings("b").positions.tolist() == [0, 1]
