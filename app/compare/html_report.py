"""A comparison as one HTML file that opens anywhere: no program, no network, no script.

Takes a comparison and when it was made, returns a whole document; the same gives the same. The
overview is the page's; queries are tables of passages by runs instead of columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.compare.comparison import Comparison
from app.compare.html import render_failures, render_reports, render_result_table
from app.compare.html_charts import render_delta_bars, render_spread
from app.compare.html_query import name_passages, render_effect, render_grade, render_unranked
from app.compare.remarks import Remark
from app.facts import VERDICT_WORDS
from app.html import escape, highlight
from app.rank.html_report import join_sheets, open_document
from reranker.evaluation.contrast import QueryContrast
from reranker.evaluation.drilldown import PassageRow, QueryView

DETAILED = 40
"""Queries of the walk that are shown passage by passage; those with a remark always are."""
DETAILED_DEPTH = 10
"""Ranks of each run there."""
TEXT_CHARS = 1_000


def render_comparison_report(comparison: Comparison, made: str) -> str:
    """The whole document. made: when, in words. Queries come in the order of the walk."""
    style = join_sheets("report", "studio", "compare")
    rows = comparison.list_rows()
    title = f"{comparison.second} against {comparison.first}, {comparison.collection}"
    detailed = _choose_detailed(comparison, rows)
    front = (comparison.first, comparison.second)
    values = {
        name: {row.query_id: row.values[name] for row in comparison.rows}
        for name in comparison.runs.names
    }
    queries = "".join(
        _render_query(comparison, row, number) for number, row in enumerate(detailed, start=1)
    )
    return (
        f"{open_document(title, style)}{_render_top(comparison, made)}<main>"
        f"<section>{render_reports(comparison.runs.reports, comparison.notes)}</section>"
        f"<section><h2>Measures</h2>{render_result_table(comparison.table)}"
        f"{render_failures(comparison.failures, offline=True)}</section><section><h2>Charts</h2>"
        f"{render_delta_bars(rows, *front, comparison.measure)}"
        f"{render_spread(values, comparison.table)}</section>"
        f"<section><h2>Queries</h2>{_render_list(comparison, rows, detailed)}</section>"
        f"<section><h2>Passage by passage</h2>{queries}</section></main></body></html>\n"
    )


def _render_top(comparison: Comparison, made: str) -> str:
    facts = (
        ("Collection", comparison.collection),
        ("Runs", str(len(comparison.runs.names))),
        ("Judged queries", f"{len(comparison.rows):,}"),
        ("Measures", ", ".join(comparison.table.measures)),
        ("Baseline", comparison.first),
        ("Set beside it", comparison.second),
        ("Made", made),
    )
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts if value
    )
    return (
        '<header><p class="kind">DeAR Studio · report of a comparison</p>'
        f"<h1>{escape(comparison.second)} against {escape(comparison.first)}</h1>"
        f'<dl class="settings">{shown}</dl></header>'
    )


def _choose_detailed(
    comparison: Comparison, rows: Sequence[QueryContrast]
) -> tuple[QueryContrast, ...]:
    """The walk's first queries and all with a remark, in the walk's order; then other remarks."""
    walked = [r for n, r in enumerate(rows) if n < DETAILED or r.query_id in comparison.remarks]
    seen = {row.query_id for row in walked}
    others = [
        row
        for row in comparison.rows
        if row.query_id in comparison.remarks and row.query_id not in seen
    ]
    return (*walked, *others)


def _render_list(
    comparison: Comparison, rows: Sequence[QueryContrast], detailed: Sequence[QueryContrast]
) -> str:
    """Every query of the walk with its values, linked to its passages where they are shown."""
    links = {row.query_id: number for number, row in enumerate(detailed, start=1)}
    names = comparison.runs.names
    heads = "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in names)
    body = []
    for row in rows:
        text = f'<span dir="auto">{escape(row.text or row.query_id)}</span>'
        number = links.get(row.query_id)
        shown = f'<a href="#q-{number}">{text}</a>' if number else text
        cells = "".join(f'<td class="number">{row.values[name]:.4f}</td>' for name in names)
        body.append(
            f'<tr><th scope="row">{shown} <small>{escape(row.query_id)}</small></th>{cells}'
            f'<td class="number">{row.delta:+.4f}</td><td class="number">{row.rbo:.2f}</td>'
            f'<td class="number">{row.judged:.0%}</td><td>{escape(", ".join(row.tags))}</td></tr>'
        )
    orders = {"contrast": "most disagreement first", "delta": "greatest gain first",
              "query": "by query_id"}  # fmt: skip
    told = (
        f"{len(rows):,} of {len(comparison.rows):,} judged queries, "
        f"{orders[comparison.walk.order]}; {comparison.measure} under each run."
    )
    return (
        f'<p class="note">{escape(told)}</p><div class="cmp-scroll" role="region" tabindex="0" '
        f'aria-label="Queries"><table><thead><tr><th scope="col">query</th>{heads}'
        '<th scope="col" class="number">Δ</th><th scope="col" class="number">agreement</th>'
        '<th scope="col" class="number">judged</th><th scope="col">marks and tags</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _render_query(comparison: Comparison, row: QueryContrast, number: int) -> str:
    view = comparison.view(row.query_id, depth=DETAILED_DEPTH)
    remark = comparison.remarks.get(row.query_id)
    return (
        f'<article class="cmp-one" id="q-{number}"><h3 dir="auto">{number}. '
        f'{escape(row.text or row.query_id)} <span class="doc-id">{escape(row.query_id)}</span>'
        f"</h3>{render_effect(comparison, row.query_id)}"
        f"{_render_remark(remark) if remark else ''}{_render_passages(view)}"
        f"{render_unranked(view)}</article>"
    )


def _render_remark(remark: Remark) -> str:
    labels = f"<b>{escape(', '.join(remark.labels))}</b> " if remark.labels else ""
    return f'<p class="cmp-said" dir="auto">{labels}{escape(remark.comment)}</p>'


def _render_passages(view: QueryView) -> str:
    """Passages down, the shown runs across, the rank in each; the text opens under the name."""
    heads = "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in view.runs)
    names = name_passages(view)
    body = "".join(
        f'<tr><th scope="row">{_render_passage(row, names[row.doc_id])}</th>'
        f"<td>{render_grade(row.grade)}</td>"
        + "".join(f'<td class="number">{row.ranks.get(name, "–")}</td>' for name in view.runs)
        + "</tr>"
        for row in view.rows
        if row.ranks
    )
    return (
        '<div class="cmp-scroll" role="region" tabindex="0" aria-label="Ranks of the passages">'
        '<table><thead><tr><th scope="col">passage</th><th scope="col">grade</th>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _render_passage(row: PassageRow, name: str) -> str:
    shown = f'<span dir="auto">{escape(name)}</span>'
    if row.passage is None:
        return shown
    notes = "".join(
        f'<p class="{"model" if note.source == "model" else "fallback"}" dir="auto">'
        f"{escape(run)}: {escape(f'{VERDICT_WORDS[note.verdict]} · ' if note.verdict else '')}"
        f"{escape(note.text)}</p>"
        for run, note in row.justifications.items()
    )
    evidence = [span for note in row.justifications.values() for span in note.evidence]
    text = row.passage.text
    return (
        f"<details><summary>{shown}</summary>{notes}"
        f'<p class="passage" dir="auto">{highlight(text, evidence, TEXT_CHARS)}'
        f"{'…' if len(text) > TEXT_CHARS else ''}</p></details>"
    )
