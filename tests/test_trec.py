"""TREC runs, qrels and candidate files: round trips, order, and what is refused and where."""

from __future__ import annotations

import gzip
import json
import math
import tracemalloc
from pathlib import Path

import ir_measures
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reranker import candidates, textfile
from reranker.errors import InputError
from reranker.trec import (
    CandidateList,
    rank_by_position,
    read_candidates,
    read_qrels,
    read_run,
    sort_ranking,
    write_qrels,
    write_run,
)
from reranker.types import Hit, Passage, Query

IDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" \ufeff"),
    min_size=1,
    max_size=8,
)
SCORES = st.floats(allow_nan=False, allow_infinity=False)
RANKINGS = st.dictionaries(
    IDS,
    st.lists(st.tuples(IDS, SCORES), min_size=1, max_size=8, unique_by=lambda pair: pair[0]),
    min_size=1,
    max_size=4,
)
QRELS = st.dictionaries(
    IDS, st.dictionaries(IDS, st.integers(-2, 4), min_size=1, max_size=5), min_size=1, max_size=4
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def save(folder: Path, content: str | bytes, name: str = "file.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# Runs: order


def test_run_is_sorted_by_score_and_not_by_its_rank_column(tmp_path: Path) -> None:
    path = save(tmp_path, "q1 Q0 low 1 0.5 t\nq1 Q0 high 2 2.5 t\nq2 Q0 only 0 -1e-3 t\n")
    assert read_run(path) == {"q1": (("high", 2.5), ("low", 0.5)), "q2": (("only", -0.001),)}


def test_equal_scores_are_ordered_by_falling_doc_id() -> None:
    assert sort_ranking([("a", 1.0), ("c", 1.0), ("b", 1.0), ("z", 0.0)]) == (
        ("c", 1.0),
        ("b", 1.0),
        ("a", 1.0),
        ("z", 0.0),
    )


def test_scores_that_single_precision_cannot_tell_apart_are_equal() -> None:
    assert [d for d, _ in sort_ranking([("a", 1.0 + 1e-12), ("b", 1.0)])] == ["b", "a"]


@given(
    st.dictionaries(
        st.text("abcXYZ019é_", min_size=1, max_size=3),
        st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 1.0 + 1e-6, -3.5, 1e30]),
        min_size=1,
        max_size=7,
    )
)
def test_order_is_the_one_trec_eval_measures(scores: dict[str, float]) -> None:
    for rank, (doc_id, _) in enumerate(sort_ranking(scores.items()), start=1):
        (found,) = ir_measures.iter_calc([ir_measures.RR], {"q": {doc_id: 1}}, {"q": scores})
        assert found.value == pytest.approx(1 / rank)


# Runs and qrels: round trips


@in_one_folder
@given(rankings=RANKINGS, zipped=st.booleans())
def test_run_round_trip_keeps_every_order(
    tmp_path: Path, rankings: dict[str, list[tuple[str, float]]], zipped: bool
) -> None:
    path = tmp_path / ("run.trec.gz" if zipped else "run.trec")
    write_run(path, rankings, "tag")
    read = read_run(path)
    assert {q: [d for d, _ in r] for q, r in read.items()} == {
        q: [d for d, _ in r] for q, r in rankings.items()
    }


@in_one_folder
@given(rankings=RANKINGS)
def test_run_round_trip_keeps_scores_that_are_in_order(
    tmp_path: Path, rankings: dict[str, list[tuple[str, float]]]
) -> None:
    run = {query_id: sort_ranking(ranking) for query_id, ranking in rankings.items()}
    write_run(tmp_path / "run.trec", run, "tag")
    assert read_run(tmp_path / "run.trec") == run


