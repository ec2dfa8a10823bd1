"""`explain` on the command line, with a tiny real student."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reranker.cli import main


def ask(question: str, student: Path, corpus: Path, *options: str) -> int:
    source = ["--query", "tide moon", "--corpus", str(corpus), "--depth", "3"]
    return main(["explain", question, *source, "--student", str(student), *options])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "notes.txt"
    path.write_text("The tide is late.\n\nThe moon pulls the tide.\n\nA moon of granite.\n")
    return path


def test_a_table_goes_out_and_the_cost_before_it(
    digest_student: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stability.json"
    options = ["--shuffles", "2", "--json", str(out)]
    assert ask("stability", digest_student, corpus, *options) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].startswith("rank\tdoc_id\tmean")
    assert "2 readings of the list" in shown.err and "positional bias" in shown.err
    assert json.loads(out.read_text())["agreed_readings"] == 2


def test_words_are_explained_and_unknown_passages_refused(
    digest_student: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("words", digest_student, corpus, "--cost") == 0
    assert capsys.readouterr().out == ""
    assert ask("words", digest_student, corpus) == 0
    shown = capsys.readouterr()
    assert "match\t" in shown.out and "gradient: shares sum to" in shown.err
    assert ask("words", digest_student, corpus, "--doc-id", "nowhere") == 1
    assert "expected the doc_id" in capsys.readouterr().err


def test_precisions_of_a_query_set_are_compared(
    digest_student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--student", str(digest_student), "--quantizations", "fp32", "bf16"]
    command = ["explain", "parity", "--queries", "2", "--depth", "5", *options]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["quantization", "fp32", "bf16"]
