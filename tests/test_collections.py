"""Collections from files of every layout, and by name from a file server on localhost."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reranker.candidates import read_candidates
from reranker.errors import InputError
from reranker.evaluation import remote
from reranker.evaluation.sources import load_collection
from reranker.evaluation.topics import read_topics

QRELS = "7 0 a 1\n7 0 b 0\n"
PASSAGES = {"a": "Tides rise because the moon pulls the sea.", "b": "Yeast feeds on sugar."}
RANKGPT = [
    {
        "query": "why do tides rise",
        "hits": [
            {"content": PASSAGES["b"], "qid": 7, "docid": "b", "rank": 1, "score": 2.5},
            {"content": PASSAGES["a"], "qid": 7, "docid": "a", "rank": 2, "score": 1.5},
        ],
    }
]
RANKLLM = {
    "query": {"text": "why do tides rise", "qid": 7},
    "candidates": [
        {"docid": "b", "score": 2.5, "doc": {"contents": PASSAGES["b"]}},
        {"docid": "a", "score": 1.5, "doc": {"title": "Tides", "text": PASSAGES["a"]}},
    ],
}
DPR = [
    {
        "question": "what pulls the sea",
        "answers": ["the moon", "gravity"],
        "ctxs": [
            {"id": "wiki:1", "title": "Bread", "text": PASSAGES["b"], "score": "80.5"},
            {"id": "wiki:2", "title": "Tide", "text": PASSAGES["a"], "score": "79.25"},
        ],
    }
]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_beir(folder: Path, *, packed: bool = False) -> Path:
    end = ".gz" if packed else ""
    rows = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in PASSAGES.items()]
    write(folder / f"corpus.jsonl{end}", "\n".join(rows))
    queries = [{"_id": "7", "text": "why do tides rise"}, {"_id": "8", "text": "not judged"}]
    write(folder / f"queries.jsonl{end}", "\n".join(map(json.dumps, queries)))
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\n7\ta\t1\n")
    return folder


@pytest.mark.parametrize("name", ["hits.json", "hits.json.gz"])
def test_rankgpt_json(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, json.dumps(RANKGPT))
    found = load_collection(str(path), qrels=write(tmp_path / "qrels.txt", QRELS))
    assert [c.query.query_id for c in found.lists] == ["7"]
    assert [hit.passage.doc_id for hit in found.lists[0].hits] == ["b", "a"]
    assert found.qrels == {"7": {"a": 1, "b": 0}}
    assert found.name == "hits"


def test_rank_llm_jsonl(tmp_path: Path) -> None:
    path = write(tmp_path / "hits.jsonl", json.dumps(RANKLLM))
    (found,) = read_candidates(path)
    assert (found.query.query_id, found.query.text) == ("7", "why do tides rise")
    assert [(h.passage.doc_id, h.bm25_score, h.rank) for h in found.hits] == [
        ("b", 2.5, 1),
        ("a", 1.5, 2),
    ]
    assert found.hits[1].passage.title == "Tides"


def test_dpr_json_brings_its_answers(tmp_path: Path) -> None:
    path = write(tmp_path / "nq-test.json", json.dumps(DPR))
    found = load_collection(str(path))
    assert found.answers == {"1": ("the moon", "gravity")}
    assert [hit.bm25_score for hit in found.lists[0].hits] == [80.5, 79.25]
    assert found.lists[0].hits[0].passage.title == "Bread"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"query": {"qid": 1}, "candidates": RANKLLM["candidates"]}, "expected query as text"),
        ({**RANKLLM, "candidates": [{"docid": "a", "doc": {}}]}, "expected text as text"),
        ({**RANKLLM, "candidates": []}, "expected hits"),
        ({**RANKLLM, "candidates": ["a"]}, "each hit as an object"),
        ({"question": "q", "ctxs": [{"id": "a", "text": "x", "score": "high"}]}, "finite number"),
        ({"question": "q", "answers": "moon", "ctxs": [{"id": "a", "text": "x"}]}, "list of texts"),
    ],
)
def test_a_foreign_form_with_a_fault_names_the_line(
    tmp_path: Path, record: object, message: str
) -> None:
    path = write(tmp_path / "hits.jsonl", "\n" + json.dumps(record))
    with pytest.raises(InputError, match=rf"hits\.jsonl:2.*{message}"):
        read_candidates(path)


def test_beir_folders_and_zips_leave_out_queries_without_judgement(tmp_path: Path) -> None:
    found = load_collection(str(write_beir(tmp_path / "tides")))
    assert [c.query.query_id for c in found.lists] == ["7"]
    assert found.lists[0].hits[0].passage.doc_id == "a"
    assert found.first_stage.startswith("BM25 by")
    assert load_collection(str(tmp_path / "tides"), limit=1).qrels == {"7": {"a": 1}}
    assert found.sha256 == load_collection(str(tmp_path / "tides")).sha256


def test_a_bundled_corpus_by_name() -> None:
    found = load_collection("everyday-science", depth=3)
    assert found.lists and max(len(c.hits) for c in found.lists) == 3
    assert found.licence != "not stated"


def test_trec_form_takes_run_topics_corpus_and_qrels(tmp_path: Path) -> None:
    run = write(tmp_path / "bm25.trec", "7 Q0 b 1 2.5 x\n7 Q0 a 2 1.5 x\n")
    files = {
        "qrels": write(tmp_path / "qrels.txt", QRELS),
        "queries": write(tmp_path / "topics.tsv", "7\twhy do tides rise\n"),
        "corpus": str(write_beir(tmp_path / "tides") / "corpus.jsonl"),
    }
    found = load_collection(str(run), **files)  # type: ignore[arg-type]
    assert [hit.passage.text for hit in found.lists[0].hits] == [PASSAGES["b"], PASSAGES["a"]]
    write(files["queries"], "8\tsomething else\n")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="topic for every query of the run, got none for '7'"):
        load_collection(str(run), **files)  # type: ignore[arg-type]


def test_topics_as_tsv_and_jsonl(tmp_path: Path) -> None:
    tsv = read_topics(write(tmp_path / "a.tsv", "\ufeff1\twhy\r\n2\thow\tso\r\n"))
    assert [(q.query_id, q.text) for q in tsv] == [("1", "why"), ("2", "how\tso")]
    assert read_topics(write(tmp_path / "b.jsonl.gz", '{"_id": "1", "text": "why"}\n')) == tsv[:1]
    for text, message in [
        ("1 why\n", r"bad:1: expected query_id and text with a tab"),
        ("1\twhy\n1\thow\n", "bad:2: expected every query_id once"),
        ("\n", "at least one query"),
    ]:
        with pytest.raises(InputError, match=message):
            read_topics(write(tmp_path / "bad", text))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("hits.json", json.dumps(RANKGPT), "expected qrels for these candidates"),
        ("run.trec", "7 Q0 a 1 2 x", "a TREC run with --corpus, --queries and --qrels"),
    ],
)
def test_what_lacks_a_part_says_which(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_collection(str(write(tmp_path / name, text)))


def test_a_corpus_without_qrels_or_queries_is_refused(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "tides")
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(InputError, match="without qrels; give --qrels FILE"):
        load_collection(str(folder))
    with pytest.raises(InputError, match="expected a corpus called one of"):
        load_collection("no-such-thing")


def test_a_hub_corpus_wants_its_queries_and_qrels_before_it_is_fetched() -> None:
    with pytest.raises(InputError, match="without queries and qrels; give --queries FILE and --qr"):
        load_collection("hub:ir_datasets:beir/scifact")


# By name


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served on localhost, to which every address of NAMED is turned."""
    root = tmp_path / "served"
    root.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Nothing on the tests' standard error."""

        def do_GET(self) -> None:
            if "locked" in self.path:
                self.send_error(403)
            else:
                super().do_GET()

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
    base = f"http://127.0.0.1:{httpd.server_address[1]}"
    for name, named in remote.NAMED.items():
        files = {file: f"{base}/{name}/{file}" for file in named.files}
        monkeypatch.setitem(remote.NAMED, name, replace(named, files=files))
    monkeypatch.setenv("DEAR_CACHE", str(tmp_path / "cache"))
    yield root
    httpd.shutdown()
    httpd.server_close()


