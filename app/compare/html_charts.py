"""Charts of a comparison as plain HTML and SVG, for reports that open without a program.

Takes contrasts and tables, returns markup; escapes by app/html.py. No script and no style
attribute: positions are percentages in SVG, colours are classes of assets/css/compare.css.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.facts import shorten
from app.html import escape
from reranker.evaluation.contrast import QueryContrast, sort_contrasts
from reranker.evaluation.result_table import ResultRow, ResultTable

DELTA_HEIGHT = 200
ROW_HEIGHT = 34
QUERY_CHARS = 90


def render_delta_bars(rows: Sequence[QueryContrast], first: str, second: str, measure: str) -> str:
    """One bar a query, the greatest gain of `second` over `first` on the left."""
    ordered = sort_contrasts(rows, "delta")
    if not ordered:
        return ""
    reach = max(max(abs(row.delta) for row in ordered), 1e-9)
    width = 100 / len(ordered)
    bars = "".join(
        _render_bar(row, width * place, width, reach) for place, row in enumerate(ordered)
    )
    middle = DELTA_HEIGHT / 2
    gained = sum(row.delta > 0 for row in ordered)
    lost = sum(row.delta < 0 for row in ordered)
    told = (
        f"{measure} of {second} less that of {first}, by query, from {-reach:+.2f} to "
        f"{reach:+.2f}: {gained} gained, {lost} lost, {len(ordered) - gained - lost} the same."
    )
    return (
        f'<figure class="cmp-bars"><figcaption>{escape(told)}</figcaption>'
        f'<svg width="100%" height="{DELTA_HEIGHT}" role="img" aria-label="{escape(told)}">{bars}'
        f'<line class="axis" x1="0" x2="100%" y1="{middle:g}" y2="{middle:g}"/></svg></figure>'
    )


def render_spread(values: Mapping[str, Mapping[str, float]], table: ResultTable) -> str:
    """Every query's value under every run as a dot, and the mean with its interval.

    values: run -> query_id -> measure.
    """
    numbers = [value for held in values.values() for value in held.values()]
    edges = [row.intervals[table.main] for row in table.rows]
    low = min([0.0, *numbers, *(edge.low for edge in edges)])
    high = max([*numbers, *(edge.high for edge in edges)], default=1.0)
    reach = (high - low) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{escape(row.system)}</th><td>'
        f"{_render_dots(row, list(values[row.system].values()), table.main, low, reach)}</td></tr>"
        for row in table.rows
    )
    told = (
        f"{table.main} of every query as a dot, from {low:.2f} to {high:.2f}; diamonds are means "
        "with their intervals."
    )
    return (
        f'<figure class="cmp-dots"><figcaption>{escape(told)}</figcaption><table><tbody>{rows}'
        "</tbody></table></figure>"
    )


def _render_bar(row: QueryContrast, left: float, width: float, reach: float) -> str:
    middle = DELTA_HEIGHT / 2
    height = max(abs(row.delta) / reach * (middle - 4), 1.5)
    kind = "gain" if row.delta > 0 else "loss" if row.delta < 0 else "even"
    top = middle - height if row.delta > 0 else middle
    text = shorten(row.text or row.query_id, QUERY_CHARS)
    return (
        f'<rect class="{kind}" x="{left + width * 0.1:.3f}%" width="{width * 0.8:.3f}%" '
        f'y="{top:.1f}" height="{height:.1f}">'
        f"<title>{escape(text)}: {row.delta:+.4f}</title></rect>"
    )


def _render_dots(
    row: ResultRow, values: Sequence[float], measure: str, low: float, reach: float
) -> str:
    def place(value: float) -> str:
        return f"{1 + 98 * (value - low) / reach:.2f}%"

    middle = ROW_HEIGHT / 2
    found = row.intervals[measure]
    dots = "".join(f'<circle cx="{place(value)}" cy="{middle:g}" r="3"/>' for value in values)
    told = f"{row.system}: mean {found.estimate:.4f}, {found.low:.4f} to {found.high:.4f}"
    return (
        f'<svg width="100%" height="{ROW_HEIGHT}" role="img" aria-label="{escape(told)}">{dots}'
        f'<line x1="{place(found.low)}" x2="{place(found.high)}" y1="{middle:g}" y2="{middle:g}"/>'
        f'<svg x="{place(found.estimate)}" overflow="visible">'
        f'<path d="M0 {middle - 7:g} 7 {middle:g} 0 {middle + 7:g} -7 {middle:g}z">'
        f"<title>{escape(told)}</title></path></svg></svg>"
    )
