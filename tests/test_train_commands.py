"""`train` and `jobs` on the command line: settings, checks, refusals, and one job to its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reranker.cli import main
from reranker.jobs.folder import write_json
from reranker.jobs.job import create_folder, list_jobs
from reranker.jobs.presets import make_settings
from reranker.jobs.settings import parse_settings
from tests.chat_server import Reply, serve_chat
from tests.replicas import build_biencoder_student


@pytest.fixture(autouse=True)
def jobs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jobs"
    monkeypatch.setenv("DEAR_JOBS", str(folder))
    return folder


@pytest.fixture
def student(tmp_path: Path) -> Path:
    return build_biencoder_student(tmp_path / "tiny")


def small(student: Path) -> list[str]:
    changes = {
        "teacher.quantization": "fp32",
        "quantization": "fp32",
        "schedule.steps": "2",
        "schedule.eval_steps": "2",
        "data.passages": "3",
        "data.dev_depth": "3",
        "data.max_dev_queries": "2",
        "max_passage_tokens": "40",
    }
    return ["--student", str(student), *(f"--set={n}={v}" for n, v in changes.items())]


def test_config_prints_settings_that_config_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "config", "stage1", "--preset", "paper", "--set", "seed=5"]) == 0
    text = capsys.readouterr().out
    settings = parse_settings(text)
    assert settings.preset == "paper" and settings.seed == 5
    file = tmp_path / "c.json"
    file.write_text(text)
    assert main(["train", "config", "stage1", "--config", str(file)]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "seed"],
        ["--set", "nothing=1"],
        ["--set", "schedule.steps=0"],
        ["--data", "absent"],
        ["--config", "absent.json"],
    ],
)
def test_what_cannot_be_is_refused_before_a_job_is_made(
    arguments: list[str], jobs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "stage1", *arguments]) == 1
    assert "expected" in capsys.readouterr().err and not jobs_folder.exists()


def test_check_shows_figures_and_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "check", "stage1"]) == 0
    out = capsys.readouterr().out
    assert "training queries\t29" in out and "warning: only 20 dev queries" in out
    file = tmp_path / "t.jsonl"
    good = {"query": "a", "positive": "b", "negative": "c"}
    file.write_text(json.dumps(good) + "\nbroken\n")
    arguments = ["train", "check", "stage1", "--data", str(file), "--format", "tevatron"]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert "problem: t.jsonl:2" in captured.out and "t.jsonl:2" in captured.err


def test_estimate_prints_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "estimate", "stage1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("total\t") and any(x.startswith("activations") for x in lines)


def test_jobs_are_listed_shown_and_deleted(
    jobs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = create_folder(make_settings("quick", "stage1"), jobs_folder)
    write_json(folder.state, {"status": "failed", "message": "The disk is full.", "steps": 60})
    job_id = folder.path.name
    assert main(["jobs", "list"]) == 0
    assert f"{job_id}\tfailed\tstep 0 of 60" in capsys.readouterr().out
    assert main(["jobs", "show", job_id]) == 0
    assert "The disk is full." in capsys.readouterr().out
    assert main(["jobs", "stop", job_id]) == 1
    assert main(["jobs", "delete", job_id]) == 0
    assert list_jobs(jobs_folder) == []
    assert main(["jobs", "show", job_id]) == 1


@pytest.mark.slow
def test_a_job_from_the_command_line_to_its_adapter(
    student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = small(student)
    # The quick preset goes on from the student's adapter.
    assert main(["train", "stage1", *options, "--wait"]) == 0
    captured = capsys.readouterr()
    job_id, status, adapter = captured.out.strip().splitlines()
    assert status == "done: finished" and Path(adapter).is_dir() and job_id in adapter
    assert "step 2 of 2" in captured.err and "dev after step 2: nDCG@10" in captured.err
    assert main(["jobs", "resume", job_id]) == 1


def test_out_trains_here_and_refuses_another_jobs_folder(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "jobs" / "here"
    command = ["train", "stage1", *small(student), "--out", str(out)]
    assert main(command) == 0 and (out / "adapter").is_dir()
    assert main([*command, "--set", "seed=3"]) == 1
    assert "another job's" in capsys.readouterr().err


def test_reasoning_from_an_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = "\n".join(f"[{n}] partial: It is about it." for n in range(1, 4))
    good = f"{notes}\n### Final Reranking: [3] > [1] > [2]"
    command = ["train", "reasoning", "--corpus", "everyday-science", "--model", "m"]
    command += ["--queries", "2", "--window-size", "3", "--out", str(tmp_path / "cot")]
    with serve_chat() as server:
        server.queue(Reply(text="no idea"), Reply(text=good))
        prices = ["--prompt-price", "1", "--answer-price", "2"]
        assert main([*command, *prices, "--base-url", server.url]) == 0
        assert len(server.requests) == 3
    captured = capsys.readouterr()
    assert "accepted\t2\nrejected\t1\ncost\t0.0004" in captured.out
    assert "rejected for no_ranking\t1" in captured.out
    assert "q01: accepted" in captured.err