def test_every_address_is_an_https_one() -> None:
    assert {"dl19", "dl20", "novel-eval", "nq"} < set(remote.NAMED)
    for named in remote.NAMED.values():
        assert bool(named.files) != bool(named.sign_at)
        assert all(url.startswith("https://") for url in named.files.values())


@pytest.mark.parametrize("name", ["dl19", "dl20"])
def test_deep_learning_by_name(server: Path, name: str) -> None:
    write(server / name / "candidates.jsonl", json.dumps(RANKLLM))
    write(server / name / "qrels.txt", "7 Q0 a 3\n")
    found = load_collection(name, depth=1)
    assert (found.name, found.qrels) == (name, {"7": {"a": 3}})
    assert [hit.passage.doc_id for hit in found.lists[0].hits] == ["b"]
    (server / name / "qrels.txt").unlink()  # a second time comes from the cache
    assert load_collection(name).lists[0].query.query_id == "7"


@pytest.mark.parametrize("name", ["trec-covid", "nfcorpus", "touche", "dbpedia", "scifact"])
def test_beir_sets_by_name(server: Path, name: str) -> None:
    write_beir(server / name, packed=True)
    found = load_collection(name)
    assert found.lists[0].hits[0].passage.doc_id == "a"
    assert (found.name, found.licence) == (name, remote.NAMED[name].licence)


def test_novel_eval_and_nq_by_name(server: Path) -> None:
    write(server / "novel-eval" / "candidates.json", json.dumps(RANKGPT))
    write(server / "novel-eval" / "qrels.txt", "7 Q0 a 2\n")
    assert load_collection("novel-eval").qrels == {"7": {"a": 2}}
    write(server / "nq" / "candidates.json.gz", json.dumps(DPR))
    assert load_collection("nq").answers["1"] == ("the moon", "gravity")


@pytest.mark.parametrize("name", ["news", "robust04", "signal"])
def test_a_licence_to_sign_is_named_with_its_place(name: str) -> None:
    with pytest.raises(InputError, match="licence has to be signed at https://.*BEIR layout"):
        load_collection(name)


def test_missing_network_files_and_log_ins_are_told(server: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got status 404"):
        load_collection("scifact")
    target = tmp_path / "x"
    base = remote.NAMED["scifact"].files["corpus.jsonl.gz"].split("/scifact")[0]
    with pytest.raises(InputError, match="status 403: it wants a log-in"):
        remote.fetch_file(f"{base}/locked", target)
    with pytest.raises(InputError, match="ConnectError.*check the network, or put the file at"):
        remote.fetch_file("http://127.0.0.1:1/x", target)
    assert not target.exists()


def test_a_file_that_is_too_large_leaves_nothing(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_FILE_BYTES", 10)
    write_beir(server / "scifact", packed=True)
    with pytest.raises(InputError, match="at most 10 bytes"):
        load_collection("scifact")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="dl19, dl20"):
        remote.load_named("dl99")
