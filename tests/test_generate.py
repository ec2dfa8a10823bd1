"""Reasoning data from an endpoint that misbehaves: a real server, every answer checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reranker.endpoint import ChatEndpoint, EndpointSettings
from reranker.errors import EndpointError, InputError
from reranker.examples.answers import find_rejection
from reranker.examples.generate import (
    ACCEPTED,
    REJECTED,
    ReasoningTask,
    generate_reasoning,
    read_report,
)
from reranker.examples.lists import read_items
from reranker.examples.texts import parse_dear_cot
from reranker.types import Passage, Query
from tests.chat_server import ChatServer, Reply, serve_chat

PASSAGES = (
    Passage(doc_id="moon-17", title="Tides", text="The moon pulls the sea. It rises twice a day."),
    Passage(doc_id="bread-4", text="Yeast makes dough rise."),
)
GOOD = (
    "The query asks for a cause.\n"
    '[1] answers: It names the moon as the cause. evidence: "The moon pulls the sea."\n'
    "[2] off_topic: It is about dough.\n"
    "### Final Reranking: [1] > [2]"
)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serve_chat() as running:
        yield running


def connect(server: ChatServer, **more: Any) -> ChatEndpoint:
    options = {"timeout_seconds": 1.0, "retries": 2, "first_wait_seconds": 0.01, **more}
    prices = {"prompt_price": 2.0, "answer_price": 10.0}
    return ChatEndpoint(EndpointSettings(base_url=server.url, model="m", **prices, **options))


def tasks(count: int = 1) -> list[ReasoningTask]:
    return [
        ReasoningTask(query=Query(query_id=f"q{n}", text="why tides"), passages=PASSAGES)
        for n in range(count)
    ]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# Single answers


def test_a_good_answer_is_good() -> None:
    assert find_rejection(GOOD, PASSAGES) is None


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("### Final Reranking: [1] > [2]", "So the first is better.", "no_ranking"),
        ("[1] > [2]", "[1]", "ranking"),
        ("[1] > [2]", "[1] > [2] > [3]", "ranking"),
        ("[1] > [2]", "[1] > [2] > [1]", "ranking"),
        ("about dough.", "about dough, like [7].", "foreign_label"),
        ("about dough.", "about dough (see bread-4).", "leaked_id"),
        ("The moon pulls the sea.", "The sun pulls the sea.", "quote_not_found"),
        ("The moon pulls the sea.", "Yeast makes dough rise.", "quote_not_found"),
        ("[2] off_topic: It is about dough.\n", "", "notes"),
        ("off_topic: It is", "It may be", "notes"),
    ],
)
def test_what_is_wrong_is_found(old: str, new: str, kind: str) -> None:
    assert old in GOOD
    rejection = find_rejection(GOOD.replace(old, new), PASSAGES)
    assert rejection is not None and rejection.kind == kind


def test_a_cut_off_answer_is_never_good() -> None:
    rejection = find_rejection(GOOD, PASSAGES, cut_off=True)
    assert rejection is not None and rejection.kind == "cut_off"


def test_an_id_that_is_a_shown_word_is_no_leak() -> None:
    passages = (Passage(doc_id="tides", text="Tides rise."), Passage(doc_id="b", text="x"))
    answer = GOOD.replace(' evidence: "The moon pulls the sea."', " It names tides.")
    assert find_rejection(answer, passages) is None


# Runs against the server


def test_an_accepted_answer_is_a_dear_cot_record(server: ChatServer, tmp_path: Path) -> None:
    server.queue(Reply(text=GOOD))
    report = generate_reasoning(tasks(), connect(server), tmp_path)
    assert (report.accepted, report.rejected) == (1, 0)
    assert report.cost == pytest.approx((100 * 2 + 10 * 10) / 1e6)
    (example,) = read_items(tmp_path / ACCEPTED, parse_dear_cot).items
    assert example.answer == GOOD and "why tides" in example.messages[-1].content
    assert "moon-17" not in json.dumps(server.requests)


def test_every_misbehaviour_is_survived_and_the_rejected_are_kept(
    server: ChatServer, tmp_path: Path
) -> None:
    server.queue(
        Reply(status=429, headers=(("Retry-After", "0"),)),
        Reply(body=b'{"choices": [{"mess'),
        Reply(text=GOOD.replace("[1] > [2]", "[1] > [3]")),
        Reply(text=GOOD[:40], finish_reason="length"),
        Reply(drop=True),
        Reply(text=GOOD, delay=1.5),
        Reply(text=GOOD),
    )
    report = generate_reasoning(tasks(), connect(server), tmp_path)
    assert (report.accepted, report.rejected) == (1, 2)
    assert report.reasons == {"ranking": 1, "cut_off": 1}
    assert report.attempts == 7 and report.answer_tokens == 30
    rejected = read_lines(tmp_path / REJECTED)
    assert rejected[0]["reason"] and "[3]" in rejected[0]["output"]
    seeds = {(request["seed"], request["temperature"]) for request in server.requests}
    assert (0, 0.0) in seeds and (2, 0.7) in seeds


def test_it_gives_up_on_one_list_and_goes_on(server: ChatServer, tmp_path: Path) -> None:
    bad = Reply(text="no")
    server.queue(bad, bad, Reply(text=GOOD))
    outcomes = []
    report = generate_reasoning(
        tasks(2), connect(server), tmp_path, tries=2, on_done=lambda q, o: outcomes.append((q, o))
    )
    assert outcomes == [("q0", "no_ranking"), ("q1", "accepted")]
    assert (report.accepted, report.rejected) == (1, 2)


def test_it_goes_on_where_it_was(server: ChatServer, tmp_path: Path) -> None:
    server.queue(Reply(text=GOOD))
    first = generate_reasoning(tasks(2), connect(server), tmp_path)
    with (tmp_path / ACCEPTED).open("ab") as file:
        file.write(b'{"query_id": "q2", "outp')  # killed while it wrote
    server.requests.clear()
    report = generate_reasoning(tasks(4), connect(server), tmp_path)
    assert len(server.requests) == 2 and report.accepted == 4 and report.skipped_lines == 1
    assert first.cost is not None and report.cost == pytest.approx(2 * first.cost)
    ids = re.findall(r'"query_id": "(q\d)", "doc_ids"', (tmp_path / ACCEPTED).read_text())
    assert ids == ["q0", "q1", "q2", "q3"]


def test_an_endpoint_that_is_gone_ends_the_run_and_is_asked_again(
    server: ChatServer, tmp_path: Path
) -> None:
    server.queue(Reply(status=500))
    with pytest.raises(EndpointError):
        generate_reasoning(tasks(5), connect(server, retries=0), tmp_path)
    assert len(server.requests) == 3 and read_report(tmp_path).reasons == {"endpoint": 3}
    server.queue(Reply(text=GOOD))
    assert generate_reasoning(tasks(5), connect(server), tmp_path).accepted == 5


def test_no_tries_are_refused(server: ChatServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        generate_reasoning(tasks(), connect(server), tmp_path, tries=0)
