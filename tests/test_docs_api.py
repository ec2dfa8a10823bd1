"""Every example of docs/api.md runs as it stands, against `python app.py`."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from benchmarks.live_app import serve_app

ROOT = Path(__file__).resolve().parent.parent
WRITTEN_URL = "http://127.0.0.1:7860/"

pytestmark = pytest.mark.slow


def read_examples(language: str, url: str) -> list[str]:
    """The fenced blocks of that language, with the address of the page to be asked."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block.replace(WRITTEN_URL.rstrip("/"), url.rstrip("/")) for block in blocks]


def run(*command: str) -> str:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_app(tmp_path_factory.mktemp("app") / "app.log") as url:
        yield url


def test_python_client(url: str) -> None:
    client, _ = read_examples("python", url)
    loaded, *lines = run(sys.executable, "-c", client).splitlines()
    assert loaded.startswith("Loaded as API")
    assert [line.split()[0] for line in lines[:3]] == ["1", "2", "3"]
    assert lines[3] == "['soap', 'moon']"
    assert lines[4].startswith("{'c1': ") and "'c2': " in lines[4]


def test_curl(url: str) -> None:
    (example,) = read_examples("sh", url)
    answer = run("bash", "-c", example)
    assert "event: complete" in answer
    data = next(line for line in answer.splitlines() if line.startswith("data: ["))
    assert [entry["rank"] for entry in json.loads(data[6:])[0]["scores"]] == [1, 2]


def test_mcp_from_python(url: str) -> None:
    _, session = read_examples("python", url)
    names, answer = run(sys.executable, "-c", session).split("\n", 1)
    assert names == "['rank', 'rerank', 'score']"
    assert len(json.loads(answer)["hits"]) == 5


def test_the_configuration_leads_to_the_tools_and_their_errors(url: str) -> None:
    (configuration,) = read_examples("json", url)
    address = json.loads(configuration)["mcpServers"]["dear-studio"]["url"]

    async def ask() -> tuple[bool, str]:
        async with streamable_http_client(address) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                answer = await session.call_tool("rank", {"query": "sky", "corpus": "/etc"})
                return answer.isError, str(answer.content)

    refused, told = asyncio.run(ask())
    assert refused and "Expected corpus to be one of everyday-science" in told
