"""A chat endpoint on localhost for tests: real HTTP, answers and misbehaviour in a queue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server sends. text: a chat completion with it; body: these bytes instead.

    delay: seconds before answering. drop: close the connection without an answer.
    """

    text: str = ""
    finish_reason: str = "stop"
    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    drop: bool = False

    def encode(self) -> bytes:
        if self.body is not None:
            return self.body
        choice = {
            "index": 0,
            "finish_reason": self.finish_reason,
            "message": {"role": "assistant", "content": self.text},
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return json.dumps({"choices": [choice], "usage": usage}).encode()


@dataclass
class ChatServer:
    """What came in, and how to answer: `answer` is called with each request's body."""

    url: str = ""
    answer: Callable[[dict[str, Any]], Reply] = lambda body: Reply(text="[1]")
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def queue(self, *replies: Reply) -> None:
        """These replies in turn, the last one for ever after."""
        left = list(replies)
        self.answer = lambda body: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serve_chat() -> Iterator[ChatServer]:
    """A running server; stopped on leaving."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(body)
            state.keys.append(self.headers.get("Authorization", ""))
            state.paths.append(self.path)
            reply = state.answer(body)
            until = time.monotonic() + reply.delay
            while time.monotonic() < until and not state.stopped.wait(0.02):
                pass
            if reply.drop:
                self.connection.close()
                return
            data = reply.encode()
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Nothing on the tests' standard error."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that left early is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.stopped.set()
        server.shutdown()
        server.server_close()
