"""Traces as JSON, and running one again.

Takes a `RankingTrace`, returns JSON text, and back. `compare_traces` says whether two traces
rank identically. Knows no model; replaying is in pipeline terms (see `replay_request`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reranker.errors import TraceError
from reranker.types import RankingTrace

MAX_TRACE_BYTES = 64 * 1024 * 1024

_ADAPTER = TypeAdapter(RankingTrace)


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceComparison:
    """Whether a replay gave the same. moved: (doc_id, old rank, new rank) of each difference."""

    identical: bool
    moved: tuple[tuple[str, int, int | None], ...]
    notes: tuple[str, ...]


def dump_trace(trace: RankingTrace) -> str:
    """The trace as one JSON object; read_trace gives an equal trace back."""
    return _ADAPTER.dump_json(trace, indent=1).decode()


def read_trace(text: str | bytes, where: str = "trace") -> RankingTrace:
    """Raises TraceError naming what does not fit."""
    if len(text) > MAX_TRACE_BYTES:
        raise TraceError(
            f"{where}: expected at most {MAX_TRACE_BYTES // 2**20} MB, got {len(text) // 2**20}"
        )
    try:
        trace = _ADAPTER.validate_json(text, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TraceError(
            f"{where}: expected a trace saved by DeAR Studio, got {first['msg'].lower()} at "
            f"{place}; use the file as it was downloaded"
        ) from error
    _check_consistency(trace, where)
    return trace


def load_trace(path: Path) -> RankingTrace:
    """The trace in a file. Raises TraceError."""
    try:
        return read_trace(path.read_bytes(), str(path))
    except OSError as error:
        raise TraceError(f"{path}: expected a trace file, got {error.strerror}") from error


def _check_consistency(trace: RankingTrace, where: str) -> None:
    """A trace from outside must be about its own passages: same doc_ids, quotes where they say."""
    texts = {hit.passage.doc_id: hit.passage.text for hit in trace.hits}
    known = set(texts)
    if trace.final_order and (set(trace.final_order) != known or len(trace.final_order) != len(known)):
        raise TraceError(f"{where}: expected final_order to hold every hit once; it does not")
    if not {score.doc_id for score in trace.stage1} <= known:
        raise TraceError(f"{where}: expected stage-1 scores of the hits only; one is of another")
    for doc_id, justification in trace.justifications.items():
        if doc_id not in known:
            raise TraceError(f"{where}: expected justifications of hits, got one of {doc_id!r}")
        for evidence in justification.evidence:
            if texts[doc_id][evidence.start : evidence.end] != evidence.text:
                raise TraceError(
                    f"{where}: expected the quote {evidence.text[:40]!r} at {evidence.start} of "
                    f"{doc_id!r}; the passage says otherwise there"
                )


def compare_traces(old: RankingTrace, new: RankingTrace) -> TraceComparison:
    """Every rank compared; notes name differences in weights, versions or text."""
    new_ranks = {doc_id: rank for rank, doc_id in enumerate(new.final_order, start=1)}
    moved = tuple(
        (doc_id, rank, new_ranks.get(doc_id))
        for rank, doc_id in enumerate(old.final_order, start=1)
        if new_ranks.get(doc_id) != rank
    )
    notes = [
        f"{name}: {before or 'none'} then, {after or 'none'} now"
        for name, before, after in _identity(old, new)
        if before != after
    ]
    texts = [[g.text for reading in t.readings for g in reading.generations] for t in (old, new)]
    if texts[0] != texts[1]:
        notes.append("the generated text differs")
    return TraceComparison(identical=not moved, moved=moved, notes=tuple(notes))


def _identity(old: RankingTrace, new: RankingTrace) -> list[tuple[str, Any, Any]]:
    fields = ("name", "quantization", "device", "stage1_adapter_sha256", "stage2_adapter_sha256")
    rows = [(f, getattr(old.student, f), getattr(new.student, f)) for f in fields]
    packages = sorted(set(old.versions) | set(new.versions))
    return rows + [(p, old.versions.get(p), new.versions.get(p)) for p in packages]
