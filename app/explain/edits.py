"""The what-if form: what the query and passage boxes hold, and changes made to them by a button.

Takes the tab's events and values of controls, returns what the boxes get. Ranks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from app.explain.events import ExplainEvents
from app.facts import shorten
from app.html import render_message
from app.messages import explain_error
from app.rank.events import SKIP
from reranker.errors import InputError
from reranker.explain.attribution import find_passage
from reranker.explain.edits import SPAN_EDITS, replace_word, swap_names
from reranker.sentences import split_sentences
from reranker.types import Evidence

CHANGES: tuple[tuple[str, str], ...] = (
    ("Delete the sentence", "delete"),
    ("Negate it", "negate"),
    ("Swap its numbers", "numbers"),
    ("Swap a name", "names"),
    ("Replace a word", "word"),
)


LABEL_CHARS = 90


class EditForm:
    """The form's events over the rankings that the tab's events know."""

    def __init__(self, events: ExplainEvents) -> None:
        self._events = events

    def fill(self, number: int | None, doc_id: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Query, passage, sentences and an empty error, as they stand in the ranking; the cited
        sentence first."""
        trace = self._events.find_trace(number, request)
        if trace is None or not doc_id:
            return SKIP, SKIP, SKIP, ""
        try:
            passage = find_passage(trace, doc_id)
        except InputError:  # the passage list is just being replaced
            return SKIP, SKIP, SKIP, ""
        note = trace.justifications.get(doc_id)
        cited = note.evidence if note else ()
        sentences = [passage.text[start:end] for start, end in split_sentences(passage.text)]
        choices = [
            (shorten(f"{'cited: ' if _is_cited(s, cited) else ''}{s}", LABEL_CHARS), s)
            for s in dict.fromkeys(sentences)
        ]
        choices.sort(key=lambda choice: not choice[0].startswith("cited: "))
        chosen = choices[0][1] if choices else None
        return trace.query.text, passage.text, gr.Dropdown(choices=choices, value=chosen), ""

    def make_change(self, kind: str) -> Callable[..., tuple[Any, str]]:
        """The event of one button: the changed text, and an error beside the buttons."""

        def change(
            number: int | None,
            text: str,
            sentence: str | None,
            word: str,
            by: str,
            request: gr.Request,
        ) -> tuple[Any, str]:
            trace = self._events.find_trace(number, request)
            others = [hit.passage.text for hit in trace.hits] if trace else []
            try:
                if kind == "word":
                    return replace_word(text, word, by), ""
                return _change_sentence(kind, text, sentence or "", others), ""
            except InputError as error:
                return SKIP, render_message(explain_error(error))

        return change


def _is_cited(sentence: str, cited: Sequence[Evidence]) -> bool:
    return any(sentence in span.text or span.text in sentence for span in cited)


def _change_sentence(kind: str, text: str, sentence: str, others: list[str]) -> str:
    start = text.find(sentence)
    if start < 0 or not sentence:
        raise InputError(
            "expected the sentence in the text above, got none; it was changed already, or choose "
            "another one"
        )
    end = start + len(sentence)
    if kind == "names":
        return swap_names(text, start, end, others)
    return SPAN_EDITS[kind](text, start, end)
