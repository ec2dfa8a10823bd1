"""HTML of a comparison: what is odd about each run, the measure table, where the runs fail.

Takes reports, tables and effects, returns HTML strings; escapes by app/html.py. One query of it is
app/compare/html_query.py's. Knows no component and no session.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.compare.comparison import Failures
from app.html import escape
from app.messages import count
from reranker.evaluation.failure_views import QueryEffect, QueryGroup
from reranker.evaluation.published import PublishedFigure
from reranker.evaluation.result_table import ResultRow, ResultTable
from reranker.evaluation.run_set import Oddity, RunReport
from reranker.evaluation.statistics import Interval

SHOWN_EFFECTS = 10
KIND_WORDS = {
    "missing": "missing queries",
    "unjudged": "queries without qrels",
    "ties": "tied scores",
    "duplicates": "duplicate doc_ids",
    "unknown_passages": "passages without text",
}


def render_compare_intro() -> str:
    """What this tab is for, before anything was compared."""
    return (
        '<div class="intro"><p>Choose two to eight TREC runs (.gz too) or saved traces, and their '
        "qrels (TREC or BEIR); topics or a candidate file (.jsonl) add the texts. Or let systems "
        "rank a collection now. "
        "You will see which run is better by how much and how surely, the queries they disagree on "
        "most, and each of these side by side.</p></div>"
    )


def render_reports(reports: Sequence[RunReport], notes: Sequence[str] = ()) -> str:
    """Every run's size and what is odd about it, with counts and the first places."""
    rows = "".join(
        f'<tr><th scope="row">{escape(report.name)}</th>'
        f'<td class="number">{report.queries:,}</td><td class="number">{report.passages:,}</td>'
        f"<td>{_list_oddities(report.oddities)}</td></tr>"
        for report in reports
    )
    told = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return (
        '<section class="cmp-report" aria-label="What was read">'
        f'{_open_table("What was read")}<thead><tr><th scope="col">run</th>'
        '<th scope="col" class="number">queries</th><th scope="col" class="number">passages</th>'
        f'<th scope="col">to know before reading its numbers</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{told}</section>"
    )


def render_result_table(table: ResultTable) -> str:
    """Means with intervals, and each run against the baseline with what the tests say."""
    heads = "".join(f'<th scope="col" class="number">{escape(m)}</th>' for m in table.measures)
    rows = "".join(_render_row(row, table) for row in table.rows) + _render_published(table)
    confidence = next(iter(table.rows[0].intervals.values())).confidence
    note = (
        f"{table.queries:,} judged {'query' if table.queries == 1 else 'queries'}. Brackets: "
        f"{confidence:.0%} bootstrap intervals over queries. p: paired randomisation test, "
        f"Holm-corrected over {count(max(1, len(table.rows) - 1), 'comparison')}; "
        "* below 0.05. Judged: share of the first passages that have a grade."
    )
    warning = f'<p class="message stopped">{escape(table.warning)}.</p>' if table.warning else ""
    return (
        f'<section class="cmp-table" aria-label="Measures">{_open_table("Measures")}<thead><tr>'
        f'<th scope="col">run</th>{heads}<th scope="col" class="number">'
        f"Δ {escape(table.main)}</th>"
        '<th scope="col" class="number">p</th><th scope="col" class="number">wins / ties / losses'
        '</th><th scope="col" class="number">effect size</th><th scope="col" class="number">'
        f"s a query</th></tr></thead><tbody>{rows}</tbody></table></div>{warning}"
        f'<p class="note">{escape(note)}</p></section>'
    )


def render_failures(failures: Failures, *, offline: bool = False) -> str:
    """What the second run did to the first's queries, which it hurt most, where the first beats
    all, and which kinds of query are hard. offline: nothing can be pressed."""
    effect = failures.effect
    queries = len(effect.queries)
    hurt, helped = effect.select("hurt"), len(effect.select("helped"))
    cost = "" if effect.seconds is None else f" It costs {effect.seconds:.2f} s a query more."
    told = (
        f"{effect.after} against {effect.before}: better on {helped} of {queries} queries, worse "
        f"on {len(hurt)} ({effect.harm_rate:.0%}), the same on {queries - helped - len(hurt)}; "
        f"{effect.measure} {effect.mean_delta:+.4f} on average.{cost}"
    )
    depth = f"By where {effect.before} has the first relevant passage"
    wins = failures.baseline_wins
    return (
        f'<section class="cmp-failures"><p class="cmp-effect"><b>Did it help?</b> {escape(told)}'
        f"</p><details><summary>Where it fails</summary>"
        f"{_render_effects(f'{effect.after} hurt', hurt, offline)}"
        f"{_render_effects(f'{effect.before} beats all others on', wins, offline)}"
        f"{_render_groups(depth, failures.by_depth)}"
        f"{_render_groups('By length of the query', failures.by_length)}</details></section>"
    )


