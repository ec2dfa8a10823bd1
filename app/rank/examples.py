"""Queries to begin with, each chosen because it shows something different.

Takes a corpus and the student's name, returns its examples. What a chosen query shows was
measured, not promised: `python -m benchmarks.examples --write` ranks every judged query of a
bundled corpus and writes what it saw under assets/examples; a test ranks the chosen ones again.
Knows neither results nor components.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Literal

from reranker.config import ASSETS
from reranker.corpora import Corpus

MAX_EXAMPLES = 4
FOLDER = ASSETS / "examples"

Kind = Literal["rescue", "correction", "harm", "fooled", "injection"]
"""What a query shows: stage 1 brings the answer up; stage 2 makes stage 1's order better; stage 2
makes it worse; stage 1 makes BM25's worse; a passage tries to steer the ranking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A query and what to look for in its result ("" when nobody has written that down)."""

    query: str
    shows: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What one query showed. answers: whether the passage it is about answers the query (else it
    does not at all); ranks: that passage's places after BM25, stage 1 and stage 2."""

    query: str
    kind: Kind
    doc_id: str
    answers: bool
    ranks: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The examples of one corpus, and the student they were seen with."""

    student: str
    sights: tuple[Sight, ...]


def list_examples(corpus: Corpus, student: str) -> tuple[Example, ...]:
    """At most MAX_EXAMPLES: the chosen ones, else the first queries that came with the corpus."""
    chosen = read_chosen(corpus.corpus_id)
    if chosen is None:
        return tuple(Example(query=query) for query in corpus.example_queries[:MAX_EXAMPLES])
    seen_with = "" if student == chosen.student else f" So it was with {chosen.student}."
    return tuple(
        Example(query=sight.query, shows=describe_sight(sight) + seen_with)
        for sight in chosen.sights[:MAX_EXAMPLES]
    )


@cache
def read_chosen(corpus_id: str) -> Chosen | None:
    """The examples chosen for a corpus; None where nobody has chosen any."""
    # Only the names of files that are there: a corpus may be called anything.
    if corpus_id not in {path.stem for path in FOLDER.glob("*.json")}:
        return None
    record = json.loads((FOLDER / f"{corpus_id}.json").read_text(encoding="utf-8"))
    sights = tuple(Sight(**{**entry, "ranks": tuple(entry["ranks"])}) for entry in record["sights"])
    return Chosen(student=record["student"], sights=sights)


def describe_sight(sight: Sight) -> str:
    """What to look for, in one sentence or two."""
    bm25, stage1, stage2 = sight.ranks
    who = "the answer" if sight.answers else "a passage that does not answer"
    if sight.kind == "rescue":
        return f"Stage 1 rescues the answer: place {bm25} for BM25, then {stage1}."
    if sight.kind == "injection":
        if bm25 == stage1 == stage2:
            ranks = f"It stays at place {bm25}"
        else:
            ranks = f"BM25 has it at place {bm25}, stage 1 at {stage1}, stage 2 at {stage2}"
        return f"A planted instruction: one passage asks to be ranked first. {ranks}."
    if sight.kind == "fooled":
        return f"Stage 1 is fooled: {who} {_move(bm25, stage1)}."
    lead = "Stage 2 corrects stage 1" if sight.kind == "correction" else "Stage 2 hurts here"
    return f"{lead}: {who} {_move(stage1, stage2)}."


def _move(before: int, after: int) -> str:
    return f"{'rises' if after < before else 'falls'} from place {before} to {after}"
