"""The Compare tab without a browser: files read, tables, charts, exports, rankings as runs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.compare import sources as compare_sources
from app.compare.comparison import Comparison, Walk, collect_runs, compare_runs
from app.compare.events import CompareEvents
from app.compare.exports import write_comparison, write_runs
from app.compare.figures import draw_deltas, draw_query_flow, draw_spread
from app.compare.html import render_failures, render_reports, render_result_table
from app.compare.html_query import (
    name_passages,
    render_contrasts,
    render_grade,
    render_query_view,
)
from app.compare.html_report import DETAILED, render_comparison_report
from app.compare.remarks import Remark, make_remark
from app.compare.screen import CompareScreen, CompareScreens
from app.compare.sources import gather_traces, read_files, tell_apart
from app.compare.walk import WalkEvents
from app.library import Library
from app.rank.events import RankEvents
from app.session import Sessions
from reranker.errors import InputError
from reranker.evaluation.contrast import ContrastFilter
from reranker.evaluation.drilldown import PassageRow, QueryView
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
    comparison = comparison.with_remark("q1", Remark(tags=(XSS,), comment=f"</textarea>{XSS}"))
    rows = comparison.list_rows()
    shown = render_contrasts(rows, comparison.first, comparison.second, "q1", len(rows))
    shown += render_query_view(comparison, "q1")
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
    none = comparison.with_walk(Walk(wanted=ContrastFilter(text="no such words")))
    assert none.list_rows() == () and none.selected == ""


def test_what_is_chosen_stays_while_it_fits(comparison: Comparison) -> None:
    chosen = comparison.with_chosen("q2")
    assert chosen.selected == "q2"
    assert chosen.with_walk(Walk(effect="lost")).selected == "q2"
    assert chosen.with_walk(Walk(effect="gained")).selected == "q1"
    with pytest.raises(InputError, match="a query of these runs"):
        comparison.with_chosen("q9")


def test_runs_side_by_side_are_those_chosen(comparison: Comparison) -> None:
    assert comparison.shown == ("first", "second")
    assert comparison.with_shown(["second", "unknown"]).view("q1").runs == ("second",)
    assert comparison.with_shown([]).view("q1").runs == ("first", "second")


def test_remarks_are_found_again_and_exported(comparison: Comparison, tmp_path: Path) -> None:
    remark = make_remark(marked=True, tags="Odd,  two  words , odd", comment=" =why? ")
    assert remark.tags == ("odd", "two words") and remark.comment == "=why?"
    noted = comparison.with_remark("q2", remark)
    assert noted.labels == ("marked", "commented", "odd", "two words")
    tagged = noted.with_walk(Walk(wanted=ContrastFilter(tag="two words")))
    assert [row.query_id for row in tagged.list_rows()] == ["q2"]
    exported = write_comparison(tagged, tmp_path)["queries_csv"].read_text()
    assert '"marked, commented, odd, two words",\'=why?' in exported
    assert noted.with_remark("q2", Remark()).remarks == {} == noted.with_remarks({}).remarks
    assert noted.with_remarks({"q9": remark}).remarks == {}


@pytest.mark.parametrize(
    ("tags", "comment", "words"),
    [
        (",".join("abcdefghijk"), "", "at most 10 tags"),
        ("x" * 41, "", "the longest of 41"),
        ("", "x" * 2_001, "at most 2,000 characters"),
    ],
)
def test_a_remark_has_its_limits(tags: str, comment: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_remark(marked=False, tags=tags, comment=comment)


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


def test_the_report_is_whole_and_inert(comparison: Comparison, tmp_path: Path) -> None:
    remark = Remark(marked=True, tags=(XSS,), comment=XSS)
    noted = comparison.with_remark("q2", remark).with_walk(Walk(effect="gained"))
    report = render_comparison_report(noted, "today")
    assert "<script" not in report and "&lt;script" in report
    assert "default-src &#x27;none&#x27;" in report and " style=" not in report
    for outside in ("http://", "src=", "@import", "url(", "<button", "<form"):
        assert outside not in report
    # The walk has q1 alone; q2 is there because of what was said about it.
    assert report.count('<article class="cmp-one"') == 2 and 'href="#q-1"' in report
    assert report == render_comparison_report(noted, "today")
    path = write_comparison(noted, tmp_path)["report_file"]
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_long_walk_is_shown_passage_by_passage_in_part(tmp_path: Path) -> None:
    runs = [tmp_path / "a.trec", tmp_path / "b.trec"]
    for number, run in enumerate(runs):
        run.write_text("".join(f"q{n} Q0 d{(n * number) % 3} 1 1 t\n" for n in range(60)))
    (tmp_path / "dl19.qrels").write_text("".join(f"q{n} 0 d0 1\n" for n in range(60)))
    material = read_files(runs, tmp_path / "dl19.qrels", None)
    comparison = compare_runs(collect_runs(material), collection=material.collection)
    report = render_comparison_report(comparison, "today")
    assert report.count('<article class="cmp-one"') == DETAILED == 40
    assert report.count("<rect") == 60 and report.count("<circle") == 120
    assert "Published, not measured here" in report


def test_passages_with_one_title_are_told_apart() -> None:
    rows = tuple(
        PassageRow(
            doc_id=doc_id, grade=None, ranks={}, scores={}, justifications={},
            passage=Passage(doc_id=doc_id, text=f"text {doc_id}", title=title) if text else None,
        )
        for doc_id, title, text in (("a", "T", 1), ("b", "T", 1), ("c", "U", 1), ("d", "", 0))
    )  # fmt: skip
    view = QueryView(query_id="q", text="", runs=(), rows=rows, unranked=0)
    assert name_passages(view) == {"a": "text a", "b": "text b", "c": "U", "d": "d"}


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


class FakeEvent:
    """What app/compare/compare.js sends."""

    def __init__(self, **data: object) -> None:
        self.__dict__.update(data)


WALK = ("query", "all", "", "", "", "", "", "", "")


def test_a_comparison_belongs_to_one_page(files: tuple[list[Path], Path, Path]) -> None:
    sessions = Sessions()
    events = CompareEvents(RankEvents(Library(), sessions))
    inside: Any = WalkEvents(events.screens)
    runs, qrels, _ = files
    one: Any = FakeRequest("one")
    other: Any = FakeRequest("other")
    steps = list(events.compare_files([str(r) for r in runs], str(qrels), None, "RR", one))
    assert len(steps) == 3 and sessions.comparison("other") is None
    assert inside.change("first", "second", "RR", other) == CompareScreen()
    assert inside.walk(*WALK, other) == CompareScreen()
    assert "not_a_measure" in inside.change("first", "second", "not_a_measure", one).choice_error
    wrong = list(events.compare_files([], None, None, "RR", one))
    assert "The comparison on the page stays" in wrong[-1][0]
    sessions.forget("one")
    assert sessions.comparison("one") is None


def test_remarks_outlive_other_choices(files: tuple[list[Path], Path, Path]) -> None:
    sessions = Sessions()
    events = CompareEvents(RankEvents(Library(), sessions))
    inside: Any = WalkEvents(events.screens)
    runs, qrels, texts = files
    page: Any = FakeRequest("one")
    paths = [str(run) for run in runs]
    list(events.compare_files(paths, str(qrels), str(texts), "RR", page))
    said = FakeEvent(query_id="q2", marked=True, tags="odd", comment="")
    assert "★" in inside.remark(said, page).queries
    assert "q2" in inside.select(FakeEvent(query_id="q2"), page)[0]
    assert "checked" in inside.change("second", "first", "RR", page).detail
    list(events.compare_files(paths, str(qrels), None, "RR", page))
    assert sessions.comparison("one").remarks["q2"].tags == ("odd",)  # type: ignore[union-attr]
    unknown = FakeEvent(query_id="q9", marked=True, tags="", comment="")
    assert "a query of these runs" in inside.remark(unknown, page).walk_error
    assert "a query of these runs" in inside.select(FakeEvent(query_id="q9"), page)[0]
    few = inside.walk("query", "all", "", "odd", "-1", "1", None, None, "0", page)
    assert "1 of 2 queries" in few.queries
    assert inside.choose_shown(["first"], page)[0].count('cmp-column"') == 1


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (("0.5", "-0.5", "", "", ""), "from a smaller to a larger number, got 0.5 to -0.5"),
        (("", "", "many", "", ""), "a bound of words, got &#x27;many&#x27;"),
        (("nan", "", "", "", ""), "a bound of a difference"),
        (("", "", "", "", "101"), "a judged share from a smaller"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds: tuple[str, ...], words: str) -> None:
    inside: Any = WalkEvents(CompareScreens(Sessions()))
    page: Any = FakeRequest("one")
    assert words in inside.walk("query", "all", "", "", *bounds, page).walk_error
