"""What the Compare tab shows of a comparison: a comparison in, the parts of the screen out.

Knows which parts the screen has, not where they stand. Writes the files of the downloads into the
page's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gradio as gr

from app.compare.comparison import (
    DEFAULT_MEASURES,
    Comparison,
    Material,
    collect_runs,
    compare_runs,
)
from app.compare.exports import write_comparison, write_runs
from app.compare.figures import draw_deltas, draw_query_flow, draw_spread
from app.compare.html import render_failures, render_reports, render_result_table
from app.compare.html_query import render_contrasts, render_query_view
from app.plots import make_plot
from app.session import Sessions

SKIP = gr.skip()


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
    label: Any = SKIP
    walk_error: Any = SKIP
    queries: Any = SKIP
    shown: Any = SKIP
    detail: Any = SKIP
    flow: Any = SKIP
    report_file: Any = SKIP
    table_csv: Any = SKIP
    table_markdown: Any = SKIP
    table_latex: Any = SKIP
    queries_csv: Any = SKIP
    runs_zip: Any = SKIP


class CompareScreens:
    """Makes screens; the comparison a page holds is kept in its session."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def begin(self, material: Material, measures: str, key: str) -> Iterator[CompareScreen]:
        """First the report on what was read, then everything computed from it, which the page
        `key` holds from then on. Remarks stay where the collection is the same. Raises InputError.
        """
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
        held = self.sessions.comparison(key)
        if held is not None and held.collection == material.collection:
            comparison = comparison.with_remarks(held.remarks)
        self.sessions.keep_comparison(key, comparison)
        runs_zip = write_runs(runs, self.sessions.folder(key))
        yield self.show(comparison, key)._replace(
            body=gr.Column(visible=True),
            runs_zip=gr.DownloadButton(value=runs_zip, interactive=True),
        )

    def show(self, comparison: Comparison, key: str) -> CompareScreen:
        """Everything but the report on the runs."""
        names = list(comparison.runs.names)
        values = {
            name: {row.query_id: row.values[name] for row in comparison.rows} for name in names
        }
        return self.show_queries(comparison, key)._replace(
            first=gr.Dropdown(choices=names, value=comparison.first),
            second=gr.Dropdown(choices=names, value=comparison.second),
            choice_error="",
            table=render_result_table(comparison.table),
            spread=make_plot(draw_spread(values, comparison.table, comparison.runs.queries)),
            failures=render_failures(comparison.failures),
        )

    def show_queries(self, comparison: Comparison, key: str) -> CompareScreen:
        """The queries of the walk, and one of them side by side."""
        front = (comparison.first, comparison.second, comparison.measure)
        screen = self.show_list(comparison, key)._replace(
            deltas=make_plot(draw_deltas(comparison.list_rows(), *front)),
            shown=gr.Dropdown(
                choices=list(comparison.list_front_first()),
                value=list(comparison.shown),
                multiselect=True,
            ),
        )
        if not comparison.selected:
            return screen._replace(detail="")
        detail, flow = self.show_query(comparison)
        return screen._replace(detail=detail, flow=flow)

    def show_list(self, comparison: Comparison, key: str) -> CompareScreen:
        """The list of queries, what they can be filtered by, and the files that hold them."""
        rows = comparison.list_rows()
        front = (comparison.first, comparison.second)
        listed = render_contrasts(rows, *front, comparison.selected, len(comparison.rows))
        files = write_comparison(comparison, self.sessions.folder(key))
        tag = comparison.walk.wanted.tag
        labels = dict.fromkeys((*comparison.labels, *filter(None, [tag])))
        return CompareScreen(
            queries=listed,
            walk_error="",
            label=gr.Dropdown(choices=[("any", ""), *((w, w) for w in labels)], value=tag),
            **{
                name: gr.DownloadButton(value=path, interactive=True)
                for name, path in files.items()
            },
        )

    def show_query(self, comparison: Comparison) -> tuple[Any, Any]:
        """The selected query: its runs side by side, and its rank flow."""
        query_id = comparison.selected
        return (
            render_query_view(comparison, query_id),
            make_plot(draw_query_flow(comparison.view(query_id))),
        )
