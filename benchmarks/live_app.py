"""`python app.py` as a person starts it, in a process of its own, for tests and benchmarks.

Takes nothing but a place for its log, gives the address of a page whose student is loaded.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradio_client import Client

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve_app(log: Path, *flags: str) -> Iterator[str]:
    """The address of a running app, ended afterwards. Raises RuntimeError if it does not answer."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/"
    with log.open("wb") as output:
        command = [sys.executable, "app.py", "--port", str(port), *flags]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            _wait_for(url, process)
            # Ranking waits for the student, so its first answer says that it is loaded.
            Client(url, verbose=False).predict("soap", ["soap"], api_name="/rerank")
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"expected a running app, got exit code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"expected {url} to answer within {START_SECONDS} s, got nothing")
