"""What a Space, a container and a proxy rely on: the files' own promises."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from app.library import Library
from app.ui import build_page, open_page
from benchmarks.live_app import find_free_port

ROOT = Path(__file__).resolve().parent.parent
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def read_requirements() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {requirement.name: requirement for requirement in found}


def test_the_readme_configures_a_space() -> None:
    settings = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert settings["sdk"] == "gradio"
    assert settings["sdk_version"] in read_requirements()["gradio"].specifier
    assert f"gradio=={settings['sdk_version']}" in (ROOT / "constraints.txt").read_text("utf-8")
    assert settings["python_version"] in {"3.10", "3.11", "3.12", "3.13"}
    assert (ROOT / settings["app_file"]).is_file()
    assert {settings["colorFrom"], settings["colorTo"]} <= COLOURS
    assert len(settings["short_description"]) <= 60
    assert settings["license"] == "apache-2.0"


def test_requirements_leave_room_for_what_a_space_brings() -> None:
    wanted = read_requirements()
    # A Gradio Space installs gradio[mcp], which holds pydantic at 2.12; ZeroGPU brings its torch.
    assert "2.12.5" in wanted["pydantic"].specifier
    assert {"2.8.0", "2.11.0"} <= set(wanted["torch"].specifier.filter(["2.8.0", "2.11.0"]))
    assert "spaces" not in wanted


def read_instructions() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()


def test_the_image_is_pinned_small_and_nobodys_root() -> None:
    instructions = read_instructions()
    (base,) = [line.split()[1] for line in instructions if line.startswith("FROM ")]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    users = [line.split()[1] for line in instructions if line.startswith("USER ")]
    assert users and users[-1].isdecimal() and int(users[-1]) > 0
    assert all("--no-cache-dir" in line for line in instructions if "pip install" in line)
    assert any(line.startswith("HEALTHCHECK ") for line in instructions)
    assert not any(line.startswith("ADD ") for line in instructions)
    copied = {
        name for line in instructions if line.startswith("COPY ") for name in line.split()[1:-1]
    }
    assert all((ROOT / name).exists() for name in copied)
    admitted = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
    assert {f"!{name}" for name in copied} <= admitted and "*" in admitted


def test_the_linter_accepts_the_dockerfile() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.is_file() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint: it comes with requirements-dev.txt on Linux")
    ended = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def fetch(url: str, **headers: str) -> Any:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_behind_a_proxy_the_page_knows_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/studio")
    page, port = build_page(Library()), find_free_port()
    open_page(page, "127.0.0.1", port)
    forwarded = {"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https"}
    try:
        config = fetch(f"http://127.0.0.1:{port}/config", **forwarded)
    finally:
        page.close()
    assert config["root"] == "https://example.org/studio"


def test_a_login_closes_page_and_endpoints() -> None:
    page, port = build_page(Library()), find_free_port()
    open_page(page, "127.0.0.1", port, [("ada", "s3cret")])
    url = f"http://127.0.0.1:{port}/"
    try:
        for path in ("config", "gradio_api/info", "gradio_api/call/score/x"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                fetch(url + path)
            assert refused.value.code == 401
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        form = b"username=ada&password=s3cret"
        assert opener.open(f"{url}login", form, timeout=30).status == 200
        with opener.open(f"{url}config", timeout=30) as answer:
            assert json.load(answer)["title"] == "DeAR Studio"
    finally:
        page.close()
