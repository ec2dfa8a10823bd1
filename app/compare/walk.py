"""What happens inside a comparison: other runs in front, another walk, a query, a remark on it.

Takes values of controls, returns screens; the comparison itself is the one the page holds. Knows
nothing of where runs come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from app.compare.comparison import Comparison, Walk, compare_runs
from app.compare.remarks import make_remark
from app.compare.screen import SKIP, CompareScreen, CompareScreens
from app.html import render_message
from app.messages import explain_error
from app.rank.events import find_key
from reranker.errors import DearError, InputError
from reranker.evaluation.contrast import ContrastFilter

KEPT = "The comparison on the page stays."


class WalkEvents:
    """The events of a comparison that is on the page; without one, nothing changes."""

    def __init__(self, screens: CompareScreens) -> None:
        self.screens, self.sessions = screens, screens.sessions

    def change(self, first: str, second: str, measures: str, request: gr.Request) -> CompareScreen:
        """Other runs in front, or other measures."""
        key = find_key(request)
        held = self.sessions.comparison(key)
        if held is None:
            return CompareScreen()
        try:
            if first == second:
                raise InputError(
                    f"expected two different runs, got {first!r} twice; choose another"
                )
            comparison = compare_runs(
                held.runs,
                collection=held.collection,
                notes=held.notes,
                measures=measures,
                first=first,
                second=second,
            )
        except DearError as error:
            return CompareScreen(choice_error=render_message(explain_error(error, kept=KEPT)))

        def put(now: Comparison) -> Comparison:
            kept = comparison.with_shown((first, second, *now.shown)).with_remarks(now.remarks)
            return replace(kept, chosen=now.chosen).with_walk(now.walk)

        return self.screens.show(self.sessions.change_comparison(key, put) or comparison, key)

    def walk(
        self,
        order: Any,
        effect: Any,
        text: str,
        tag: str | None,
        min_delta: str | None,
        max_delta: str | None,
        min_words: str | None,
        max_words: str | None,
        min_judged: str | None,
        request: gr.Request,
    ) -> CompareScreen:
        """Another order or other queries to walk through. Bounds: numbers as they were typed, ""
        for none, None from a drawer that was never opened; min_judged in percent."""
        try:
            delta_from, delta_to = _read_range("a difference", min_delta, max_delta)
            words_from, words_to = _read_range("words", min_words, max_words)
            judged, _ = _read_range("a judged share", min_judged, "100")
        except InputError as error:
            return CompareScreen(walk_error=render_message(explain_error(error)))
        wanted = ContrastFilter(
            text=text,
            tag=tag or "",
            min_delta=delta_from,
            max_delta=delta_to,
            min_words=words_from,
            max_words=words_to,
            min_judged=None if judged is None else judged / 100,
        )
        walk = Walk(order=order, effect=effect, wanted=wanted)
        key = find_key(request)
        comparison = self.sessions.change_comparison(key, lambda held: held.with_walk(walk))
        return self.screens.show_queries(comparison, key) if comparison else CompareScreen()

    def choose_shown(self, names: Sequence[str] | None, request: gr.Request) -> tuple[Any, Any]:
        """Other runs side by side for the query that is on the page."""
        key = find_key(request)
        comparison = self.sessions.change_comparison(key, lambda held: held.with_shown(names or ()))
        if comparison is None or not comparison.selected:
            return SKIP, SKIP
        return self.screens.show_query(comparison)

    def select(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """One query: its runs side by side, and its rank flow."""
        key, query_id = find_key(request), str(event.query_id)
        try:
            comparison = self.sessions.change_comparison(key, lambda c: c.with_chosen(query_id))
        except InputError as error:
            return render_message(explain_error(error)), SKIP
        return self.screens.show_query(comparison) if comparison else (SKIP, SKIP)

    def remark(self, event: gr.EventData, request: gr.Request) -> CompareScreen:
        """A remark on one query; the list shows it, the form stays as it is being written."""
        key, query_id = find_key(request), str(event.query_id)
        try:
            remark = make_remark(
                marked=bool(event.marked), tags=str(event.tags), comment=str(event.comment)
            )
            comparison = self.sessions.change_comparison(
                key, lambda held: held.with_remark(query_id, remark)
            )
        except InputError as error:
            return CompareScreen(walk_error=render_message(explain_error(error)))
        return self.screens.show_list(comparison, key) if comparison else CompareScreen()


def _read_range(what: str, low: str | None, high: str | None) -> tuple[float | None, float | None]:
    """Two bounds as numbers, None for an empty one. Raises InputError."""
    first, last = (_read_bound(what, (text or "").strip()) for text in (low, high))
    if first is not None and last is not None and first > last:
        raise InputError(
            f"expected {what} from a smaller to a larger number, got {first:g} to {last:g}; swap "
            "them"
        )
    return first, last


def _read_bound(what: str, text: str) -> float | None:
    try:
        value = float(text.replace("\u2212", "-")) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise InputError(
            f"expected a number as a bound of {what}, got {text!r}; write one such as 0.1, or "
            "leave it empty"
        )
    return value
