"""The records training examples are read into: judged lists for stage 1, texts for stage 2.

Takes nothing and knows no file format and no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reranker.types import Passage, Query


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedPassage:
    """A passage with its grade (0: not relevant) and, where the data have them, the teacher's
    score and a person's justification with verbatim quotes."""

    passage: Passage
    grade: int
    teacher_score: float | None = None
    justification: str = ""
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedQuery:
    """A query with its judged passages. `where` names file and line for messages."""

    query: Query
    passages: tuple[JudgedPassage, ...]
    where: str = ""

    @property
    def positives(self) -> tuple[JudgedPassage, ...]:
        return tuple(p for p in self.passages if p.grade > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation. role: "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TextExample:
    """A prompt and the answer to learn. Either `messages`, for a chat template to render, or a
    `prompt` that is rendered already."""

    answer: str
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    where: str = ""

    @property
    def prompt_text(self) -> str:
        """The prompt as text, for previews and for finding the same one twice."""
        return self.prompt or "\n".join(f"{m.role}: {m.content}" for m in self.messages)


@dataclass(frozen=True, kw_only=True, slots=True)
class DevQuery:
    """A query to measure on: its candidates in BM25 order and its judgements (doc_id -> grade)."""

    query: Query
    candidates: tuple[Passage, ...]
    grades: dict[str, int]


def list_passages(queries: Iterable[JudgedQuery]) -> list[Passage]:
    """Every judged passage once, in order of appearance."""
    return list(dict.fromkeys(p.passage for q in queries for p in q.passages))
