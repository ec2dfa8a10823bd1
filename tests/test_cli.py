"""The command line: its arguments, exit codes and formats. The ranking commands run the real
bundled student's stage 1."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reranker import cli
from reranker.trace import dump_trace, load_trace
from reranker.trec import read_run
from reranker.types import RankingTrace

ROOT = Path(__file__).resolve().parent.parent
QUERY = "why is the sky blue"
STAGE1 = ["--stages", "1", "--depth", "5"]


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    """One `rank --json --trec --trace`: the folder, its standard output and standard error."""
    folder = tmp_path_factory.mktemp("ranked")
    files = ["--trec", str(folder / "run.txt"), "--trace", str(folder / "trace.json")]
    result = subprocess.run(
        [sys.executable, "-m", "reranker", "rank", "--query", QUERY, "--json", *STAGE1, *files],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stderr
    yield folder, result.stdout, result.stderr


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    """Two queries with three and two candidates, the best ones last."""
    rows = [
        {
            "query_id": "q1",
            "query": "why do tides rise",
            "hits": [
                {"doc_id": "a", "text": "Bread rises as yeast feeds on sugar."},
                {"doc_id": "b", "text": "An echo is sound that comes back."},
                {"doc_id": "c", "text": "Tides rise because the moon pulls the sea."},
            ],
        },
        {
            "query_id": "q2",
            "query": "what is an écho",
            "hits": [
                {"doc_id": "x", "text": "Bread rises as yeast feeds on sugar."},
                {"doc_id": "y", "text": "An écho is sound that comes back."},
            ],
        },
    ]
    file = tmp_path / "candidates.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that cannot be done: exit code 1, nothing on stdout, one line of error."""
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    error: str = err.splitlines()[-1]
    assert error.startswith("error: ") and "expected" in error
    return error


