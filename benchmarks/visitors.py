"""Many visitors at once: how long each waits for a turn and for the answer, as a Markdown page.

Starts the app as it is and speaks to it as the page in a browser does: each visitor has a session
of its own, pastes a list of its own, runs it, and reads what the server sends until the end.

`python -m benchmarks.visitors [--visitors 20] > docs/benchmarks/visitors.md`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from benchmarks.live_app import serve_app
from benchmarks.machine import describe_machine

VISITORS = 20
PASSAGES = 20
SUBJECTS = ("soap", "ice", "bread", "glass", "rust", "wool", "salt", "clay", "steam", "wax")


@dataclass(frozen=True, kw_only=True, slots=True)
class PageEvents:
    """The two events behind "Rank these for the query", as the page's configuration names them.

    settings: what the controls hold that the run reads besides the list and the query.
    """

    begin: int
    run: int
    settings: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """What one visitor saw. Times are seconds since the press of the button.

    ahead: how many were ahead, each time the server said so. text: everything the server sent.
    """

    mark: str
    ahead: tuple[int, ...]
    turn: float
    first: float
    done: float
    succeeded: bool
    text: str


def mark_visitor(number: int) -> str:
    """A word that only this visitor's query and passages hold."""
    return f"visitor{number:03d}"


def write_list(number: int, passages: int = PASSAGES) -> tuple[str, str]:
    """The visitor's query and pasted list, one passage a line."""
    mark = mark_visitor(number)
    subject = SUBJECTS[number % len(SUBJECTS)]
    lines = [
        f"{mark}: Passage {n} says that {subject} number {n * 7 % passages} changes when it is "
        f"warmed for {n + 1} minutes, and that {SUBJECTS[n % len(SUBJECTS)]} stays as it was."
        for n in range(passages)
    ]
    return f"what happens to {subject} when {mark} warms it", "\n".join(lines)


def find_events(config: dict[str, Any]) -> PageEvents:
    """The events in a page's configuration (`/config`)."""
    parts = {part["id"]: part["props"] for part in config["components"]}
    button = next(i for i, props in parts.items() if props.get("elem_id") == "rank-pasted")
    events = config["dependencies"]
    begin = next(e for e in events if [button, "click"] in [list(t) for t in e["targets"]])
    run = next(e for e in events if e["trigger_after"] == begin["id"])
    # The pasted list, the corpus and the query come first, and are the visitor's own.
    values = tuple(parts[part].get("value") for part in begin["inputs"][3:])
    return PageEvents(begin=begin["id"], run=run["id"], settings=values)


async def visit(client: httpx.AsyncClient, events: PageEvents, number: int) -> Visit:
    """One visitor's press of the button, followed to the end."""
    query, pasted = write_list(number)
    session = uuid4().hex[:12]
    started = time.perf_counter()
    data = [pasted, None, query, *events.settings]
    begun = await _post(client, "run/predict", session, fn_index=events.begin, data=data)
    await _post(client, "queue/join", session, fn_index=events.run, data=[])
    ahead: list[int] = []
    times: dict[str, float] = {}
    texts = [json.dumps(begun)]
    succeeded = False
    async for line in _listen(client, session):
        texts.append(line)
        message = json.loads(line)
        kind = message["msg"]
        times.setdefault(kind, time.perf_counter() - started)
        if kind == "estimation":
            ahead.append(message["rank"] + 1)
        if kind == "process_completed":
            succeeded = bool(message["success"])
            break
    return Visit(
        mark=mark_visitor(number),
        ahead=tuple(ahead),
        turn=times["process_starts"],
        first=times.get("process_generating", times["process_completed"]),
        done=times["process_completed"],
        succeeded=succeeded,
        text="\n".join(texts),
    )


async def _post(client: httpx.AsyncClient, path: str, session: str, **body: Any) -> Any:
    answer = await client.post(f"gradio_api/{path}", json={"session_hash": session, **body})
    answer.raise_for_status()
    return answer.json()


async def _listen(client: httpx.AsyncClient, session: str) -> AsyncIterator[str]:
    """The server's messages to a session, each as JSON text, without its heartbeat."""
    address = "gradio_api/queue/data"
    async with client.stream("GET", address, params={"session_hash": session}) as stream:
        async for line in stream.aiter_lines():
            text = line.removeprefix("data:").strip()
            if line.startswith("data:") and json.loads(text)["msg"] != "heartbeat":
                yield text


async def visit_together(url: str, visitors: int) -> list[Visit]:
    """That many visitors who press at the same moment."""
    limits = httpx.Limits(max_connections=2 * visitors + 2)
    async with httpx.AsyncClient(base_url=url, timeout=900, limits=limits) as client:
        events = find_events((await client.get("config")).json())
        return list(await asyncio.gather(*(visit(client, events, n) for n in range(visitors))))


def count_strangers(visits: Sequence[Visit]) -> int:
    """How often a visitor was sent words of another one."""
    marks = {seen.mark for seen in visits}
    return sum(mark in seen.text for seen in visits for mark in marks - {seen.mark})


def describe(alone: Visit, visits: Sequence[Visit]) -> str:
    """The page of figures."""
    rows = [
        f"| {name} | {min(values):.1f} | {statistics.median(values):.1f} | {max(values):.1f} |"
        for name, values in (
            ("turn begins", [seen.turn for seen in visits]),
            ("first result on the page", [seen.first for seen in visits]),
            ("answer complete", [seen.done for seen in visits]),
        )
    ]
    failed = sum(not seen.succeeded for seen in visits)
    told = sum(bool(seen.ahead) for seen in visits)
    return "\n".join(
        [
            "# Visitors at once",
            "",
            f"`python -m benchmarks.visitors --visitors {len(visits)}` on {describe_machine()}.",
            "",
            f"{len(visits)} visitors each paste {PASSAGES} passages of their own and press the "
            "button at the same moment; one ranking (both stages, `mini`) runs at a time. Seconds "
            "after the press:",
            "",
            "| | first visitor | median | last visitor |",
            "|---|---|---|---|",
            *rows,
            "",
            f"One visitor alone, on the same warm app: complete after {alone.done:.1f} s. "
            f"Told their place while waiting: {told} of {len(visits)}. Errors: {failed}. "
            f"Answers with words of another visitor: {count_strangers(visits)}.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.visitors")
    parser.add_argument("--visitors", type=int, default=VISITORS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, serve_app(Path(folder) / "app.log") as url:
        (alone,) = asyncio.run(visit_together(url, 1))
        visits = asyncio.run(visit_together(url, options.visitors))
    sys.stdout.write(describe(alone, visits) + "\n")


if __name__ == "__main__":
    main()
