"""Traces as JSON, and whether two of them rank alike.

Takes a `RankingTrace`, returns JSON text, and back. `compare_traces` says whether two traces
rank identically. Knows no model; the ranking that is compared is the caller's.

A trace from outside is taken only when it agrees with itself: what one part says of the hits,
the others must bear out. Nobody signs traces, so a forgery that is consistent passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reranker.errors import TraceError
from reranker.ordering import MAX_SHUFFLED, MAX_SHUFFLES, apply_readings, settle_agreement
from reranker.types import RankingTrace, WindowReading

MAX_TRACE_BYTES = 64 * 1024 * 1024

_ADAPTER = TypeAdapter(RankingTrace)
_MEND = "use the file as it was downloaded"


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
            f"{where}: expected at most {MAX_TRACE_BYTES // 2**20} MB, got more; {_MEND}"
        )
    try:
        trace = _ADAPTER.validate_json(text, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TraceError(
            f"{where}: expected a trace saved by DeAR Studio, got {first['msg'].lower()} at "
            f"{place}; {_MEND}"
        ) from error
    _check_consistency(trace, where)
    return trace


def load_trace(path: Path) -> RankingTrace:
    """The trace in a file. Raises TraceError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TRACE_BYTES + 1)
    except OSError as error:
        raise TraceError(
            f"{path}: expected a trace file, got {error.strerror}; check the path"
        ) from error
    return read_trace(content, str(path))


def _check_consistency(trace: RankingTrace, where: str) -> None:
    """A trace from outside must be about its own passages: same doc_ids, quotes where they say."""
    texts = {hit.passage.doc_id: hit.passage.text for hit in trace.hits}
    hits = sorted(texts)
    if len(hits) != len(trace.hits):
        raise TraceError(f"{where}: expected each hit once, got a doc_id twice; {_MEND}")
    ranks = [hit.rank for hit in trace.hits]
    if any(before >= rank for before, rank in zip([0, *ranks], ranks, strict=False)):
        raise TraceError(f"{where}: expected hits by rising rank, counted from 1; {_MEND}")
    if not all(map(math.isfinite, _list_numbers(trace))):
        raise TraceError(
            f"{where}: expected finite numbers, got an infinite or undefined one; {_MEND}"
        )
    if sorted(trace.final_order) != hits:
        raise TraceError(f"{where}: expected final_order to hold every hit once; {_MEND}")
    scored = [score.doc_id for score in trace.stage1]
    if trace.stage1 and sorted(scored) != hits:
        raise TraceError(f"{where}: expected one stage-1 score for every hit; {_MEND}")
    for reading in trace.readings:
        _check_reading(reading, texts, where)
    _check_order(trace, where)


def _list_numbers(trace: RankingTrace) -> Iterator[float]:
    for hit in trace.hits:
        yield hit.bm25_score or 0.0
        yield from (term.weight for term in hit.terms)
    for score in trace.stage1:
        yield score.score
        yield from score.nearness
        if score.feedback:
            yield from (score.feedback.score, score.feedback.nearness)
        yield from (sentence.score for sentence in score.sentences)
    yield from (timing.seconds for timing in trace.timings)
    yield from (reading.seconds for reading in trace.readings)
    yield from (reading.seconds for reading in trace.shuffled)


def _check_order(trace: RankingTrace, where: str) -> None:
    """The final order must be the one its stage gave. A blend's weights are the profile's, which
    no trace holds, so a blend is only known to be an order of the hits."""
    order = trace.stage1_order or trace.bm25_order
    orders = {"bm25": trace.bm25_order, "stage1": trace.stage1_order}
    for reading in trace.readings:
        start, end = reading.window.start, reading.window.end
        if start < 0 or order[start:end] != reading.doc_ids:
            raise TraceError(
                f"{where}: expected window {reading.index + 1} to hold what stood at places "
                f"{start + 1} to {end} before it was read, got other passages; {_MEND}"
            )
        order = apply_readings(order, [reading])
    orders["stage2"] = order
    _check_shuffled(trace, where)
    if trace.shuffled:
        orders["agreed"] = settle_agreement(order, trace.shuffled)
    elif trace.final_source == "agreed":
        raise TraceError(
            f"{where}: expected the shuffled readings an agreed order comes from, got none; {_MEND}"
        )
    if orders.get(trace.final_source, trace.final_order) != trace.final_order:
        raise TraceError(
            f"{where}: expected final_order to be the order of {trace.final_source!r}, which the "
            f"trace's own scores and permutations give, got another; {_MEND}"
        )


def _check_shuffled(trace: RankingTrace, where: str) -> None:
    """Readings of one list of hits, few and short enough to be agreed on in a moment."""
    shuffled = trace.shuffled
    hits = set(trace.bm25_order)
    read = sorted(shuffled[0].shown) if shuffled else []
    orders = [order for reading in shuffled for order in (reading.shown, reading.given)]
    if len(shuffled) > MAX_SHUFFLES or len(read) > MAX_SHUFFLED:
        raise TraceError(
            f"{where}: expected at most {MAX_SHUFFLES} shuffled readings of {MAX_SHUFFLED:,} "
            f"passages, got more; {_MEND}"
        )
    if len(set(read)) != len(read) or not set(read) <= hits:
        raise TraceError(f"{where}: expected shuffled readings of the hits; {_MEND}")
    if any(sorted(order) != read for order in orders):
        raise TraceError(
            f"{where}: expected every shuffled reading to hold the same hits once; {_MEND}"
        )


def _check_reading(reading: WindowReading, texts: dict[str, str], where: str) -> None:
    inside = set(reading.doc_ids)
    if not (inside <= set(texts) and len(inside) == len(reading.doc_ids) == reading.window.size):
        raise TraceError(f"{where}: expected a window of {reading.window.size} hits; {_MEND}")
    if sorted(reading.permutation) != list(range(len(inside))):
        raise TraceError(f"{where}: expected a permutation of each window; {_MEND}")
    for justification in reading.justifications:
        if justification.doc_id not in inside:
            raise TraceError(
                f"{where}: expected justifications of the window's hits, got one of "
                f"{justification.doc_id!r}; {_MEND}"
            )
        text = texts[justification.doc_id]
        for evidence in justification.evidence:
            start, end = evidence.start, evidence.end
            if not 0 <= start < end or text[start:end] != evidence.text:
                raise TraceError(
                    f"{where}: expected the quote {evidence.text[:40]!r} at {start} of "
                    f"{justification.doc_id!r}; the passage says otherwise there; {_MEND}"
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
    identical = old.final_order == new.final_order
    return TraceComparison(identical=identical, moved=moved, notes=tuple(notes))


def _identity(old: RankingTrace, new: RankingTrace) -> list[tuple[str, Any, Any]]:
    fields = (
        "name",
        "quantization",
        "device",
        "stage1_base",
        "stage2_base",
        "stage1_adapter_sha256",
        "stage2_adapter_sha256",
    )
    rows = [(f, getattr(old.student, f), getattr(new.student, f)) for f in fields]
    packages = sorted(set(old.versions) | set(new.versions))
    return rows + [(p, old.versions.get(p), new.versions.get(p)) for p in packages]
