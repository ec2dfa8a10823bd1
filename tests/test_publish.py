"""Pushing an adapter, against a hub on this machine: what arrives, what is told when it fails."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from reranker.cli import main
from reranker.errors import HubError, InputError
from reranker.jobs.folder import JobFolder, write_json
from reranker.jobs.job import Job, create_folder, read_job
from reranker.jobs.presets import make_settings
from reranker.jobs.publish import push_adapter
from tests.hub_server import run_hub

TOKEN = "hf_secretsecretsecret"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = create_folder(make_settings("quick", "stage1"), tmp_path)
    write_json(folder.state, {"status": "done", "message": "", "steps": 4})
    folder.adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "README.md", "notes.txt"):
        (folder.adapter / name).write_text(f"this is {name}")
    return read_job(folder.path.name, tmp_path)


def test_an_adapter_arrives_with_its_card_and_nothing_else(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with run_hub() as hub:
        url = push_adapter(job, "me/adapter", TOKEN, endpoint=hub.url)
    assert url == f"{hub.url}/me/adapter"
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert hub.repos[0]["name"] == "adapter" and hub.repos[0]["organization"] == "me"
    assert hub.repos[0]["visibility"] == "private"
    assert job.job_id in hub.message
    assert hub.files == {
        name: f"this is {name}".encode()
        for name in ("adapter_config.json", "adapter_model.safetensors", "README.md")
    }
    assert TOKEN not in caplog.text
    assert not any(
        TOKEN in path.read_text(errors="replace")
        for path in job.folder.parent.rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusal_is_told_without_the_token(job: Job, status: int) -> None:
    with run_hub(refusal=status) as hub, pytest.raises(HubError) as told:
        push_adapter(job, "me/adapter", TOKEN, endpoint=hub.url)
    assert str(status) in str(told.value) and "token may write" in str(told.value)
    assert TOKEN not in str(told.value) and told.value.__cause__ is None


def test_without_a_network_it_is_told_at_once(job: Job) -> None:
    with socket.socket() as held:  # a port that nobody listens at
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(HubError, match="check the network"):
            push_adapter(job, "me/adapter", TOKEN, endpoint=endpoint)


@pytest.mark.parametrize(
    ("repo_id", "token"),
    [("adapter", TOKEN), ("a/b/c", TOKEN), ("me/ad apter", TOKEN), ("me/x", " "), ("me/x", "ü")],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    job: Job, repo_id: str, token: str
) -> None:
    with run_hub() as hub, pytest.raises(InputError, match="expected"):
        push_adapter(job, repo_id, token, endpoint=hub.url)
    assert not hub.tokens


def test_a_job_without_an_adapter_is_refused(job: Job) -> None:
    JobFolder(job.folder).adapter.rename(job.folder / "gone")
    with pytest.raises(InputError, match="ended with an adapter"):
        push_adapter(job, "me/adapter", TOKEN)


def test_the_command_line_pushes(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEAR_JOBS", str(job.folder.parent))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with run_hub() as hub:
        assert main(["jobs", "push", job.job_id, "me/adapter", "--endpoint", hub.url]) == 0
    assert capsys.readouterr().out.strip() == f"{hub.url}/me/adapter" and hub.files