# -- arguments


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["rank"],
        ["rank", "--query", "q", "--depth", "0"],
        ["rank", "--query", "q", "--depth", "-3"],
        ["rank", "--query", "q", "--depth", "many"],
        ["rank", "--query", "q", "--depth", "9" * 5000],
        ["rank", "--query", "q", "--stride", "0"],
        ["rank", "--query", "q", "--window-size", "0"],
        ["rank", "--query", "q", "--stage2-depth", "0"],
        ["rank", "--query", "q", "--seed", "-1"],
        ["rank", "--query", "q", "--seed", "9" * 30],
        ["rank", "--query", "q", "--stages", "3"],
        ["rank", "--query", "q", "--mode", "reason_first"],
        ["rank", "--query", "q", "--quantization", "int2"],
        ["rank", "--query", "q", "--final", "agreed", "--shuffles", "0"],
        ["rank", "--query", "half a \udcff"],
        ["rerank", "--trec", "out"],
        ["rerank", "--candidates", "a", "--corpus", "b", "--trec", "out"],
        ["evaluate", "--run", "a"],
        ["replay"],
    ],
)
def test_wrong_arguments_end_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m reranker" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert all(command in out for command in cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rank", "--query", "q", "--corpus", "no-such-corpus"], "no-such-corpus"),
        (["rank", "--query", "q", "--student", "no-such-student", *STAGE1], "no-such-student"),
        (["rank", "--query", " ", *STAGE1], "expected a query with at least one word"),
        (["rank", "--query", "q " * 2000, *STAGE1], "at most 2000 characters"),
        (["rank", "--query", "q", "--trace", "no/such/folder/t.json"], "no/such/folder"),
        (["rank", "--query", "q", "--trec", "no/such/folder/run"], "no/such/folder"),
        (["rerank", "--candidates", "no.jsonl"], "expected --trec OUT or --json"),
        (["rerank", "--candidates", "no.jsonl", "--json", "no/folder/o"], "no/folder"),
        (["rerank", "--candidates", "no.jsonl", "--json", "out.json"], "no.jsonl"),
        (["evaluate", "--run", "no.run", "--qrels", "no.qrels"], "no.run"),
        (["replay", "no.json"], "no.json: expected a trace file"),
    ],
)
def test_what_cannot_be_done_ends_with_1_and_says_why(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in fail(capsys, *arguments)


def test_a_result_that_cannot_be_written_is_an_error(
    candidates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["rerank", "--candidates", str(candidates), "--stages", "none"]
    assert "expected to write here" in fail(capsys, *common, "--json", str(tmp_path))
    assert "expected to write here" in fail(capsys, *common, "--trec", str(tmp_path))


def test_stopping_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(options: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "students", stop)
    assert cli.main(["students"]) == 130
    assert capsys.readouterr().err == "stopped\n"


# -- the program as a process


def test_a_reader_that_leaves_is_no_error() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "reranker", "students"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout and program.stderr
    program.stdout.close()
    errors = program.stderr.read().decode()
    assert program.wait() == 0
    assert errors == ""


def test_text_is_utf_8_whatever_the_terminal_says() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "reranker", "evaluate", "--run", "täglich.run", "--qrels", "q"],
        cwd=ROOT,
        capture_output=True,
        env={"PATH": "", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
    )
    assert result.returncode == 1
    assert "error: täglich.run: expected" in result.stderr.decode("utf-8")


# -- rank


def test_rank_json_is_the_contract(ranked: tuple[Path, str, str]) -> None:
    _, out, err = ranked
    described = json.loads(out)
    assert described["query"] == QUERY
    assert (described["student"], described["quantization"]) == ("mini", "nf4")
    assert described["defects"] == []
    assert set(described["timings"]) == {"bm25", "stage1"}
    assert described["final"] == "stage1"
    hits = described["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert [hit["rank_stage1"] for hit in hits] == [1, 2, 3, 4, 5]
    assert sorted(hit["rank_bm25"] for hit in hits) == [1, 2, 3, 4, 5]
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        assert hit["text"] and hit["doc_id"] and hit["bm25_score"] > 0
        assert (hit["verdict"], hit["justification"], hit["evidence"]) == (None, None, [])
    assert "sky" in hits[0]["text"].lower()
    assert "stage1 5/5" in err, "progress is on standard error"


def test_rank_writes_a_run_and_a_trace_of_the_same_order(ranked: tuple[Path, str, str]) -> None:
    folder, out, _ = ranked
    order = [hit["doc_id"] for hit in json.loads(out)["hits"]]
    assert [doc_id for doc_id, _ in read_run(folder / "run.txt")["q1"]] == order
    assert (folder / "run.txt").read_text().splitlines()[0].split()[:4] == [
        "q1",
        "Q0",
        order[0],
        "1",
    ]
    trace = load_trace(folder / "trace.json")
    assert list(trace.final_order) == order
    assert trace.complete and trace.query.text == QUERY
    assert trace.settings.stages == "1" and trace.settings.depth == 5


def test_the_same_ranking_replays_identically(
    ranked: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["replay", str(ranked[0] / "trace.json")]) == 0
    assert capsys.readouterr().out == "5 ranks: identical\n"


def test_replay_names_every_rank_that_differs(
    ranked: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = load_trace(ranked[0] / "trace.json")
    first, second, *rest = trace.final_order
    versions = {**trace.versions, "torch": "0.1"}
    swapped = (second, first, *rest)  # as a blend with other weights would have it
    other: RankingTrace = replace(
        trace, final_order=swapped, final_source="blend", versions=versions
    )
    file = tmp_path / "other.json"
    file.write_text(dump_trace(other), encoding="utf-8")
    assert cli.main(["replay", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("note: torch: 0.1 then, ")
    assert lines[1:] == [
        f"{second}: rank 1 then, 2 now",
        f"{first}: rank 2 then, 1 now",
        "5 ranks: 2 of 5 differ",
    ]


def test_rank_without_json_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rank", "--query", QUERY, "--stages", "none", "--depth", "3"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == QUERY
    assert "stage 2 did not run" in lines[1]
    assert [line[:4] for line in lines[3:]] == ["  1.", "  2.", "  3."]
    assert "BM25" in err or "bm25" in err, "how the candidates were found is on standard error"


def test_a_query_that_finds_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rank", "--query", "qxzvw", "--stages", "1"]) == 0
    assert "No passage" in capsys.readouterr().out
    assert cli.main(["rank", "--query", "qxzvw", "--stages", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"] == []


# -- rerank


def test_rerank_orders_each_query_and_writes_both_forms(
    candidates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run.txt", tmp_path / "out.json"
    common = ["rerank", "--candidates", str(candidates), "--stages", "1"]
    assert cli.main([*common, "--trec", str(run), "--json", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert printed == "", "results are in the files, progress on standard error"
    assert "query 1 of 2" in err and "query 2 of 2" in err
    rankings = json.loads(out.read_text(encoding="utf-8"))
    assert [ranking["query_id"] for ranking in rankings] == ["q1", "q2"]
    orders = {r["query_id"]: [hit["doc_id"] for hit in r["hits"]] for r in rankings}
    assert orders["q1"][0] == "c" and sorted(orders["q1"]) == ["a", "b", "c"]
    assert orders["q2"] == ["y", "x"]
    assert rankings[1]["hits"][0]["text"] == "An écho is sound that comes back."
    read = read_run(run)
    assert {q: [doc_id for doc_id, _ in hits] for q, hits in read.items()} == orders


def test_rerank_prints_its_json_where_no_file_is_named(
    candidates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["rerank", "--candidates", str(candidates), "--stages", "none"]
    assert cli.main([*common, "--json"]) == 0
    rankings = json.loads(capsys.readouterr().out)
    assert [len(ranking["hits"]) for ranking in rankings] == [3, 2]
    assert cli.main([*common, "--json", "--depth", "2"]) == 0
    rankings = json.loads(capsys.readouterr().out)
    assert [[hit["doc_id"] for hit in r["hits"]] for r in rankings] == [["a", "b"], ["x", "y"]]


# -- evaluate, students, corpora


def test_evaluate_prints_one_line_a_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, qrels = tmp_path / "run.txt", tmp_path / "qrels.txt"
    run.write_text("q1 Q0 a 1 2.0 t\nq1 Q0 b 2 1.0 t\n")
    qrels.write_text("q1 0 b 1\nq2 0 c 1\n")
    arguments = ["evaluate", "--run", str(run), "--qrels", str(qrels)]
    assert cli.main([*arguments, "--measures", "RR nDCG@10"]) == 0
    out, err = capsys.readouterr()
    # q1: the only relevant passage is second: RR 1/2, nDCG 1/log2(3); q2 is missing: 0.
    assert dict(line.split("\t") for line in out.splitlines()) == {
        "RR": "0.2500",
        "nDCG@10": "0.3155",
    }
    assert err == "1 queries of the qrels are missing in the run: counted as 0\n"
    assert "expected" in fail(capsys, *arguments, "--measures", "nonsense@x")


def test_students_and_corpora_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["students"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:3] == ["mini", "nf4", "Apache-2.0"]
    assert {row[0] for row in rows} >= {"mini", "dear-3b", "dear-8b"}
    assert cli.main(["corpora"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {row[0] for row in rows} >= {"everyday-science", "python-docs"}
    assert all(len(row) == 3 and all(row) for row in rows)
