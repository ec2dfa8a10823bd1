"""The named endpoints and tools, over a served page, with a student that has no weights."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from app import library as library_module
from app.api import Api
from app.library import Library
from app.ui import build_page, open_page
from benchmarks.live_app import find_free_port
from tests.fake_student import FakeReader, FakeStudent, make_profile

PASSAGES = ["The moon has no air.", "Soap binds water and fat.", "Soap."]
HIT_FIELDS = {"doc_id", "title", "text", "bm25_score", "score", "rank_bm25", "rank_stage1", "rank"}


@pytest.fixture(scope="module")
def student() -> FakeStudent:
    return FakeStudent()


@pytest.fixture(scope="module")
def url(student: FakeStudent) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library_module, "load_profile", lambda name: make_profile())
        library = Library(load_student=lambda name, quantization: student)  # type: ignore[arg-type,return-value]
        page = build_page(library)
        port = find_free_port()
        open_page(page, "127.0.0.1", port)
        yield f"http://127.0.0.1:{port}/"
        page.close()


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def test_exactly_these_three_are_offered_with_types_and_descriptions(
    client: Client, url: str
) -> None:
    offered = client.view_api(return_format="dict")
    assert set(offered["named_endpoints"]) == {"/rank", "/rerank", "/score"}  # type: ignore[index]
    assert not offered["unnamed_endpoints"]  # type: ignore[index]
    with urllib.request.urlopen(f"{url}gradio_api/mcp/schema") as answer:
        tools = {tool["name"]: tool for tool in json.load(answer)}
    assert set(tools) == {"rank", "rerank", "score"}
    for tool in tools.values():
        assert tool["description"]
        for parameter in tool["inputSchema"]["properties"].values():
            assert parameter["description"]
            assert {"type", "enum", "oneOf"} & set(parameter)
    assert tools["rank"]["inputSchema"]["required"] == ["query"]
    assert tools["rerank"]["inputSchema"]["required"] == ["query", "passages"]


def test_rank_returns_the_documented_object(client: Client) -> None:
    ranking = client.predict("how does soap get greasy plates clean", depth=5, api_name="/rank")
    assert ranking["corpus"] == "everyday-science" and ranking["student"] == "mini"
    assert [hit["rank"] for hit in ranking["hits"]] == [1, 2, 3, 4, 5]
    assert set(ranking["hits"][0]) >= HIT_FIELDS
    for hit in ranking["hits"]:
        assert hit["justification"] and hit["score"] is not None
        for quote in hit["evidence"]:
            assert hit["text"][quote["start"] : quote["end"]] == quote["text"]


def test_stages_and_an_unknown_query_are_taken_at_their_word(client: Client) -> None:
    bm25 = client.predict("soap plates", stages="none", api_name="/rank")
    assert bm25["final"] == "bm25" and bm25["hits"][0]["score"] is None
    assert client.predict("xylophone zebra", api_name="/rank")["hits"] == []


def test_rerank_and_score_keep_ids_and_order(client: Client) -> None:
    ids = ["moon", "soap", "short"]
    ranking = client.predict("soap water", PASSAGES, ids, api_name="/rerank")
    assert {hit["doc_id"]: hit["rank_bm25"] for hit in ranking["hits"]} == {
        "moon": 1, "soap": 2, "short": 3,
    }  # fmt: skip
    assert ranking["hits"][0]["doc_id"] == "soap" and ranking["hits"][0]["bm25_score"] is None
    scores = client.predict("soap water", PASSAGES, api_name="/score")["scores"]
    assert [entry["doc_id"] for entry in scores] == ["c1", "c2", "c3"]
    assert [entry["rank"] for entry in scores] == [3, 1, 2]
    assert scores[1]["score"] > scores[2]["score"] > scores[0]["score"]


@pytest.mark.parametrize(
    ("endpoint", "sent", "told"),
    [
        ("/rank", {"query": " "}, "Expected a query, got empty text"),
        ("/rank", {"query": "x" * 2001}, "at most 2,000 characters, got 2,001"),
        ("/rank", {"query": ["soap"]}, "got a list; send what to look for as text"),
        ("/rank", {"query": "soap", "depth": 101}, "a depth from 1 to 100, got 101"),
        ("/rank", {"query": "soap", "depth": "5"}, "got '5'; send a whole number"),
        ("/rank", {"query": "soap", "depth": True}, "got True"),
        ("/rank", {"query": "soap", "stages": "3"}, "one of none, 1, 2, both, got '3'"),
        ("/rank", {"query": "soap", "mode": None}, "got None"),
        ("/rank", {"query": "soap", "final": {}}, "got an object"),
        ("/rank", {"query": "soap", "corpus": "/etc/passwd"}, "everyday-science, python-docs, got"),
        ("/rank", {"query": "soap", "corpus": "hub:datasets:x"}, "choose one of these"),
        ("/rank", {"query": "soap", "corpus": "../everyday-science"}, "choose one of these"),
        ("/rerank", {"query": "soap", "passages": []}, "expected 1 to 100 passages, got 0"),
        ("/rerank", {"query": "soap", "passages": ["a"] * 101}, "1 to 100 passages, got 101"),
        ("/rerank", {"query": "soap", "passages": "soap"}, "Expected passages as a list"),
        ("/rerank", {"query": "soap", "passages": ["a", 3]}, "passages:2: expected text, got 3"),
        ("/rerank", {"query": "soap", "passages": ["a", " "]}, "passages:2: expected text"),
        ("/rerank", {"query": "soap", "passages": ["a"], "doc_ids": []}, "as passages, 1, got 0"),
        ("/rerank", {"query": "x", "passages": ["a", "b"], "doc_ids": ["i", "i"]}, "got 'i' again"),
        ("/score", {"query": "soap", "passages": ["a"] * 1001}, "to 1,000 passages, got 1,001"),
        ("/score", {"query": "x", "passages": ["a" * 999_999] * 3}, "characters together"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_sentence(
    client: Client, endpoint: str, sent: dict[str, Any], told: str
) -> None:
    with pytest.raises(AppError) as refused:
        client.predict(api_name=endpoint, **sent)
    assert told.lower() in str(refused.value).lower()


def test_a_fault_of_the_program_names_its_kind_and_nothing_else(
    client: Client, student: FakeStudent
) -> None:
    student.reader = FakeReader(failure=ZeroDivisionError("secret in /srv/private"))
    try:
        with pytest.raises(AppError) as refused:
            client.predict("soap water", PASSAGES, api_name="/rerank")
    finally:
        student.reader = FakeReader()
    assert "ZeroDivisionError" in str(refused.value)
    assert "secret" not in str(refused.value) and "/srv" not in str(refused.value)


def test_the_queue_cannot_be_gone_round(url: str) -> None:
    body = json.dumps({"data": ["soap", ["soap"], None]}).encode()
    request = urllib.request.Request(
        f"{url}gradio_api/run/score", body, {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 404


def test_page_and_endpoints_wait_in_one_queue() -> None:
    page = build_page(Library())
    ranking = {fn.concurrency_id for fn in page.fns.values() if fn.api_name in ("rank", "rerank")}
    runs = {
        fn.concurrency_id for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "run"
    }
    assert ranking == runs == {"rank"}
    assert Api.rank.__doc__ and "Args:" in Api.rank.__doc__
