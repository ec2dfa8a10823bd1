"""Annotators at once: how long saving takes for each, as a Markdown page.

Starts the app as it is over a project of many items and speaks to it as the desk in a browser
does: every annotator opens an item, answers it, saves it and opens the next, without a pause.

`python -m benchmarks.annotators [--items 10000] [--annotators 8] [--saves 100]
> docs/benchmarks/annotate.md`
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from app.people import HEADER_VARIABLE
from benchmarks.live_app import serve_app
from benchmarks.machine import describe_machine
from reranker.annotation.database import FILE_NAME, FOLDER_VARIABLE, URL_VARIABLE
from reranker.annotation.item import Item, Reasoning, SystemOrder, make_item
from reranker.annotation.judging import Judging
from reranker.annotation.project import Project
from reranker.annotation.store import Store
from reranker.types import Passage, Query

ITEMS = 10_000
ANNOTATORS = 8
SAVES = 100
PASSAGES = 5
PROJECT = "load"
HEADER = "X-Annotator"
SENTENCE = "Salt lowers the freezing point of water, which is why roads are salted in winter. "


@dataclass
class Times:
    """Seconds of every save and every opening, and what went wrong."""

    saves: list[float] = field(default_factory=list)
    opens: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def make_load_item(number: int) -> Item:
    """A query with five passages of about 80 words, each justified in two sentences."""
    doc_ids = tuple(f"d{number}-{n}" for n in range(PASSAGES))
    return make_item(
        Query(query_id=f"q{number}", text=f"why is salt put on roads? {number}"),
        [Passage(doc_id=doc_id, text=SENTENCE * 5 + doc_id) for doc_id in doc_ids],
        reasonings=[
            Reasoning(doc_id=doc_id, system="mini", text="It names the effect. It says why.")
            for doc_id in doc_ids
        ],
        orders=[SystemOrder(system="BM25", doc_ids=doc_ids)],
    )


def fill_store(folder: Path, items: int, annotators: int) -> None:
    """The project everybody judges; each item goes to two people."""
    store = Store(f"sqlite:///{folder / FILE_NAME}")
    store.create_project(Project(project_id=PROJECT, name="Load", overlap=2), "owner")
    store.add_items(PROJECT, map(make_load_item, range(items)))
    for number in range(annotators):
        store.set_role(PROJECT, f"a{number}", "annotator")
    store.close()


def find_component(url: str) -> int:
    """The desk's number in the page's configuration."""
    config = httpx.get(f"{url}config", headers={HEADER: "a0"}, timeout=60).json()
    desks = [c["id"] for c in config["components"] if "desk_save" in (c.get("server_fns") or [])]
    if not desks:  # Gradio names server functions beside the props in some versions
        desks = [c["id"] for c in config["components"] if c["props"].get("elem_id") == "ann-desk"]
    return int(desks[0])


def judge_items(url: str, component: int, person: str, saves: int, times: Times) -> None:
    """One annotator's session of so many saves; `times` is shared, appending is atomic."""
    session = uuid4().hex
    with httpx.Client(timeout=60, headers={HEADER: person}) as client:

        def call(name: str, data: dict[str, Any], into: list[float]) -> dict[str, Any]:
            letter = {"data": data, "component_id": component, "fn_name": name}
            started = time.perf_counter()
            answer = client.post(
                f"{url}gradio_api/component_server/", json=letter | {"session_hash": session}
            )
            into.append(time.perf_counter() - started)
            told: dict[str, Any] = answer.json() if answer.is_success else {}
            if not answer.is_success or "error" in told:
                times.errors.append(str(told.get("error", answer.status_code)))
            return told

        item = ""
        for _ in range(saves):
            opened = call(
                "desk_open", {"project": PROJECT, "go": "next", "item": item}, times.opens
            )
            if not opened.get("item"):
                times.errors.append("expected another item, got none")
                return
            item = opened["item"]
            part = {"verdict": "wrong", "reasons": ["unsupported"]}
            reason = {"whole": part, "steps": [part, part], "evidence": "none", "spans": [],
                      "correction": "Salt keeps water from freezing."}  # fmt: skip
            answers = {
                "grades": {str(n): n % 4 for n in range(PASSAGES)},
                "reasons": {str(n): reason for n in range(PASSAGES)},
                "order": [[n] for n in range(PASSAGES)],
                "comment": "as the guidelines say",
                "flagged": False,
            }
            letter = {"project": PROJECT, "item": item, "answers": answers, "version": 0}
            letter |= {"save_key": uuid4().hex, "seconds": 1, "status": "done", "mode": "judge"}
            call("desk_save", letter, times.saves)


def run_load(items: int, annotators: int, saves: int) -> tuple[Times, float, int]:
    """(times, seconds of the whole, judgements found in the store afterwards)."""
    times = Times()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill_store(folder, items, annotators)
        os.environ[FOLDER_VARIABLE], os.environ[HEADER_VARIABLE] = name, HEADER
        os.environ.pop(URL_VARIABLE, None)
        with serve_app(folder / "app.log") as url:
            component = find_component(url)
            threads = [
                threading.Thread(target=judge_items, args=(url, component, f"a{n}", saves, times))
                for n in range(annotators)
            ]
            started = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.perf_counter() - started
        store = Store(f"sqlite:///{folder / FILE_NAME}")
        found = len(Judging(store).history(PROJECT))
        store.close()
    return times, seconds, found


def describe(values: list[float]) -> str:
    """p50, p95 and the slowest, in milliseconds."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"{cuts[49] * 1000:.0f} | {cuts[94] * 1000:.0f} | {max(values) * 1000:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time saving judgements under load.")
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--annotators", type=int, default=ANNOTATORS)
    parser.add_argument("--saves", type=int, default=SAVES, help="of each annotator")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    times, seconds, found = run_load(options.items, options.annotators, options.saves)
    lines = [
        "# Annotators at once",
        "",
        f"`python -m benchmarks.annotators --items {options.items} --annotators "
        f"{options.annotators} --saves {options.saves}`",
        "",
        f"{describe_machine()}. Load of the machine before it began: {before:.1f}. Annotators and "
        "server ran on the same machine; nobody paused between saving and opening.",
        "",
        "| what | p50 ms | p95 ms | slowest ms |",
        "|---|---|---|---|",
        f"| saving a judgement | {describe(times.saves)} |",
        f"| opening an item | {describe(times.opens)} |",
        "",
        f"{options.items:,} items, {options.annotators} annotators, {len(times.saves):,} saves in "
        f"{seconds:.0f} s; {len(times.errors)} errors; {found:,} judgements in the store "
        "afterwards (SQLite, WAL, synchronous=FULL).",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    for error in times.errors[:5]:
        sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    main()
