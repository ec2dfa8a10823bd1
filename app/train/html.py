"""HTML of the Train tab: data reports, memory, a job's figures, lists and comparisons of jobs.

Takes records of jobs and data, returns HTML; everything from data, files and logs is escaped.
Knows no component; the classes are styled in assets/css/train.css.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.facts import shorten
from app.html import escape, render_message, render_note
from app.messages import Message, Tone, capitalize, count, join_sentences
from app.train.facts import list_facts, name_job
from reranker.examples.report import DataReport
from reranker.jobs.job import Job, Status
from reranker.jobs.memory import MemoryEstimate
from reranker.jobs.outcome import Outcome

GIB = 2**30
LISTED = 40
"""Jobs in the list; older ones stay on the disk and on the command line."""
SHOWN_PROBLEMS = 8
PREVIEW_CHARS, QUERY_CHARS = 160, 110
LISTED_CHANGES = 200
LOSS = "loss"
TONES: dict[Status, Tone] = {
    "queued": "info",
    "preparing": "busy",
    "running": "busy",
    "stopping": "busy",
    "done": "done",
    "stopped": "stopped",
    "failed": "error",
    "interrupted": "error",
}


def render_off(reason: str) -> str:
    """What stands on the tab where training is switched off."""
    return (
        '<section class="train-off"><h2>Training is switched off on this server</h2>'
        f"<p>{escape(reason)}</p></section>"
    )


def render_data(report: DataReport) -> str:
    """Figures, problems, warnings and the first examples."""
    figures = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value:,g}</dd></div>"
        for name, value in report.statistics.items()
    )
    problems = [f"<li>{escape(text)}</li>" for text in report.problems[:SHOWN_PROBLEMS]]
    more = report.problem_count - len(problems)
    if problems and more > 0:
        problems.append(f"<li>and {more:,} more</li>")
    head = (
        f'<p class="message error" role="alert">{count(report.problem_count, "line")} cannot be '
        f'used; mend them and upload again:</p><ul class="problems">{"".join(problems)}</ul>'
        if problems
        else ""
    )
    warnings = "".join(f"<li>{escape(text)}</li>" for text in report.warnings)
    warned = f'<ul class="warnings">{warnings}</ul>' if warnings else ""
    return (
        f'{head}<dl class="figures">{figures}</dl>{warned}'
        f'<details data-key="examples"><summary>The first {len(report.preview)} examples</summary>'
        f"{_render_preview(report.preview)}</details>"
    )


def _render_preview(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return render_note("There are none.")
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f'<td dir="auto">{escape(shorten(v, PREVIEW_CHARS))}</td>' for v in row.values())
        + "</tr>"
        for row in rows
    )
    return _wrap_table(f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def render_memory(estimate: MemoryEstimate, available: int) -> str:
    """The expected peak, part by part, beside what is free now. available: bytes."""
    parts = ", ".join(f"{escape(n)} {size / GIB:.2f}" for n, size in estimate.parts.items())
    words = f"about {estimate.total / GIB:.2f} GiB at its peak; {available / GIB:.1f} GiB are free"
    tone: Tone = "info" if estimate.total < available else "error"
    line = render_message(Message(text=f"Memory: {words}.", tone=tone))
    return f'{line}<p class="note">Estimated in GiB: {parts}.</p>'


def render_command(command: str) -> str:
    """The command that starts the same job."""
    return (
        '<p class="note">The same job on the command line:</p>'
        f'<pre class="command"><code>{escape(command)}</code></pre>'
    )


def render_loaded(missing: str, left_out: Sequence[str]) -> str:
    """What a settings file did to the form."""
    told = [Message(text="The settings of the file are in the form.", tone="done")]
    if missing:
        words = f"Its data, {missing}, are not part of it: upload them above."
        told.append(Message(text=words, tone="info"))
    if left_out:
        words = "Left out, as this page has no control for it: " + "; ".join(left_out) + "."
        told.append(Message(text=words, tone="error"))
    return "".join(render_message(message) for message in told)


def render_job(job: Job) -> str:
    """State, figures, and what the trainer told."""
    status = job.status
    place = f", number {job.queue_position} in line" if job.queue_position else ""
    told_state = job.message.startswith(status)
    state = "" if told_state else f"{status.capitalize()}{place}."
    text = join_sentences(state, capitalize(job.message))
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in list_facts(job)
    )
    share = 100 * job.step / job.steps if job.steps else 0
    bar = (
        f'<div class="progress" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-label="Steps done"><span style="width:{share:.1f}%"></span>'
        "</div>"
    )
    events = "".join(
        f'<li class="{escape(event.level)}">{escape(event.message)}</li>'
        for event in job.progress.events
        if event.level != "info"
    )
    told = f'<ul class="warnings">{events}</ul>' if events else ""
    return (
        f'<section class="job" data-status="{status}"><h3>{escape(name_job(job))}</h3>'
        f"{render_message(Message(text=text, tone=TONES[status]))}{bar}"
        f'<dl class="figures">{facts}</dl>{told}</section>'
    )


def render_log(text: str) -> str:
    """The end of a job's log."""
    if not text.strip():
        return render_note("The log is empty so far.")
    return f'<pre class="log" tabindex="0">{escape(text)}</pre>'


