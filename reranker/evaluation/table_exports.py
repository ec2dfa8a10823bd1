"""A result table as CSV, LaTeX or Markdown text.

Takes a `ResultTable`, returns text to save. Published figures stand apart and say that they are.
Knows no page and writes no file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Literal

from reranker.evaluation.csv_cells import tame_cell
from reranker.evaluation.published import PublishedFigure
from reranker.evaluation.result_table import ResultRow, ResultTable

TableFormat = Literal["csv", "latex", "markdown"]
CSV_COLUMNS = (
    "collection system measure origin mean low high queries baseline difference p_t "
    "p_randomization holm_t holm_randomization wins ties losses effect_size failures "
    "seconds_per_query"
).split()
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def export_table(table: ResultTable, form: TableFormat) -> str:
    """The table as text that ends with a line break."""
    writers: dict[TableFormat, Callable[[ResultTable], str]] = {
        "csv": write_csv,
        "latex": write_latex,
        "markdown": write_markdown,
    }
    return writers[form](table)


def write_markdown(table: ResultTable) -> str:
    """Means with intervals; * marks differences that stay significant after Holm's correction."""
    heads = ["system", *table.measures, f"{table.main} against {table.baseline}", "s a query"]
    lines = [_join_markdown(heads), "|" + "---|" * len(heads)]
    lines += [
        _join_markdown([row.system, *_list_means(row, table), _say_difference(row), _say_time(row)])
        for row in table.rows
    ]
    lines += [
        _join_markdown([f"{f.system} (published: {f.source})", *cells, "", ""])
        for f, cells in _list_published(table)
    ]
    return "\n".join([*lines, "", *map(_escape_markdown, _list_notes(table))]) + "\n"


def write_latex(table: ResultTable) -> str:
    """A tabular with booktabs' rules; values without intervals, which stand in the CSV."""
    columns = "l" + "r" * (len(table.measures) + 1)
    heads = ["System", *table.measures, r"$\Delta$ " + _escape_latex(table.main)]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join([*map(_escape_latex, heads[:-1]), heads[-1]]) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = [_escape_latex(row.system)]
        cells += [f"{row.intervals[measure].estimate:.4f}" for measure in table.measures]
        if row.difference is None:
            cells.append("--")
        else:
            star = r"$^{*}$" if row.is_significant else ""
            cells.append(f"${row.difference.difference:+.4f}${star}")
        lines.append(" & ".join(cells) + r" \\")
    if table.published:
        lines.append(r"\midrule")
    for figure, cells in _list_published(table):
        name = _escape_latex(f"{figure.system} (published: {figure.source})")
        lines.append(" & ".join([name, *(c or "--" for c in cells), "--"]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, *(f"% {_join_lines(note)}" for note in _list_notes(table))]) + "\n"


def write_csv(table: ResultTable) -> str:
    """One line a system and measure, with everything; numbers unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table.rows:
        for measure in table.measures:
            interval = row.intervals[measure]
            cells: list[object] = [
                tame_cell(table.collection),
                tame_cell(row.system),
                measure,
                "measured",
            ]
            cells += [interval.estimate, interval.low, interval.high, interval.queries]
            cells += _list_tests(row, table.baseline) if measure == table.main else [""] * 10
            writer.writerow([*cells, row.failures, _or_empty(row.seconds_per_query)])
    for figure in table.published:
        cells = [tame_cell(table.collection), tame_cell(figure.system), figure.measure]
        cells += [f"published: {figure.source}", figure.value]
        writer.writerow(cells + [""] * (len(CSV_COLUMNS) - len(cells)))
    return out.getvalue()


def _list_tests(row: ResultRow, baseline: str) -> list[object]:
    found = row.difference
    if found is None:
        return [""] * 10
    return [
        tame_cell(baseline),
        found.difference,
        _or_empty(found.t_test.p_value),
        found.randomization.p_value,
        _or_empty(found.holm_t),
        found.holm_randomization,
        found.wins,
        found.ties,
        found.losses,
        _or_empty(found.effect_size),
    ]


def _list_means(row: ResultRow, table: ResultTable) -> list[str]:
    return [
        f"{i.estimate:.4f} [{i.low:.3f}, {i.high:.3f}]"
        for i in (row.intervals[measure] for measure in table.measures)
    ]


def _say_difference(row: ResultRow) -> str:
    found = row.difference
    if found is None:
        return "baseline"
    star = "*" if row.is_significant else ""
    return (
        f"{found.difference:+.4f}{star} [{found.interval.low:+.3f}, {found.interval.high:+.3f}], "
        f"p {found.holm_randomization:.3f}, {found.wins}/{found.ties}/{found.losses}"
    )


def _say_time(row: ResultRow) -> str:
    return "" if row.seconds_per_query is None else f"{row.seconds_per_query:.2f}"


def _list_published(table: ResultTable) -> list[tuple[PublishedFigure, list[str]]]:
    """One line a published system, its figures under their measures."""
    systems: dict[str, list[PublishedFigure]] = {}
    for figure in table.published:
        systems.setdefault(figure.system, []).append(figure)
    lines = []
    for figures in systems.values():
        known = {figure.measure: f"{figure.value:.4f}" for figure in figures}
        lines.append((figures[0], [known.get(measure, "") for measure in table.measures]))
    return lines


def _list_notes(table: ResultTable) -> list[str]:
    first = next(iter(table.rows[0].intervals.values()))
    notes = [
        f"{table.collection}, {table.queries} queries. Brackets: "
        f"{first.confidence:.0%} bootstrap intervals over queries ({first.resamples} resamples).",
        "p: paired randomisation test, Holm-corrected over "
        f"{max(1, len(table.rows) - 1)} comparisons; * below 0.05; wins/ties/losses by query.",
    ]
    if table.published:
        notes.append("Rows marked published are figures from the literature, not measured here.")
    failed = sum(row.failures for row in table.rows)
    if failed:
        notes.append(f"{failed} rankings failed and count as 0.")
    return [*notes, *([table.warning] if table.warning else [])]


def _join_markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escape_markdown, cells)) + " |"


def _escape_markdown(text: str) -> str:
    """`text` within its cell or line, and none of it taken for HTML."""
    return re.sub(r"([|\\<])", r"\\\1", _join_lines(text))


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _join_lines(text))


def _join_lines(text: str) -> str:
    """`text` on one line: names come from files, and a line break would end a row or a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _or_empty(value: float | None) -> object:
    return "" if value is None else value
