"""HTML around the charts: how to read one, its downloads, its table, and the selection line.

Takes figures' words and tables, returns HTML strings; everything from outside is escaped here.
Knows no component. app/rank/charts.js gives the buttons their life.
"""

from __future__ import annotations

from urllib.parse import quote

from app.html import escape
from app.rank.chart_tables import Table, Value

COLUMN_WORDS = {
    "rank": "rank",
    "doc_id": "id",
    "name": "passage",
    "rank_bm25": "BM25 rank",
    "rank_stage1": "stage-1 rank",
    "moved": "moved",
    "bm25_score": "BM25",
    "score": "stage 1",
    "verdict": "verdict",
}
PICTURES = ("png", "svg")


def render_selection() -> str:
    """The line above the charts that says which passage is selected, and moves on from it."""
    moves = (("-1", "↑", "Select the passage above"), ("1", "↓", "Select the passage below"))
    buttons = "".join(
        f'<button type="button" data-move="{places}" aria-label="{words}" title="{words}">'
        f"{sign}</button>"
        for places, sign, words in moves
    )
    return (
        '<div class="selection" role="group" aria-label="Selected passage">'
        f'{buttons}<p aria-live="polite"><button type="button" class="selected-name" '
        'title="Show its card" hidden></button> <span class="selected-places"></span>'
        '<span class="selected-none">No passage selected: '
        "choose one in a chart or on a card.</span></p>"
        '<button type="button" class="clear" data-move="0" aria-label="Clear the selection" '
        'title="Clear the selection (Esc)" hidden>✕</button></div>'
    )


def render_chart_tools(
    *, key: str, title: str, heading: str, caption: str, table: Table, csv: str, file_name: str
) -> str:
    """What stands below a chart: how to read it, its downloads, and the same as a table.

    key: the chart's own. heading: what a picture of it is called, with the query.
    csv: the table's text, put whole into its link, so that it downloads from an offline machine.
    """
    low = title.lower()
    pictures = "".join(
        f'<button type="button" data-picture="{kind}" aria-label="Download {escape(low)} as '
        f'{kind.upper()}">{kind.upper()}</button>'
        for kind in PICTURES
    )
    link = (
        f'<a href="data:text/csv;charset=utf-8,{quote(csv)}" download="{escape(file_name)}.csv" '
        f'aria-label="Download the data of {escape(low)} as CSV">CSV</a>'
    )
    return (
        f'<div class="chart-tools" data-chart="{key}" data-heading="{escape(heading)}" '
        f'data-file="{escape(file_name)}"><p class="note caption">{escape(caption)}</p>'
        f'<div class="chart-files" role="group" aria-label="Download {escape(low)}">'
        f'<span aria-hidden="true">Download</span>{pictures}{link}</div>'
        f'<details data-key="table {key}"><summary>As a table</summary>'
        f"{_render_table(title, table)}</details></div>"
    )


def _render_table(title: str, table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(_name_column(name))}</th>' for name in table.columns)
    rows = "".join(
        f'<tr data-doc="{escape(str(row[1]))}">{"".join(map(_render_cell, row))}</tr>'
        for row in table.rows
    )
    name = escape(f"{title} as a table")
    return (
        f'<div class="chart-table" role="region" aria-label="{name}" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _name_column(name: str) -> str:
    return COLUMN_WORDS.get(name, name.removeprefix("term:"))


def _render_cell(value: Value) -> str:
    """Numbers to two decimals with the whole one as a tooltip; None is a dash."""
    if isinstance(value, float):
        return f'<td class="number" title="{value!r}">{value:.2f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    return f'<td dir="auto">{escape(value)}</td>' if value else "<td>–</td>"
