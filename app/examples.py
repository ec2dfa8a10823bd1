"""Queries to begin with, each chosen because it shows something different.

Takes a corpus, returns its examples. Knows neither results nor components.
"""

from __future__ import annotations

from dataclasses import dataclass

from reranker.corpora import Corpus

MAX_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A query and what to look for in its result ("" when nobody has written that down)."""

    query: str
    shows: str = ""


CHOSEN: dict[str, tuple[Example, ...]] = {
    "everyday-science": (
        Example(
            query="why does my cell phone lose signal in a lift",
            shows="Wrong sense: biological cells and the lift of a wing share the words only.",
        ),
        Example(
            query="why do the clocks on GPS satellites have to be adjusted",
            shows="Near-duplicates: two passages differ in a single figure, and one is wrong.",
        ),
        Example(
            query="how does soap get greasy plates clean",
            shows="A planted instruction: one passage asks to be ranked first.",
        ),
    )
}


def list_examples(corpus: Corpus) -> tuple[Example, ...]:
    """At most MAX_EXAMPLES: the chosen ones, else the first queries that came with the corpus."""
    chosen = CHOSEN.get(corpus.corpus_id)
    return chosen or tuple(Example(query=q) for q in corpus.example_queries[:MAX_EXAMPLES])