def _list_oddities(oddities: Sequence[Oddity]) -> str:
    if not oddities:
        return '<span class="cmp-clean">nothing odd</span>'
    shown = "".join(
        f"<li><b>{oddity.count:,} {escape(KIND_WORDS.get(oddity.kind, oddity.kind))}</b> "
        f"{escape(oddity.explanation)}: {escape(', '.join(oddity.examples))}"
        f"{'…' if oddity.count > len(oddity.examples) else ''}</li>"
        for oddity in oddities
    )
    return f"<ul>{shown}</ul>"


def _render_row(row: ResultRow, table: ResultTable) -> str:
    cells = "".join(_render_interval(row.intervals[measure]) for measure in table.measures)
    seconds = "–" if row.seconds_per_query is None else f"{row.seconds_per_query:.2f}"
    found = row.difference
    if found is None:
        tests = '<td class="number">baseline</td>' + '<td class="number">–</td>' * 3
    else:
        star = "*" if row.is_significant else ""
        size = "–" if found.effect_size is None else f"{found.effect_size:+.2f}"
        tests = (
            f'<td class="number"><b>{found.difference:+.4f}{star}</b> '
            f"<small>[{found.interval.low:+.3f}, {found.interval.high:+.3f}]</small></td>"
            f'<td class="number">{found.holm_randomization:.3f}</td>'
            f'<td class="number">{found.wins} / {found.ties} / {found.losses}</td>'
            f'<td class="number">{size}</td>'
        )
    return (
        f'<tr><th scope="row" title="{escape(row.description)}">{escape(row.system)}</th>{cells}'
        f'{tests}<td class="number">{seconds}</td></tr>'
    )


def _render_published(table: ResultTable) -> str:
    """Figures of the literature for this collection, a row each, marked as such."""
    systems: dict[str, dict[str, PublishedFigure]] = {}
    for figure in table.published:
        systems.setdefault(figure.system, {})[figure.measure] = figure
    rows = []
    told = ""
    for system, known in systems.items():
        source = next(iter(known.values())).source
        if source != told:
            told = source
            rows.append(
                f'<tr class="published"><th scope="rowgroup" colspan="{len(table.measures) + 6}">'
                f"Published, not measured here: {escape(source)}</th></tr>"
            )
        cells = "".join(
            f'<td class="number">{known[m].value:.4f}</td>' if m in known else "<td></td>"
            for m in table.measures
        )
        rows.append(
            f'<tr class="published"><th scope="row">{escape(system)}</th>{cells}'
            '<td colspan="5"></td></tr>'
        )
    return "".join(rows)


def _render_interval(interval: Interval) -> str:
    return (
        f'<td class="number">{interval.estimate:.4f} '
        f"<small>[{interval.low:.3f}, {interval.high:.3f}]</small></td>"
    )


def _render_effects(heading: str, effects: Sequence[QueryEffect], offline: bool) -> str:
    """Queries with the value before and after, and what it cost, the worst first."""
    counted = f"{len(effects):,} {'query' if len(effects) == 1 else 'queries'}"
    if not effects:
        return f'<p class="note">{escape(heading)} no query.</p>'
    shown = "".join(
        f"<li>{_render_name(effect, offline)} "
        f'<span class="number">{effect.before:.4f} → {effect.after:.4f} ({effect.delta:+.4f})'
        f"{'' if effect.seconds is None else f', {effect.seconds:.2f} s'}</span></li>"
        for effect in effects[:SHOWN_EFFECTS]
    )
    more = len(effects) - SHOWN_EFFECTS
    rest = f'<p class="note">and {more:,} more.</p>' if more > 0 else ""
    return f"<h4>{escape(f'{heading} {counted}')}</h4><ul>{shown}</ul>{rest}"


def _render_name(effect: QueryEffect, offline: bool) -> str:
    name = escape(effect.text or effect.query_id)
    if offline:
        return f'<span dir="auto">{name}</span>'
    return f'<button type="button" data-query="{escape(effect.query_id)}">{name}</button>'


def _render_groups(title: str, groups: Sequence[QueryGroup]) -> str:
    if not groups:
        return ""
    names = list(groups[0].means)
    heads = "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(group.name)}</th>'
        f'<td class="number">{len(group.query_ids)}</td>'
        + "".join(f'<td class="number">{group.means[name]:.4f}</td>' for name in names)
        + "</tr>"
        for group in groups
    )
    return (
        f'<h4>{escape(title)}</h4>{_open_table(title)}<thead><tr><th scope="col"></th>'
        f'<th scope="col" class="number">queries</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _open_table(name: str) -> str:
    """A table that scrolls sideways by itself where the window is narrow."""
    return f'<div class="cmp-scroll" role="region" aria-label="{escape(name)}" tabindex="0"><table>'


def render_pictures(chart: str, what: str) -> str:
    """Buttons that save a chart as a picture. chart: its class on the page."""
    buttons = "".join(
        f'<button type="button" data-picture="{kind}" data-chart="{chart}" '
        f'aria-label="Download {escape(what)} as {kind.upper()}">{kind.upper()}</button>'
        for kind in ("png", "svg")
    )
    return (
        '<div class="chart-tools"><div class="chart-files">'
        f'<span aria-hidden="true">Download</span>{buttons}</div></div>'
    )
