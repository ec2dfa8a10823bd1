"""A comparison as files to take away: the table three ways, the queries, the runs.

Takes a comparison and a folder, returns paths. Knows no component.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path

from app.compare.comparison import Comparison
from app.compare.html_report import render_comparison_report
from reranker.evaluation.contrast import export_contrasts
from reranker.evaluation.run_set import RunSet
from reranker.evaluation.table_exports import TableFormat, export_table
from reranker.trec import write_run

TABLES: tuple[tuple[str, TableFormat, str], ...] = (
    ("table_csv", "csv", "comparison.csv"),
    ("table_markdown", "markdown", "comparison.md"),
    ("table_latex", "latex", "comparison.tex"),
)
RUNS_FILE, QUERIES_FILE = "comparison-runs.zip", "comparison-queries.csv"
REPORT_FILE = "comparison.html"


def write_comparison(comparison: Comparison, folder: Path) -> dict[str, Path]:
    """The report, the tables and the queries in their present order, by the names of their
    buttons."""
    paths = {}
    for key, form, name in TABLES:
        paths[key] = folder / name
        paths[key].write_text(export_table(comparison.table, form), encoding="utf-8", newline="")
    paths["queries_csv"] = folder / QUERIES_FILE
    comments = {query_id: remark.comment for query_id, remark in comparison.remarks.items()}
    rows = export_contrasts(comparison.list_rows(), comments)
    paths["queries_csv"].write_text(rows, encoding="utf-8", newline="")
    paths["report_file"] = folder / REPORT_FILE
    made = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    paths["report_file"].write_text(render_comparison_report(comparison, made), encoding="utf-8")
    return paths


def write_runs(runs: RunSet, folder: Path) -> Path:
    """The runs as TREC files in one zip. Raises InputError for ids its columns cannot hold."""
    path = folder / RUNS_FILE
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for number, run in enumerate(runs.runs, start=1):
            name = re.sub(r"[^A-Za-z0-9.-]+", "-", run.name).strip("-.")[:60] or "run"
            file = Path(scratch) / f"{number}-{name}.trec"
            write_run(file, run.run, name)
            archive.write(file, file.name)
    return path
