"""The rankings one open page has shown: the latest of them, as they were.

Takes traces, returns entries with a number and a name. A history is a value: adding gives a new
one. Knows neither sessions nor components; nothing is written anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.facts import shorten
from reranker.trace import dump_trace
from reranker.types import RankingTrace

MAX_ENTRIES = 20
MAX_BYTES = 8 * 2**20
"""Of all entries together as JSON, for one page: a hundred rankings of ordinary passages."""
NAME_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One ranking. number: counted from 1 and never given twice. saved: it came from a file."""

    number: int
    trace: RankingTrace
    size: int
    saved: bool = False

    @property
    def query(self) -> str:
        return shorten(" ".join(self.trace.query.text.split()), NAME_CHARS)

    @property
    def origin(self) -> str:
        """From where it is and how it was ranked, in a few words."""
        return ("saved trace · " if self.saved else "") + describe_run(self.trace)

    @property
    def name(self) -> str:
        """What tells it from the others of its page, in one line."""
        return f"{self.number}. {self.query} · {self.origin}"


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """At most MAX_ENTRIES entries and MAX_BYTES bytes, oldest first; the oldest go first."""

    entries: tuple[Entry, ...] = ()
    last_number: int = 0

    def add(self, trace: RankingTrace, *, saved: bool = False) -> History:
        """With this ranking as the latest. Unchanged where it is in here already, or is larger
        than a whole history may be."""
        size = len(dump_trace(trace).encode("utf-8"))
        if size > MAX_BYTES or any(entry.trace == trace for entry in self.entries):
            return self
        entry = Entry(number=self.last_number + 1, trace=trace, size=size, saved=saved)
        kept = [*self.entries, entry][-MAX_ENTRIES:]
        while sum(entry.size for entry in kept) > MAX_BYTES:
            kept.pop(0)
        return History(entries=tuple(kept), last_number=entry.number)

    def find(self, number: int | None) -> Entry | None:
        return next((entry for entry in self.entries if entry.number == number), None)

    def clear(self) -> History:
        """Empty; numbers go on, so that no number ever means two rankings."""
        return History(last_number=self.last_number)


def describe_run(trace: RankingTrace) -> str:
    """Corpus, student, stages and depth of a ranking in a few words."""
    stages = {"none": "BM25 only", "1": "stage 1", "2": "stage 2", "both": "both stages"}
    ended = "" if trace.complete else " · not finished"
    agreed = " · agreed order" if trace.final_source == "agreed" else ""
    return (
        f"{shorten(trace.corpus_id, 30)} · {trace.student.name} {trace.student.quantization} · "
        f"{stages[trace.settings.stages]} · depth {trace.settings.depth}{agreed}{ended}"
    )