def test_an_order_that_is_not_the_scores_order_gets_scores_by_position(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    write_run(path, {"q": [("a", 0.1), ("b", 9.0), ("c", 0.1)]}, "dear")
    assert path.read_text() == "q Q0 a 1 3.0 dear\nq Q0 b 2 2.0 dear\nq Q0 c 3 1.0 dear\n"
    assert rank_by_position(["a", "b"]) == (("a", 2.0), ("b", 1.0))


@in_one_folder
@given(qrels=QRELS, zipped=st.booleans())
def test_qrels_round_trip(tmp_path: Path, qrels: dict[str, dict[str, int]], zipped: bool) -> None:
    path = tmp_path / ("qrels.gz" if zipped else "qrels.txt")
    write_qrels(path, qrels)
    assert read_qrels(path) == qrels


@in_one_folder
@given(qrels=QRELS)
def test_beir_qrels_say_the_same_as_trec_qrels(
    tmp_path: Path, qrels: dict[str, dict[str, int]]
) -> None:
    lines = [f"{q}\t{d}\t{g}" for q, grades in qrels.items() for d, g in grades.items()]
    path = save(tmp_path, "query-id\tcorpus-id\tscore\r\n" + "\r\n".join(lines))
    assert read_qrels(path) == qrels


def test_the_same_run_written_twice_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write_run(tmp_path / name, {"q": [("d", 1.0)]}, "t")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes()[4:8] == bytes(4)  # no time of writing in it


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfq Q0 d 1 2.5 t\n",
        b"q Q0 d 1 2.5 t\r\n\r\n",
        b"q\tQ0\td\t1\t2.5\tt",
        b"\n  \nq  Q0  d  1  2.5  t\n",
        gzip.compress(b"q Q0 d 1 2.5 t\n"),
    ],
    ids=["mark", "crlf", "tabs", "blank lines", "gzip without .gz"],
)
def test_harmless_variants_of_a_run_are_read(tmp_path: Path, content: bytes) -> None:
    assert read_run(save(tmp_path, content)) == {"q": (("d", 2.5),)}


# Runs and qrels: what is refused


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("q Q0 d 1 2.5", "6 columns"),
        ("q Q0 d 1 2.5 t extra", "6 columns"),
        ("q Q0 d 1 nan t", "finite number"),
        ("q Q0 d 1 -inf t", "finite number"),
        ("q Q0 d 1 1e999 t", "finite number"),
        ("q Q0 d 1 1_0 t", "finite number"),
        ("q Q0 d 1 high t", "finite number"),
        ("q Q0 d -1 2.5 t", "rank of 0 or more"),
        ("q Q0 d first 2.5 t", "rank of 0 or more"),
        ("q Q0 first 9 2.5 t", "once per query"),
    ],
)
def test_a_bad_run_line_is_refused_with_its_number(
    tmp_path: Path, line: str, expected: str
) -> None:
    path = save(tmp_path, f"q Q0 first 1 3 t\n\n{line}\n", "bad.trec")
    with pytest.raises(InputError, match=rf"^bad\.trec:3: expected .*{expected}.*, got .*; ") as e:
        read_run(path)
    assert e.value.where == "bad.trec:3"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("q 0 d", "query_id 0 doc_id grade"),
        ("q 0 d 1 2", "query_id 0 doc_id grade"),
        ("q 0 d 1.5", "whole grade"),
        ("q 0 d 99999999", "whole grade"),
        ("q 0 first 2", "once per query"),
    ],
)
def test_a_bad_qrels_line_is_refused_with_its_number(
    tmp_path: Path, line: str, expected: str
) -> None:
    path = save(tmp_path, f"q 0 first 1\n{line}\n", "bad.txt")
    with pytest.raises(InputError, match=rf"^bad\.txt:2: expected .*{expected}.*, got .*; "):
        read_qrels(path)


def test_beir_qrels_need_their_tabs(tmp_path: Path) -> None:
    path = save(tmp_path, "query-id\tcorpus-id\tscore\nq d 1\n", "test.tsv")
    with pytest.raises(InputError, match=r"^test\.tsv:2: expected .*separated by tabs"):
        read_qrels(path)


@pytest.mark.parametrize(
    ("content", "where", "expected"),
    [
        (b"", "f.txt", "at least one line"),
        (b"q Q0 d 1 2 t\nq Q0 \xff 2 1 t\n", "f.txt:2", "UTF-8"),
        (b"q Q0 d 1 2 t\n\0\n", "f.txt:2", "binary"),
        (gzip.compress(b"q Q0 d 1 2 t\n" * 99)[:-9], "f.txt", "whole gzip file"),
        (b"\x1f\x8bnot gzip", "f.txt", "whole gzip file"),
    ],
    ids=["empty", "latin1", "zero byte", "cut gzip", "false gzip"],
)
def test_a_file_that_is_no_text_is_refused(
    tmp_path: Path, content: bytes, where: str, expected: str
) -> None:
    with pytest.raises(InputError, match=f"expected .*{expected}") as error:
        read_run(save(tmp_path, content, "f.txt"))
    assert error.value.where == where


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.trec", tmp_path):
        with pytest.raises(InputError, match="expected a readable file"):
            read_run(path)


def test_the_size_limit_counts_what_a_gzip_file_inflates_to(tmp_path: Path) -> None:
    path = save(tmp_path, gzip.compress(b"a" * 100_000))
    assert path.stat().st_size < 1_000
    with pytest.raises(InputError, match="expected at most 99,999 bytes"):
        textfile.read_text(path, max_bytes=99_999)
    assert len(textfile.read_text(path, max_bytes=100_000)) == 100_000


