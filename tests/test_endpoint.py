"""The endpoint's client against a real HTTP server on localhost that also misbehaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reranker import endpoint
from reranker.endpoint import ChatEndpoint, EndpointSettings
from reranker.errors import CancelledError, EndpointError, InputError
from tests.chat_server import ChatServer, Reply, serve_chat

HELLO = [{"role": "user", "content": "hello"}]
KEY = "sk-very-secret"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serve_chat() as state:
        yield state


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def connect(server: ChatServer, **changes: Any) -> ChatEndpoint:
    settings = EndpointSettings(base_url=server.url, model="tiny", first_wait_seconds=0.0)
    return ChatEndpoint(replace(settings, **changes))


def test_a_request_and_its_answer(server: ChatServer) -> None:
    server.queue(Reply(text="[2] > [1]"))
    client = connect(server, extra={"top_p": 0.5})
    answer = client.complete(HELLO, max_tokens=9, seed=3)
    assert (answer.text, answer.cut_off, answer.attempts) == ("[2] > [1]", False, 1)
    assert (answer.prompt_tokens, answer.answer_tokens) == (100, 10)
    assert server.paths == ["/v1/chat/completions"]
    assert server.keys == [f"Bearer {KEY}"]
    assert server.requests == [
        {
            "model": "tiny",
            "messages": HELLO,
            "max_tokens": 9,
            "temperature": 0.0,
            "seed": 3,
            "top_p": 0.5,
        }
    ]


def test_fields_that_are_none_are_left_out(server: ChatServer) -> None:
    connect(server).complete(HELLO, temperature=None)
    assert set(server.requests[0]) == {"model", "messages"}


def test_without_a_key_none_is_sent(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    connect(server).complete(HELLO)
    assert server.keys == [""]


def test_usage_and_cost_add_up(server: ChatServer) -> None:
    client = connect(server, prompt_price=2.0, answer_price=10.0)
    assert client.usage.cost is None
    server.queue(Reply(status=503), Reply(text="x"))
    client.complete(HELLO)
    client.complete(HELLO)
    usage = client.usage
    assert (usage.answers, usage.attempts) == (2, 3)
    assert (usage.prompt_tokens, usage.answer_tokens) == (200, 20)
    assert usage.cost == pytest.approx((200 * 2 + 20 * 10) / 1e6)
    assert connect(server).usage.cost is None


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status=429, headers=(("Retry-After", "0"),)),
        Reply(status=500, body=b""),
        Reply(status=503, body=b"\xff\xfe not text"),
        Reply(body=b"<html>gateway</html>"),
        Reply(body=b"{"),
        Reply(body=b"[]"),
        Reply(body=b'{"choices": []}'),
        Reply(body=b'{"choices": [{"message": {"content": 3}}]}'),
        Reply(body=b'{"choices": [{"message": null}]}'),
        Reply(body=b"[" * 100_000),
        Reply(drop=True),
        Reply(delay=5.0),
    ],
    ids=lambda reply: f"{reply.status}-{(reply.body or b'')[:12]!r}-{reply.drop}-{reply.delay}",
)
def test_what_may_pass_is_tried_again(server: ChatServer, bad: Reply) -> None:
    server.queue(bad, bad, Reply(text="at last"))
    answer = connect(server, timeout_seconds=0.4).complete(HELLO)
    assert (answer.text, answer.attempts) == ("at last", 3)


def test_after_every_retry_the_last_reason_is_told(server: ChatServer) -> None:
    server.queue(Reply(status=429, body=b"slow down"))
    client = connect(server, retries=2)
    with pytest.raises(EndpointError, match="got none in 3 attempts .*429: slow down"):
        client.complete(HELLO)
    assert len(server.requests) == 3
    assert (client.usage.answers, client.usage.attempts) == (0, 3)


def test_a_server_that_is_not_there(server: ChatServer) -> None:
    client = connect(server, base_url="http://127.0.0.1:1/v1", retries=1)
    with pytest.raises(EndpointError, match="got none in 2 attempts .*ConnectError"):
        client.complete(HELLO)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_a_refusal_is_not_tried_again_and_hides_the_key(server: ChatServer, status: int) -> None:
    server.queue(Reply(status=status, body=f"bad key {KEY} given".encode()))
    with pytest.raises(EndpointError, match=rf"status {status}: bad key \*\*\* given") as caught:
        connect(server).complete(HELLO)
    assert KEY not in str(caught.value)
    assert len(server.requests) == 1


def test_attempts_before_a_refusal_are_counted(server: ChatServer) -> None:
    server.queue(Reply(status=500), Reply(status=400))
    client = connect(server)
    with pytest.raises(EndpointError, match="status 400"):
        client.complete(HELLO)
    assert client.usage.attempts == 2


def test_a_key_that_no_header_can_hold(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u00e9\n")
    with pytest.raises(EndpointError, match="in \\$OPENAI_API_KEY, got other characters"):
        connect(server).complete(HELLO)


def test_a_cut_off_answer_says_so(server: ChatServer) -> None:
    server.queue(Reply(text="[2] > [", finish_reason="length"))
    assert connect(server).complete(HELLO).cut_off
    body = b'{"choices":[{"finish_reason":"length","message":{"content":null,"reasoning":"hm"}}]}'
    server.queue(Reply(body=body))
    answer = connect(server).complete(HELLO)
    assert (answer.text, answer.reasoning, answer.cut_off) == ("", "hm", True)


def test_an_endless_answer_is_refused(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MAX_ANSWER_BYTES", 100)
    server.queue(Reply(text="x" * 1000))
    with pytest.raises(EndpointError, match="at most 100 bytes"):
        connect(server).complete(HELLO)


def test_stopping_ends_a_request_that_hangs(server: ChatServer) -> None:
    server.queue(Reply(delay=60.0))
    stop = threading.Event()
    server_answer = server.answer

    def stop_on_request(body: dict[str, Any]) -> Reply:
        stop.set()
        return server_answer(body)

    server.answer = stop_on_request
    with pytest.raises(CancelledError):
        connect(server, timeout_seconds=60.0).complete(HELLO, cancelled=stop.is_set)


def test_stopping_ends_a_wait_between_tries(server: ChatServer) -> None:
    server.queue(Reply(status=429, headers=(("Retry-After", "999"),)))
    client = connect(server, longest_wait_seconds=999.0)
    with pytest.raises(CancelledError):
        client.complete(HELLO, cancelled=lambda: bool(server.requests))


def test_waits_double_and_stay_in_bounds(server: ChatServer) -> None:
    client = connect(server, first_wait_seconds=1.0, longest_wait_seconds=5.0)
    waits = [client._wait(attempt, 0.0) for attempt in (1, 2, 3, 8)]
    pairs = zip((1, 2, 4), waits[:3], strict=True)
    assert all(0.75 * n <= wait <= 1.25 * n for n, wait in pairs)
    assert waits[3] == 5.0
    assert client._wait(1, 3.0) == 3.0
    assert client._wait(1, 3600.0) == 5.0


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "localhost:8000"},
        {"base_url": "file:///etc/passwd"},
        {"base_url": "http://"},
        {"base_url": "http://["},
        {"base_url": "http://user:secret@host/v1"},
        {"model": " "},
        {"timeout_seconds": 0},
        {"retries": -1},
    ],
)
def test_settings_that_cannot_work(changes: dict[str, Any]) -> None:
    settings = EndpointSettings(base_url="http://localhost/v1", model="tiny")
    with pytest.raises(InputError, match="expected") as caught:
        ChatEndpoint(replace(settings, **changes))
    assert "secret" not in str(caught.value)
