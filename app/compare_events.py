"""What happens on the Compare tab: values of controls in, what to show instead out.

Takes the library and the sessions; every method serves one event of the page. Knows which parts
the screen has, not where they stand. A comparison belongs to one open page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.compare_example import ExampleProgress, stream_example
from app.compare_exports import write_comparison, write_runs
from app.compare_figures import draw_deltas, draw_query_flow, draw_spread
from app.compare_sources import gather_traces, read_files
from app.comparison import (
    DEFAULT_MEASURES,
    Comparison,
    Material,
    Walk,
    collect_runs,
    compare_runs,
)
from app.html import render_message
from app.html_compare import render_failures, render_reports, render_result_table
from app.html_compare_query import render_contrasts, render_query_view
from app.messages import Message, explain_error
from app.plots import make_plot
from app.rank_events import SKIP, RankEvents, find_key
from reranker.errors import CancelledError, DearError, InputError

KEPT = "The comparison on the page stays."
STOPPING = "Stopping after this query…"


class CompareScreen(NamedTuple):
    """The parts a comparison may change: once the components themselves, then what they get."""

    intro: Any = SKIP
    results: Any = SKIP
    report: Any = SKIP
    body: Any = SKIP
    first: Any = SKIP
    second: Any = SKIP
    choice_error: Any = SKIP
    table: Any = SKIP
    deltas: Any = SKIP
    spread: Any = SKIP
    failures: Any = SKIP
    queries: Any = SKIP
    detail: Any = SKIP
    flow: Any = SKIP
    table_csv: Any = SKIP
    table_markdown: Any = SKIP
    table_latex: Any = SKIP
    queries_csv: Any = SKIP
    runs_zip: Any = SKIP


class CompareEvents:
    """The tab's events; library and sessions are those of the Rank tab."""

    def __init__(self, events: RankEvents) -> None:
        self.library, self.sessions = events.library, events.sessions

    def compare_files(
        self,
        runs: Sequence[str] | None,
        qrels: str | None,
        texts: str | None,
        measures: str,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """The files' error, then screens: what was read, and then the comparison."""
        try:
            yield _tell("Reading…"), *CompareScreen()
            material = read_files(
                [Path(path) for path in runs or ()],
                Path(qrels) if qrels else None,
                Path(texts) if texts else None,
            )
            for screen in self._show_material(material, measures, find_key(request)):
                yield "", *screen
        except DearError as error:
            yield self._fail(error, request), *CompareScreen()

    def compare_history(
        self, numbers: Sequence[int] | None, measures: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """The same with rankings of this page: the chooser's error, then screens."""
        key = find_key(request)
        history = self.sessions.history(key)
        chosen = [entry for number in numbers or () if (entry := history.find(number))]
        try:
            material = gather_traces([entry.trace for entry in chosen])
            for screen in self._show_material(material, measures, key):
                yield "", *screen
        except DearError as error:
            yield self._fail(error, request), *CompareScreen()

    def compare_example(self, measures: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """The example's status and stop button, then screens."""
        key = find_key(request)
        stopped = self.sessions.begin_example(key)
        try:
            for step in stream_example(self.library, stopped.is_set):
                if isinstance(step, ExampleProgress):
                    text = f"Stage 1: {step.done} of {step.total} queries ranked…"
                    yield _tell(text), gr.Button(interactive=True), *CompareScreen()
                    continue
                for screen in self._show_material(step, measures, key):
                    yield _tell(""), gr.Button(interactive=False), *screen
        except CancelledError:
            told = render_message(Message(text=f"Stopped. {self._kept(key)}", tone="stopped"))
            yield told, gr.Button(interactive=False), *CompareScreen()
        except DearError as error:
            yield self._fail(error, request), gr.Button(interactive=False), *CompareScreen()

    def stop_example(self, request: gr.Request) -> str:
        """Asks the example to end; it says so itself when it has."""
        self.sessions.stop_example(find_key(request))
        return _tell(STOPPING)

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
            ).with_walk(held.walk)
        except DearError as error:
            return CompareScreen(choice_error=render_message(explain_error(error, kept=KEPT)))
        self.sessions.keep_comparison(key, comparison)
        return self._show(comparison, key)

    def walk(self, order: Any, text: str, effect: Any, request: gr.Request) -> CompareScreen:
        """Another order or other queries to walk through."""
        key = find_key(request)
        held = self.sessions.comparison(key)
        if held is None:
            return CompareScreen()
        comparison = held.with_walk(Walk(order=order, text=text, effect=effect))
        self.sessions.keep_comparison(key, comparison)
        return self._show_queries(comparison, key)

    def select(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """One query: its runs side by side, and its rank flow."""
        held = self.sessions.comparison(find_key(request))
        if held is None:
            return SKIP, SKIP
        try:
            return self._show_query(held, str(event.query_id))
        except InputError as error:
            return render_message(explain_error(error)), SKIP

    def list_history(self, request: gr.Request) -> Any:
        """This page's rankings as choices, the latest first, all of them chosen."""
        entries = tuple(reversed(self.sessions.history(find_key(request)).entries))
        choices = [(entry.name, entry.number) for entry in entries]
        return gr.Dropdown(choices=choices, value=[number for _, number in choices])

    def _show_material(
        self, material: Material, measures: str, key: str
    ) -> Iterator[CompareScreen]:
        """First the report on what was read, then everything computed from it."""
        runs = collect_runs(material)
        yield CompareScreen(
            intro="",
            results=gr.Column(visible=True),
            report=render_reports(runs.reports, material.notes),
            body=gr.Column(visible=False),
        )
        comparison = compare_runs(
            runs,
            collection=material.collection,
            notes=material.notes,
            measures=measures or DEFAULT_MEASURES,
        )
        self.sessions.keep_comparison(key, comparison)
        runs_zip = write_runs(runs, self.sessions.folder(key))
        yield self._show(comparison, key)._replace(
            body=gr.Column(visible=True),
            runs_zip=gr.DownloadButton(value=runs_zip, interactive=True),
        )

    def _show(self, comparison: Comparison, key: str) -> CompareScreen:
        names = list(comparison.runs.names)
        values = {
            name: {row.query_id: row.values[name] for row in comparison.rows} for name in names
        }
        front = (comparison.first, comparison.second, comparison.measure)
        files = write_comparison(comparison, self.sessions.folder(key))
        return self._show_queries(comparison, key)._replace(
            first=gr.Dropdown(choices=names, value=comparison.first),
            second=gr.Dropdown(choices=names, value=comparison.second),
            choice_error="",
            table=render_result_table(comparison.table),
            deltas=make_plot(draw_deltas(comparison.rows, *front)),
            spread=make_plot(draw_spread(values, comparison.table, comparison.runs.queries)),
            failures=render_failures(comparison.failures),
            **{
                name: gr.DownloadButton(value=path, interactive=True)
                for name, path in files.items()
            },
        )

    def _show_queries(self, comparison: Comparison, key: str) -> CompareScreen:
        """The list, and its first query side by side."""
        rows = comparison.list_rows()
        selected = rows[0].query_id if rows else ""
        listed = render_contrasts(
            rows, comparison.first, comparison.second, selected, len(comparison.rows)
        )
        files = write_comparison(comparison, self.sessions.folder(key))
        screen = CompareScreen(
            queries=listed, queries_csv=gr.DownloadButton(value=files["queries_csv"])
        )
        if not rows:
            return screen._replace(detail="")
        detail, flow = self._show_query(comparison, selected)
        return screen._replace(detail=detail, flow=flow)

    def _show_query(self, comparison: Comparison, query_id: str) -> tuple[Any, Any]:
        view = comparison.view(query_id)
        values = next(row.values for row in comparison.rows if row.query_id == query_id)
        return (
            render_query_view(view, values, comparison.measure),
            make_plot(draw_query_flow(view)),
        )

    def _fail(self, error: DearError, request: gr.Request) -> str:
        return render_message(explain_error(error, kept=self._kept(find_key(request))))

    def _kept(self, key: str) -> str:
        return KEPT if self.sessions.comparison(key) is not None else ""


def _tell(text: str) -> str:
    return render_message(Message(text=text, tone="busy")) if text else ""
