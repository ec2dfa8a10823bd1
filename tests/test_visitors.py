"""Twenty visitors at once, each with a list of their own, against `python app.py` and `mini`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from benchmarks.live_app import serve_app
from benchmarks.visitors import count_strangers, visit_together, write_list

VISITORS = 20
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app") / "app.log"


@pytest.fixture(scope="module")
def url(log: Path) -> Iterator[str]:
    with serve_app(log) as url:
        yield url


def test_everybody_is_told_their_place_and_gets_their_own_answer(url: str, log: Path) -> None:
    visits = asyncio.run(visit_together(url, VISITORS))
    assert all(seen.succeeded for seen in visits)
    assert all("Ranked 20 passages in" in seen.text and seen.mark in seen.text for seen in visits)
    assert count_strangers(visits) == 0
    # Places fall as others are served, and whoever came last began far back.
    assert all(seen.ahead and list(seen.ahead) == sorted(seen.ahead)[::-1] for seen in visits)
    assert max(seen.ahead[0] for seen in visits) >= VISITORS // 2
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_programs_at_once_get_their_own_answers_too(url: str) -> None:
    def ask(number: int) -> dict[str, Any]:
        query, pasted = write_list(number, passages=4)
        client = Client(url, verbose=False)
        answer: dict[str, Any] = client.predict(query, pasted.split("\n"), api_name="/rerank")
        return answer

    with ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(ask, range(VISITORS)))
    for number, answer in enumerate(answers):
        query, pasted = write_list(number, passages=4)
        assert answer["query"] == query
        assert sorted(hit["text"] for hit in answer["hits"]) == sorted(pasted.split("\n"))
