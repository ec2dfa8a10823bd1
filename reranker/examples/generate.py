"""Reasoning data from a strong model: listwise chains of thought over BM25 or stage-1 candidates.

Takes lists of candidates and an endpoint, appends DeAR-COT records to a folder: accepted.jsonl,
and rejected.jsonl with the reason. Every answer is checked (answers.py), asked for again when it
is no good, and counted with what it cost. What is in the folder is not asked for again, so an
interrupted run goes on where it was. DeAR had 20,000 such answers from GPT-4o (arXiv 2508.16998).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reranker.endpoint import ChatAnswer, EndpointUsage, Message
from reranker.errors import EndpointError, InputError
from reranker.examples.answers import Rejection, find_rejection
from reranker.jobs.progress import mend_last_line
from reranker.progress import Cancelled
from reranker.prompts.chat import write_messages
from reranker.types import Passage, Query

ACCEPTED, REJECTED = "accepted.jsonl", "rejected.jsonl"
ENDPOINT = "endpoint"
MAX_FAILURES_IN_A_ROW = 3


class Model(Protocol):
    """What is asked of an endpoint; `ChatEndpoint` is one."""

    @property
    def usage(self) -> EndpointUsage: ...

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = 0.0,
        seed: int | None = None,
        cancelled: Cancelled = ...,
    ) -> ChatAnswer: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasoningTask:
    """A query and the list to reason over, in the order it is shown."""

    query: Query
    passages: tuple[Passage, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationReport:
    """What a folder holds so far, over all runs. reasons: why answers were rejected, counted;
    cost: in the prices' currency, None where one of the answers has no price."""

    accepted: int
    rejected: int
    reasons: dict[str, int]
    skipped_lines: int
    prompt_tokens: int
    answer_tokens: int
    attempts: int
    seconds: float
    cost: float | None


def generate_reasoning(
    tasks: Iterable[ReasoningTask],
    model: Model,
    folder: Path,
    *,
    tries: int = 3,
    max_tokens: int = 4096,
    on_done: Callable[[str, str], None] = lambda query_id, outcome: None,
    cancelled: Cancelled = lambda: False,
) -> GenerationReport:
    """Asks for every list that has no answer in the folder yet.

    tries: answers asked for one list before it is given up; each rejected one is kept. Raises
    EndpointError when the endpoint failed for MAX_FAILURES_IN_A_ROW lists (what is done is in
    the folder), CancelledError when stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = _read_finished(folder)
    failures = 0
    for task in tasks:
        query_id = task.query.query_id
        if query_id in finished:
            continue
        finished.add(query_id)
        try:
            outcome = _ask(task, model, folder, tries, max_tokens, cancelled)
        except EndpointError as error:
            failures += 1
            _append(
                folder / REJECTED, {"query_id": query_id, "kind": ENDPOINT, "reason": str(error)}
            )
            if failures == MAX_FAILURES_IN_A_ROW:
                raise
            outcome = ENDPOINT
        else:
            failures = 0
        on_done(query_id, outcome)
    return read_report(folder)


def read_report(folder: Path) -> GenerationReport:
    """What the folder holds; a torn line is counted and left out."""
    accepted, skipped = _read_records(folder / ACCEPTED)
    rejected, more = _read_records(folder / REJECTED)
    used = [record.get("used", {}) for record in (*accepted, *rejected)]
    used = [record for record in used if record]
    costs = [record.get("cost") for record in used]
    return GenerationReport(
        accepted=len(accepted),
        rejected=len(rejected),
        reasons=dict(Counter(str(record.get("kind")) for record in rejected)),
        skipped_lines=skipped + more,
        prompt_tokens=sum(record["prompt_tokens"] for record in used),
        answer_tokens=sum(record["answer_tokens"] for record in used),
        attempts=sum(record["attempts"] for record in used),
        seconds=sum(record["seconds"] for record in used),
        cost=sum(costs) if used and None not in costs else None,
    )


def _ask(
    task: ReasoningTask,
    model: Model,
    folder: Path,
    tries: int,
    max_tokens: int,
    cancelled: Cancelled,
) -> str:
    """Asks until an answer is good or the tries are spent; "accepted" or the last reason's kind."""
    if tries < 1:
        raise InputError(f"expected at least 1 try, got {tries}; raise it")
    messages = write_messages(task.query.text, task.passages, "reason_first")
    kind = ""
    for number in range(tries):
        before = model.usage.cost
        answer = model.complete(
            messages,
            max_tokens=max_tokens,
            # The same question to the same model: only chance can make the answer another one.
            temperature=0.0 if number == 0 else 0.7,
            seed=number,
            cancelled=cancelled,
        )
        rejection = find_rejection(
            answer.text, task.passages, cut_off=answer.cut_off, query=task.query.text
        )
        used = _describe_use(answer, before, model.usage.cost)
        _append_answer(folder, task, messages, answer, rejection, used)
        if rejection is None:
            return "accepted"
        kind = rejection.kind
    return kind


def _append_answer(
    folder: Path,
    task: ReasoningTask,
    messages: Sequence[Message],
    answer: ChatAnswer,
    rejection: Rejection | None,
    used: dict[str, Any],
) -> None:
    record = {
        "query_id": task.query.query_id,
        "doc_ids": [passage.doc_id for passage in task.passages],
        "system": messages[0]["content"],
        "instruction": messages[1]["content"],
        "input": "",
        "output": answer.text,
        "history": [],
        "think": answer.reasoning,
        "used": used,
    }
    if rejection is None:
        _append(folder / ACCEPTED, record)
    else:
        told = {"kind": rejection.kind, "reason": rejection.detail}
        _append(folder / REJECTED, {**record, **told})


def _describe_use(answer: ChatAnswer, before: float | None, after: float | None) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "answer_tokens": answer.answer_tokens,
        "attempts": answer.attempts,
        "seconds": round(answer.seconds, 3),
        "cost": None if after is None else after - (before or 0.0),
    }


def _read_finished(folder: Path) -> set[str]:
    """Lists that are accepted, or were rejected for their answers; those the endpoint failed on
    are asked for again."""
    accepted, _ = _read_records(folder / ACCEPTED)
    rejected, _ = _read_records(folder / REJECTED)
    done = {record["query_id"] for record in accepted}
    return done | {r["query_id"] for r in rejected if r.get("kind") != ENDPOINT}


def _read_records(path: Path) -> tuple[list[dict[str, Any]], int]:
    records, skipped = [], 0
    for line in path.read_bytes().split(b"\n") if path.is_file() else []:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            record["query_id"]
        except (ValueError, KeyError, TypeError):
            skipped += 1
        else:
            records.append(record)
    return records, skipped


def _append(path: Path, record: dict[str, Any]) -> None:
    mend_last_line(path)
    with path.open("ab") as file:
        file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
