"""The result of an analysis as files to take away: whole as JSON, its rows as CSV.

Takes a result and a folder, returns paths. Knows no component.
"""

from __future__ import annotations

from pathlib import Path

from app.rank.exports import format_csv, name_files
from reranker.explain.analyses import Result
from reranker.explain.tables import dump_result, tabulate_result
from reranker.types import RankingTrace


def write_result(found: Result, trace: RankingTrace, folder: Path) -> tuple[Path, Path]:
    """The JSON file and the CSV file."""
    name = f"{name_files(trace)}-{type(found).__name__.lower()}"
    table = tabulate_result(found)
    paths = folder / f"{name}.json", folder / f"{name}.csv"
    paths[0].write_text(dump_result(found), encoding="utf-8")
    paths[1].write_text(format_csv(table.columns, table.rows), encoding="utf-8", newline="")
    return paths