def test_an_inflating_gzip_file_takes_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    path = save(tmp_path, gzip.compress(bytes(40_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(InputError, match="expected at most 1,000 bytes"):
        textfile.read_text(path, max_bytes=1_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("query_id", "doc_id", "score", "tag"),
    [
        ("q 1", "d", 1.0, "t"),
        ("", "d", 1.0, "t"),
        ("q", "d\n", 1.0, "t"),
        ("q", "\ud800", 1.0, "t"),
        ("q", "d", math.nan, "t"),
        ("q", "d", math.inf, "t"),
        ("q", "d", 1.0, "my run"),
    ],
)
def test_what_a_run_cannot_hold_is_refused_before_writing(
    tmp_path: Path, query_id: str, doc_id: str, score: float, tag: str
) -> None:
    path = tmp_path / "run.trec"
    with pytest.raises(InputError, match="expected .*, got .*; "):
        write_run(path, {"fine": [("d", 1.0)], query_id: [(doc_id, score)]}, tag)
    assert not path.exists()


def test_a_ranking_with_a_passage_twice_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="once per query"):
        write_run(tmp_path / "run.trec", {"q": [("d", 2.0), ("d", 1.0)]}, "t")


@in_one_folder
@given(
    content=st.binary(max_size=60) | st.text('q0Qd1. \t\n{}[]",:-e', max_size=60).map(str.encode)
)
def test_readers_answer_any_bytes_with_data_or_an_input_error(
    tmp_path: Path, content: bytes
) -> None:
    path = save(tmp_path, content, "fuzz")
    for read in (read_run, read_qrels, read_candidates):
        try:
            assert read(path)
        except InputError as error:
            assert error.where.startswith("fuzz")


# Candidate files


def make_item(*hits: dict[str, object], query_id: str = "q1") -> dict[str, object]:
    return {"query_id": query_id, "query": "why is the sky blue", "hits": list(hits)}


def save_jsonl(folder: Path, *items: object) -> Path:
    return save(folder, "\n".join(json.dumps(item) for item in items), "list.jsonl")


def test_candidates_of_the_projects_own_form(tmp_path: Path) -> None:
    path = save_jsonl(
        tmp_path,
        make_item(
            {"doc_id": "b", "text": "two", "rank": 2},
            {"doc_id": 1, "text": "one", "rank": 1, "score": 3, "title": "T"},
        ),
        make_item(
            {"doc_id": "x", "text": "first"},
            {"doc_id": "y", "text": "second", "score": None},
            query_id="q2",
        ),
    )
    first, second = read_candidates(path)
    assert first == CandidateList(
        query=Query(query_id="q1", text="why is the sky blue"),
        hits=(
            Hit(passage=Passage(doc_id="1", text="one", title="T"), rank=1, bm25_score=3.0),
            Hit(passage=Passage(doc_id="b", text="two"), rank=2),
        ),
    )
    assert [(h.passage.doc_id, h.rank, h.bm25_score) for h in second.hits] == [
        ("x", 1, None),
        ("y", 2, None),
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_candidates_of_rankgpts_form(tmp_path: Path, indent: int | None) -> None:
    items = [
        {
            "query": f"query {n}",
            "hits": [
                {
                    "content": "Title: A Content: text",
                    "qid": n,
                    "docid": "7",
                    "rank": 1,
                    "score": 9.5,
                },
                {"content": "more", "qid": n, "docid": "8", "rank": 2, "score": 8.0},
            ],
        }
        for n in (5, 6)
    ]
    lists = read_candidates(save(tmp_path, json.dumps(items, indent=indent), "rankgpt.json"))
    assert [c.query for c in lists] == [
        Query(query_id="5", text="query 5"),
        Query(query_id="6", text="query 6"),
    ]
    assert lists[0].hits[0] == Hit(
        passage=Passage(doc_id="7", text="Title: A Content: text"), rank=1, bm25_score=9.5
    )


@in_one_folder
@given(
    passages=st.lists(
        st.tuples(TEXTS, TEXTS, st.none() | SCORES),
        min_size=1,
        max_size=5,
        unique_by=lambda p: p[0],
    ),
    query=TEXTS,
    escaped=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_candidates_round_trip(
    tmp_path: Path,
    passages: list[tuple[str, str, float | None]],
    query: str,
    escaped: bool,
    end: str,
) -> None:
    hits = [{"doc_id": d, "text": t, "score": s} for d, t, s in passages]
    line = json.dumps({"query_id": "q", "query": query, "hits": hits}, ensure_ascii=escaped)
    (read,) = read_candidates(save(tmp_path, line + end, "list.jsonl"))
    assert read.query == Query(query_id="q", text=query)
    assert [(h.passage.doc_id, h.passage.text, h.bm25_score) for h in read.hits] == passages


GOOD: dict[str, object] = {"doc_id": "d", "text": "t"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ([1, 2], "JSON|object"),
        ({"query_id": "q", "query": "x"}, "hits as a list"),
        (make_item(), "hits as a list"),
        ({"query": "x", "hits": [GOOD]}, "query_id as text"),
        ({"query_id": "q", "query": " ", "hits": [GOOD]}, "query as text"),
        ({"query_id": True, "query": "x", "hits": [GOOD]}, "query_id as text"),
        (make_item(GOOD, {"doc_id": "e"}), r"hits\[1\]: expected text as text"),
        (make_item({"doc_id": "d", "text": ""}), "text as text"),
        (make_item({"text": "t"}), "doc_id as text"),
        (make_item(GOOD, GOOD), "each doc_id once"),
        (make_item({**GOOD, "rank": -1}), "rank of 1 or more"),
        (make_item({**GOOD, "rank": 0}), "rank of 1 or more"),
        (make_item({**GOOD, "rank": 1.5}), "rank of 1 or more"),
        (make_item({**GOOD, "rank": 1}, {"doc_id": "e", "text": "t"}), "rank for every hit"),
        (make_item({**GOOD, "rank": 1}, {"doc_id": "e", "text": "t", "rank": 1}), "each rank once"),
        (make_item({**GOOD, "score": "high"}), "finite number"),
        (make_item({**GOOD, "score": math.nan}), "plain JSON"),
        (make_item({**GOOD, "score": 10**400}), "finite number"),
        (make_item({**GOOD, "title": 3}), "title as text"),
        (make_item({"doc_id": "d", "text": "half \ud800"}), "whole characters"),
        (make_item(GOOD, query_id="first"), "each query_id once"),
    ],
)
def test_a_bad_candidate_line_is_refused_with_its_number(
    tmp_path: Path, item: object, expected: str
) -> None:
    path = save_jsonl(tmp_path, make_item(GOOD, query_id="first"), item)
    with pytest.raises(InputError, match=rf"^list\.jsonl:2.*({expected}).*, got .*; "):
        read_candidates(path)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('{"query_id": "q", \n', "c.json:1"),
        (
            '[{"query": "x", "hits": [{"content": "t", "qid": 1, "docid": 2}]},\n{"query"',
            "c.json:2",
        ),
        ('[{"query": "x", "hits": [{"content": "t", "qid": 1, "docid": 2}]},\n\n 7]', "c.json:3"),
        ('[{"query": "x", "hits": [{"content": "t", "qid": 1, "docid": 2}]}\n', "c.json:2"),
        ('[{"query": "x", "hits": [{"content": "t", "qid": 1, "docid": 2}]}] more', "c.json:1"),
        ("[" * 100_000, "c.json"),
        ("[]", "c.json"),
        (
            '[{"query": "x", "hits": [{"content": "t", "qid": 1, "docid": 2},'
            '{"content": "t", "qid": 2, "docid": 3}]}]',
            "c.json:1",
        ),
    ],
    ids=["cut line", "cut list", "number", "unclosed", "trailing", "deep", "none", "two qids"],
)
def test_broken_json_is_refused_where_it_breaks(tmp_path: Path, content: str, where: str) -> None:
    with pytest.raises(InputError, match="expected .*, got .*; ") as error:
        read_candidates(save(tmp_path, content, "c.json"))
    assert error.value.where == where


def test_too_many_hits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MAX_HITS_PER_QUERY", 2)
    hits: list[dict[str, object]] = [{"doc_id": str(n), "text": "t"} for n in range(3)]
    assert len(read_candidates(save_jsonl(tmp_path, make_item(*hits[:2])))[0].hits) == 2
    with pytest.raises(InputError, match="expected at most 2 hits, got 3"):
        read_candidates(save_jsonl(tmp_path, make_item(*hits)))


def test_published_candidates_and_run_agree(shared_data: Path) -> None:
    lists = read_candidates(shared_data / "trec" / "dl19.bm25-top100.jsonl.gz")
    assert len(lists) == 43
    assert {len(c.hits) for c in lists} == {100}
    run = read_run(shared_data / "runs" / "dl19.bm25.trec.gz")
    for candidate_list in lists:
        scores = {hit.passage.doc_id: hit.bm25_score for hit in candidate_list.hits}
        assert scores == dict(run[candidate_list.query.query_id])