def render_jobs(jobs: Sequence[Job], shown: str | None) -> str:
    """Every job in a row: state, best measure, duration."""
    if not jobs:
        return render_note("No jobs yet. The first one will appear here, and stay.")
    rows = "".join(
        f"<tr{' aria-current=true' if job.job_id == shown else ''}>"
        f"<td>{escape(name_job(job))}</td>"
        f'<td class="state-{job.status}">{job.status}</td>'
        f'<td class="number">{job.step} / {job.steps or "?"}</td>'
        f'<td class="number">{"" if job.best is None else f"{job.metric} {job.best:.4f}"}</td>'
        f'<td class="number">{job.seconds:,.0f} s</td></tr>'
        for job in jobs[:LISTED]
    )
    heads = "".join(
        f"<th{' class=number' if i > 1 else ''}>{name}</th>"
        for i, name in enumerate(("job", "state", "step", "best on dev", "duration"))
    )
    rest = len(jobs) - LISTED
    note = render_note(f"{rest} older jobs are on the command line.") if rest > 0 else ""
    return _wrap_table(f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>") + note


def render_settings_difference(rows: Sequence[tuple[str, str, str]], names: tuple[str, str]) -> str:
    """The settings two jobs do not share."""
    if not rows:
        return render_note("These two jobs have the same settings.")
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("setting", *names))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shorten(value, 120))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return _wrap_table(f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>")


def render_gain(outcome: Outcome, before: str) -> str:
    """The new adapter against the start, query by query."""
    gain, i = outcome.difference, outcome.difference.interval
    lower = " (lower is better; a gain is what the loss fell by)" if outcome.metric == LOSS else ""
    noun = "dev example" if outcome.metric == LOSS else "dev query"
    words = (
        f"{outcome.metric}{lower} on {count(i.queries, noun).replace('querys', 'queries')}: "
        f"{gain.difference:+.4f} ({i.confidence:.0%} interval {i.low:+.4f} to {i.high:+.4f}), "
        f"randomization test p = {gain.randomization.p_value:.3f}."
    )
    tally = f"{gain.wins} better, {gain.ties} unchanged, {gain.losses} worse."
    warning = f'<p class="note">{escape(gain.warning)}.</p>' if gain.warning else ""
    return (
        f'<section class="gain"><h4>New adapter against {escape(before)}</h4>'
        f"<p>{escape(words)}</p><p><b>{tally}</b></p>{warning}"
        '<p class="note">The adapter was chosen on these queries, so its figure is somewhat too '
        f"good.</p>{_render_changes(outcome)}</section>"
    )


def _render_changes(outcome: Outcome) -> str:
    changes = outcome.changed
    if not changes:
        return ""
    rows = "".join(
        f'<tr><td dir="auto" title="{escape(c.query_id)}">'
        f'{escape(shorten(c.text or c.query_id, QUERY_CHARS))}</td><td class="number">'
        f'{c.before:.4f}</td><td class="number">{c.after:.4f}</td>'
        f'<td class="number {"win" if c.gain > 0 else "loss"}">'
        f"{'▲' if c.gain > 0 else '▼'} {c.after - c.before:+.4f}</td></tr>"
        for c in changes[:LISTED_CHANGES]
    )
    heads = '<th>query</th><th class="number">before</th><th class="number">after</th>'
    heads += '<th class="number">change</th>'
    rest = len(changes) - LISTED_CHANGES
    more = render_note(f"{rest} more are in the job's folder.") if rest > 0 else ""
    return (
        f'<details open data-key="gain"><summary>What changed ({len(changes)})</summary>'
        + _wrap_table(f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>")
        + f"{more}</details>"
    )


def _wrap_table(inner: str) -> str:
    return f'<div class="train-table"><table>{inner}</table></div>'
