"""A hub on this machine: as much of the Hugging Face API as one upload needs, over real HTTP.

Keeps what was asked and committed. With `refusal` every API call is answered by that status.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True)
class Hub:
    """url: to push to. repos: as they were created. files: name -> bytes of the last commit.
    tokens: every Authorization header that came."""

    url: str = ""
    refusal: int = 0
    repos: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    message: str = ""
    tokens: set[str] = field(default_factory=set)


@contextmanager
def run_hub(*, refusal: int = 0) -> Iterator[Hub]:
    """Serves until the block ends."""
    hub = Hub(refusal=refusal)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _make_handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer({}, head=True)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            hub.tokens.add(self.headers["Authorization"] or "")
            if hub.refusal:
                said = {"error": f"no right, says the hub to {self.headers['Authorization']}"}
                self._answer(said, status=hub.refusal)
            elif self.path == "/api/repos/create":
                hub.repos.append(json.loads(body))
                self._answer({"url": f"{hub.url}/me/adapter", "id": "me/adapter"})
            elif self.path == "/api/validate-yaml":
                self._answer({"errors": [], "warnings": []})
            elif self.path.startswith("/api/models/me/adapter/preupload/"):
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                self._answer({"files": files})
            elif self.path.startswith("/api/models/me/adapter/commit/"):
                self._commit(body)
            else:
                self._answer({"error": f"unknown {self.path}"}, status=404)

        def _commit(self, body: bytes) -> None:
            hub.files.clear()
            for line in body.splitlines():
                record = json.loads(line)
                if record["key"] == "header":
                    hub.message = record["value"]["summary"]
                elif record["key"] == "file":
                    content = base64.b64decode(record["value"]["content"])
                    hub.files[record["value"]["path"]] = content
            oid = "0" * 40
            url = f"{hub.url}/me/adapter/commit/{oid}"
            self._answer({"commitOid": oid, "commitUrl": url, "success": True})

        def _answer(self, record: Any, *, status: int = 200, head: bool = False) -> None:
            data = json.dumps(record).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not head:
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
