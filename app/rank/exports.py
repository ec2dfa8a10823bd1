"""A ranking as files to take away: the trace, a report, a TREC run, a table.

Takes a trace and a folder, returns paths. Knows no component.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.rank.html_report import render_report
from reranker.trace import dump_trace
from reranker.trec import rank_by_position, write_run
from reranker.types import RankedHit, RankingTrace

COLUMNS = (
    "rank", "doc_id", "title", "rank_bm25", "bm25_score", "rank_stage1", "score", "verdict",
    "justification",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_trace(trace: RankingTrace, folder: Path) -> Path:
    """The whole record as JSON; `python -m reranker replay` reads it."""
    path = folder / f"{name_files(trace)}.trace.json"
    path.write_text(dump_trace(trace), encoding="utf-8")
    return path


def write_report(trace: RankingTrace, folder: Path) -> Path:
    """One HTML file that shows the ranking without this program and without a network."""
    path = folder / f"{name_files(trace)}.report.html"
    path.write_text(render_report(trace), encoding="utf-8")
    return path


def write_table(trace: RankingTrace, folder: Path) -> Path:
    """One line a passage, as CSV."""
    path = folder / f"{name_files(trace)}.csv"
    path.write_text(
        format_csv(COLUMNS, map(_read_row, trace.ranked_hits())), encoding="utf-8", newline=""
    )
    return path


def format_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV as RFC 4180 has it, numbers in full. Text that a spreadsheet would take for a formula
    gets a '."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([_disarm(column) for column in columns])
    writer.writerows([_disarm(value) for value in row] for row in rows)
    return file.getvalue()


def _read_row(hit: RankedHit) -> tuple[object, ...]:
    note = hit.justification
    return (
        hit.rank,
        hit.passage.doc_id,
        hit.passage.title,
        hit.rank_bm25,
        hit.bm25_score,
        hit.rank_stage1,
        hit.score,
        note.verdict if note else None,
        note.text if note else None,
    )


def write_trec(trace: RankingTrace, folder: Path) -> Path:
    """A TREC run of the final order. Raises InputError for ids that its columns cannot hold."""
    path = folder / f"{name_files(trace)}.trec"
    ranking = rank_by_position(trace.final_order)
    write_run(path, {trace.query.query_id: ranking}, f"dear-{trace.student.name}")
    return path


def name_files(trace: RankingTrace) -> str:
    """A file name out of the query: lower-case words joined by -, at most 40 characters."""
    words = re.sub(r"[^a-z0-9]+", "-", trace.query.text.lower()).strip("-")
    return f"dear-{words[:40].strip('-') or 'ranking'}"


def _disarm(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
