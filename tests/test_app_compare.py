"""The Compare tab without a browser: files read, tables, charts, exports, rankings as runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from app import compare_sources
from app.compare_events import CompareEvents
from app.compare_exports import write_comparison, write_runs
from app.compare_figures import draw_deltas, draw_query_flow, draw_spread
from app.compare_sources import gather_traces, read_files, tell_apart
from app.comparison import Comparison, Walk, collect_runs, compare_runs
from app.html_compare import render_failures, render_reports, render_result_table
from app.html_compare_query import render_contrasts, render_grade, render_query_view
from app.library import Library
from app.rank_events import RankEvents
from app.session import Sessions
from reranker.errors import InputError
from reranker.trec import read_run
from reranker.types import Hit, Passage, Query, RankingTrace, RankSettings, StudentInfo

XSS = "<script>alert(1)</script>"
QRELS = "q1 0 a 2\nq1 0 b 0\nq2 0 a 1\nq2 0 z 1\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[list[Path], Path, Path]:
    """Two runs; the first has a tie and a duplicate, the second lacks q2."""
    first, second = tmp_path / "first.trec", tmp_path / "second.trec"
    first.write_text("q1 Q0 b 1 3 t\nq1 Q0 a 2 2 t\nq1 Q0 c 3 2 t\nq1 Q0 a 4 1 t\nq2 Q0 a 1 1 t\n")
    second.write_text("q1 Q0 a 1 3 t\nq1 Q0 b 2 2 t\n")
    qrels, topics = tmp_path / "qrels.txt", tmp_path / "topics.tsv"
    qrels.write_text(QRELS)
    topics.write_text(f"q1\t{XSS}\nq2\tsecond\n")
    return [first, second], qrels, topics


@pytest.fixture
def comparison(files: tuple[list[Path], Path, Path]) -> Comparison:
    material = read_files(*files)
    return compare_runs(collect_runs(material), collection=material.collection)


def make_trace(text: str, corpus_id: str = "everyday-science") -> RankingTrace:
    hits = tuple(
        Hit(passage=Passage(doc_id=d, text="x"), rank=n, bm25_score=3.0 - n)
        for n, d in enumerate(("allergy-ige", "chopping-safely"), start=1)
    )
    return RankingTrace(
        query=Query(query_id="q", text=text),
        corpus_id=corpus_id,
        corpus_sha256="",
        settings=RankSettings(),
        student=StudentInfo(name="mini", quantization="nf4", device="cpu"),
        hits=hits,
        final_order=tuple(hit.passage.doc_id for hit in hits),
    )


def test_what_is_odd_is_counted_before_anything_is_compared(comparison: Comparison) -> None:
    shown = render_reports(comparison.runs.reports)
    for words in ("1 tied scores", "1 duplicate doc_ids", "first.trec:4", "1 missing queries"):
        assert words in shown


def test_texts_from_outside_are_escaped_everywhere(comparison: Comparison) -> None:
    rows = comparison.list_rows()
    view = comparison.view("q1")
    shown = render_contrasts(rows, comparison.first, comparison.second, "q1", len(rows))
    shown += render_query_view(view, rows[0].values, comparison.measure)
    shown += render_failures(comparison.failures) + render_result_table(comparison.table)
    assert "<script" not in shown and "&lt;script" in shown
    chart = draw_deltas(rows, comparison.first, comparison.second, comparison.measure)
    assert "<script" not in chart.to_json().replace("\\u003c", "<")


def test_grades_say_what_nobody_judged() -> None:
    assert "not judged" in render_grade(None)
    assert "relevant" in render_grade(2) and "relevant" not in render_grade(0)


def test_queries_are_walked_in_the_chosen_order(comparison: Comparison) -> None:
    assert [r.query_id for r in comparison.with_walk(Walk(order="delta")).list_rows()][0] == "q1"
    lost = comparison.with_walk(Walk(effect="lost"))
    assert [row.query_id for row in lost.list_rows()] == ["q2"]
    by_id = comparison.with_walk(Walk(order="query"))
    assert (by_id.view("q1").previous, by_id.view("q1").next) == ("", "q2")
    assert comparison.with_walk(Walk(text="no such words")).list_rows() == ()


def test_charts_hold_every_query_and_run(comparison: Comparison) -> None:
    rows = comparison.rows
    deltas = draw_deltas(rows, "first", "second", comparison.measure)
    assert list(deltas.data[0].customdata) == ["q1", "q2"]
    assert deltas.data[0].y[0] > 0 > deltas.data[0].y[1]
    values = {n: {r.query_id: r.values[n] for r in rows} for n in comparison.runs.names}
    spread = draw_spread(values, comparison.table, comparison.runs.queries)
    assert [t.name for t in spread.data if t.name != "mean"] == ["first", "second"]
    assert any(trace.name == "grade 2" for trace in draw_query_flow(comparison.view("q1")).data)
    assert draw_deltas((), "first", "second", "RR").layout.annotations[0].text


def test_exports_come_back(comparison: Comparison, tmp_path: Path) -> None:
    paths = write_comparison(comparison, tmp_path)
    assert "second" in paths["table_markdown"].read_text()
    assert r"\toprule" in paths["table_latex"].read_text()
    assert paths["queries_csv"].read_text().count("\n") == 3
    with zipfile.ZipFile(write_runs(comparison.runs, tmp_path)) as archive:
        assert archive.namelist() == ["1-first.trec", "2-second.trec"]
        archive.extractall(tmp_path / "out")
    assert read_run(tmp_path / "out" / "2-second.trec") == comparison.runs.runs[1].run


def test_unusable_files_are_refused(
    files: tuple[list[Path], Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, qrels, texts = files
    with pytest.raises(InputError, match="got none; choose a qrels file"):
        read_files(runs, None, texts)
    with pytest.raises(InputError, match="2 to 8 run files, got 0"):
        read_files([], qrels, None)
    monkeypatch.setattr(compare_sources, "MAX_UNPACKED_BYTES", 100)
    with pytest.raises(InputError, match="at most"):
        read_files(runs, qrels, None)


def test_runs_with_one_name_are_told_apart(comparison: Comparison) -> None:
    run = comparison.runs.runs[0]
    assert [r.name for r in tell_apart([run, run])] == ["first", "first (2)"]


def test_rankings_count_for_the_corpus_query_with_the_same_words() -> None:
    known = make_trace("Why do my eyes  water when chopping vegetables")
    material = gather_traces([known, make_trace("something else")])
    assert list(material.runs[0].run) == ["q01"] and list(material.qrels) == ["q01"]
    assert "left out" in material.notes[0]
    with pytest.raises(InputError, match="judgements for"):
        gather_traces([make_trace("something else")])
    with pytest.raises(InputError, match="over one corpus"):
        gather_traces([known, make_trace("x", "other")])
    with pytest.raises(InputError, match="which has none"):
        gather_traces([make_trace("x", "python-docs")])


class FakeRequest:
    def __init__(self, session_hash: str) -> None:
        self.session_hash = session_hash


def test_a_comparison_belongs_to_one_page(files: tuple[list[Path], Path, Path]) -> None:
    sessions = Sessions()
    events = CompareEvents(RankEvents(Library(), sessions))
    runs, qrels, _ = files
    one, other = FakeRequest("one"), FakeRequest("other")
    steps = list(events.compare_files(map(str, runs), str(qrels), None, "RR", one))  # type: ignore[arg-type]
    assert len(steps) == 3 and sessions.comparison("other") is None
    assert events.change("first", "second", "RR", other).table == {"__type__": "update"}  # type: ignore[arg-type]
    assert "not_a_measure" in events.change("first", "second", "not_a_measure", one).choice_error  # type: ignore[arg-type]
    wrong = list(events.compare_files([], None, None, "RR", one))  # type: ignore[arg-type]
    assert "The comparison on the page stays" in wrong[-1][0]
    sessions.forget("one")
    assert sessions.comparison("one") is None
