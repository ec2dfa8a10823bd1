"""Files to take away: each reads back as what was on the page."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from app.rank.exports import COLUMNS, name_files, write_table, write_trace, write_trec
from reranker.errors import InputError
from reranker.trace import load_trace
from reranker.trec import read_run
from reranker.types import Passage, Query
from tests.test_app_html import XSS, make_trace


def test_a_trace_reads_back_equal(tmp_path: Path) -> None:
    trace = make_trace(["Soap.", "Water."])
    assert load_trace(write_trace(trace, tmp_path)) == trace


def test_a_run_has_the_final_order(tmp_path: Path) -> None:
    trace = make_trace(["Soap.", "Water.", "Plates."], final_order=("d2", "d0", "d1"))
    run = read_run(write_trec(trace, tmp_path))
    assert [doc_id for doc_id, _ in run["q"]] == ["d2", "d0", "d1"]


def test_ids_that_trec_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_trec(make_trace(["Soap."], doc_id="a b"), tmp_path)


def test_a_table_has_a_line_a_passage_and_no_formula(tmp_path: Path) -> None:
    trace = make_trace(["Soap.", "Water."], note="=HYPERLINK(1)", title="+1")
    with write_table(trace, tmp_path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert rows[0]["justification"] == "'=HYPERLINK(1)" and rows[0]["title"] == "'+1"
    assert float(rows[1]["score"]) == pytest.approx(-2.005)


@pytest.mark.parametrize("query", [XSS, "../../etc/passwd", "", "Ωμέγα", "a" * 300])
def test_names_of_files_are_plain(query: str, tmp_path: Path) -> None:
    trace = replace(make_trace(["Soap."]), query=Query(query_id="q", text=query))
    name = name_files(trace)
    assert 0 < len(name) <= 50 and "/" not in name and "." not in name
    assert write_trace(trace, tmp_path).parent == tmp_path


def test_a_passage_without_scores_leaves_its_cells_empty(tmp_path: Path) -> None:
    trace = make_trace(["Soap."], stage1=(), readings=())
    hit = replace(trace.hits[0], bm25_score=None, passage=Passage(doc_id="d0", text="Soap."))
    with write_table(replace(trace, hits=(hit,)), tmp_path).open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert row["score"] == row["bm25_score"] == row["verdict"] == ""
