"""What happens inside a comparison: other runs in front, another walk, a query, a remark on it.

Takes values of controls, returns screens; the comparison itself is the one the page holds. Knows
nothing of where runs come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from app.compare_screen import SKIP, CompareScreen, CompareScreens
from app.comparison import Comparison, Walk, compare_runs
from app.html import render_message
from app.messages import explain_error
from app.rank_events import find_key
from app.remarks import make_remark
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
        min_delta: float | None,
        max_delta: float | None,
        min_words: float | None,
        max_words: float | None,
        min_judged: float | None,
        request: gr.Request,
    ) -> CompareScreen:
        """Another order or other queries to walk through. min_judged: in percent."""
        try:
            wanted = ContrastFilter(
                text=text,
                tag=tag or "",
                min_delta=min_delta,
                max_delta=max_delta,
                min_words=None if min_words is None else int(min_words),
                max_words=None if max_words is None else int(max_words),
                min_judged=None if min_judged is None else min_judged / 100,
            )
            _check_bounds("a difference", min_delta, max_delta)
            _check_bounds("words", min_words, max_words)
        except InputError as error:
            return CompareScreen(walk_error=render_message(explain_error(error)))
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


def _check_bounds(what: str, low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise InputError(
            f"expected {what} from a smaller to a larger number, got {low:g} to {high:g}; swap them"
        )
