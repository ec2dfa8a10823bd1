"""Comparing runs: reports of oddities, contrasts, failure views, drill-down."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from reranker.errors import InputError
from reranker.evaluation.contrast import (
    ContrastFilter,
    export_contrasts,
    filter_contrasts,
    list_contrasts,
    sort_contrasts,
)
from reranker.evaluation.drilldown import view_query
from reranker.evaluation.failure_views import (
    find_baseline_wins,
    group_by_depth,
    group_by_length,
    measure_effect,
)
from reranker.evaluation.run_set import (
    NamedRun,
    RunSet,
    load_run,
    make_run_set,
    make_trace_run,
)
from reranker.evaluation.table_exports import export_table
from reranker.pipeline import rank
from reranker.request import RankRequest
from reranker.trec import Run, rank_by_position, read_qrels, read_run, write_run
from reranker.types import Hit, Justification, Passage, Query
from tests.fake_student import FakeStudent

QRELS = {
    "q1": {"a": 1, "b": 0, "z": 1},
    "q2": {"a": 2, "c": 0},
    "q3": {"c": 1},
    "q4": {"x": 1},
    "never ranked": {"a": 1},
}
QUERIES = {"q1": "=why", "q2": "how do tides rise", "q3": "one two three four five six seven"}


def make_runs(**orders: dict[str, str]) -> tuple[NamedRun, ...]:
    return tuple(
        NamedRun(
            name=name,
            origin="by hand",
            run={query_id: rank_by_position(list(order)) for query_id, order in queries.items()},
        )
        for name, queries in orders.items()
    )


@pytest.fixture
def runs() -> RunSet:
    """bm25, and one and two stages. q1: all agree; q2: stage 2 hurt; q3: stage 2 helped; q4:
    nothing relevant was retrieved."""
    bm25, stage1, stage2 = make_runs(
        bm25={"q1": "abc", "q2": "bac", "q3": "abc", "q4": "abc"},
        stage1={"q1": "abc", "q2": "abc", "q3": "bac", "q4": "abc"},
        stage2={"q1": "abc", "q2": "cba", "q3": "cab", "q4": "bac"},
    )
    note = Justification(doc_id="a", verdict="answers", text="because")
    stage1 = replace(stage1, seconds={q: 1.0 for q in stage1.run})
    stage2 = replace(
        stage2, seconds={"q1": 3.0, "q2": 5.0, "q3": 3.0}, justifications={"q2": (note,)}
    )
    passages = {d: Passage(doc_id=d, text=f"text {d}") for d in "abc"}
    return make_run_set(
        [bm25, stage1, stage2],
        QRELS,
        queries=QUERIES,
        passages=passages,
        tags={"q2": ("Odd",)},
    )


# Reports


def test_a_report_counts_what_is_odd(tmp_path: Path) -> None:
    path = tmp_path / "first.trec"
    path.write_text(
        "q1 Q0 a 1 5 t\nq1 Q0 b 2 5 t\nq1 Q0 a 3 9 t\nq9 Q0 a 1 1 t\nq1 Q0 c 4 5 t\n",
        encoding="utf-8",
    )
    first = load_run(path)
    assert first.name == "first"
    (second,) = make_runs(second={"q1": "ab", "q2": "a", "q5": "b"})
    passages = {d: Passage(doc_id=d, text="x") for d in "ab"}
    runs = make_run_set([first, second], QRELS, passages=passages)
    report = runs.reports[0]
    assert (report.queries, report.passages) == (2, 4)
    counts = {oddity.kind: oddity.count for oddity in report.oddities}
    assert counts == {
        "missing": 1,
        "unjudged": 1,
        "ties": 1,
        "duplicates": 1,
        "unknown_passages": 1,
    }
    places = {oddity.kind: oddity.examples for oddity in report.oddities}
    assert places["duplicates"] == ("first.trec:3",)
    assert places["missing"] == ("q2",)
    assert places["ties"] == ("q1",)
    assert dict(first.run["q1"])["a"] == 9.0
    assert runs.reports[1].count("unjudged") == 1
    assert runs.reports[1].count("ties") == 0


def test_single_precision_ties_are_ties() -> None:
    run = NamedRun(name="x", origin="", run={"q1": (("a", 1.0), ("b", 1.0 - 1e-12))})
    runs = make_run_set([run, *make_runs(y={"q1": "ab"})], QRELS)
    assert runs.reports[0].count("ties") == 1


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({"one": {"q1": "a"}}, "2 to 8 runs"),
        ({f"r{n}": {"q1": "a"} for n in range(9)}, "2 to 8 runs"),
        ({"one": {"q1": "a"}, "two": {"other": "a"}}, "none in common for 'two'"),
        ({"one": {"q1": "a"}, "two": {"q1": "k"}}, "no doc_id of 'one' in any other"),
    ],
)
def test_runs_that_cannot_be_compared(orders: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_run_set(make_runs(**orders), QRELS)


def test_names_are_unique_and_known(runs: RunSet) -> None:
    with pytest.raises(InputError, match="names of their own"):
        make_run_set([runs.runs[0], runs.runs[0]], QRELS)
    with pytest.raises(InputError, match="a run among bm25, stage1, stage2"):
        runs.find("stage3")


def test_only_ranked_queries_are_compared(runs: RunSet) -> None:
    assert runs.query_ids == ("q1", "q2", "q3", "q4")
    table = runs.tabulate("RR", baseline="bm25")
    assert table.queries == 4
    assert [row.seconds_per_query for row in table.rows] == [None, 1.0, pytest.approx(11 / 3)]
    assert "only 4 queries" in table.warning
    assert "| stage2 |" in export_table(table, "markdown")


def test_traces_become_a_run() -> None:
    hits = tuple(
        Hit(passage=Passage(doc_id=d, text=t), rank=n)
        for n, (d, t) in enumerate([("a", "Stone."), ("b", "The tide does rise.")], start=1)
    )
    request = RankRequest(query=Query(query_id="q1", text="why does the tide rise"), hits=hits)
    trace = rank(FakeStudent(), request)  # type: ignore[arg-type]
    found = make_trace_run("fake", [trace])
    assert [d for d, _ in found.run["q1"]] == list(trace.final_order)
    assert len(found.justifications["q1"]) == 2 and found.seconds["q1"] > 0
    with pytest.raises(InputError, match="'q1' again"):
        make_trace_run("fake", [trace, trace])


# Contrasts


def test_contrasts_by_hand(runs: RunSet) -> None:
    rows = {row.query_id: row for row in list_contrasts(runs, "stage1", "stage2", measure="RR")}
    assert rows["q2"].delta == pytest.approx(1 / 3 - 1)
    assert rows["q3"].delta == pytest.approx(1 - 1 / 3)
    assert rows["q1"].rbo == pytest.approx(1.0)
    assert rows["q1"].disagreement == pytest.approx(0.0, abs=1e-12)
    # a b c against c b a: nothing shared at 1, one of two at 2, all three at 3.
    assert rows["q2"].rbo == pytest.approx((0.9 / 2 + 0.81) / (1 + 0.9 + 0.81))
    assert rows["q2"].words == 4 and rows["q4"].words is None
    assert rows["q2"].judged == pytest.approx(2 / 3)


def test_contrasts_are_ordered_and_filtered(runs: RunSet) -> None:
    rows = list_contrasts(runs, "stage1", "stage2", measure="RR")

    def keep(**wanted: object) -> list[str]:
        found = filter_contrasts(rows, ContrastFilter(**wanted))  # type: ignore[arg-type]
        return [row.query_id for row in found]

    assert [row.query_id for row in sort_contrasts(rows, "delta")] == ["q3", "q1", "q4", "q2"]
    by_contrast = [row.query_id for row in sort_contrasts(tuple(reversed(rows)), "contrast")]
    assert by_contrast[-1] == "q1" and set(by_contrast[:2]) == {"q2", "q3"}
    assert keep() == ["q1", "q2", "q3", "q4"]
    assert keep(text="TIDES") == ["q2"]
    assert keep(text="q4") == ["q4"]
    assert keep(tag="odd") == ["q2"]
    assert keep(max_delta=-0.1) == ["q2"]
    assert keep(min_words=4) == ["q2", "q3"]
    assert keep(min_words=1, max_words=4) == ["q1", "q2"]
    assert keep(min_judged=0.5) == ["q1", "q2"]


def test_contrasts_as_csv_hold_no_formula(runs: RunSet) -> None:
    rows = list_contrasts(runs, "bm25", "stage2")
    found = list(csv.DictReader(io.StringIO(export_contrasts(rows))))
    assert found[0]["query"] == "'=why"
    assert float(found[1]["stage2"]) == rows[1].values["stage2"]
    assert export_contrasts(()).count("\n") == 1


def test_a_run_that_lacks_a_query_disagrees_on_it() -> None:
    runs = make_run_set(make_runs(x={"q1": "ab", "q2": "a"}, y={"q1": "ab"}), QRELS)
    rows = {row.query_id: row for row in list_contrasts(runs, "x", "y", measure="RR")}
    assert (rows["q2"].rbo, rows["q2"].delta) == (0.0, -1.0)
    assert rows["q2"].disagreement == 1.0
    with pytest.raises(InputError, match="two different runs"):
        list_contrasts(runs, "x", "x")


# Failure views


def test_what_stage_2_did(runs: RunSet) -> None:
    found = measure_effect(runs, "stage1", "stage2", measure="RR")
    assert [(q.query_id, q.effect) for q in found.queries] == [
        ("q2", "hurt"),
        ("q1", "same"),
        ("q4", "same"),
        ("q3", "helped"),
    ]
    assert (found.harm_rate, found.help_rate) == (0.25, 0.25)
    assert [q.query_id for q in found.select("hurt")] == ["q2"]
    assert [q.seconds for q in found.queries] == [4.0, 2.0, None, 2.0]
    assert found.seconds == pytest.approx(8 / 3)
    assert found.mean_delta == pytest.approx(0.0)


def test_where_bm25_beats_both(runs: RunSet) -> None:
    assert find_baseline_wins(runs, "bm25", measure="RR") == ()
    (query,) = find_baseline_wins(runs, "stage1", others=["stage2"], measure="RR")
    assert (query.query_id, query.before) == ("q2", 1.0)
    won = make_run_set(make_runs(bm25={"q2": "ab"}, one={"q2": "ba"}, two={"q2": "bca"}), QRELS)
    (query,) = find_baseline_wins(won, "bm25", measure="RR")
    assert (query.before, query.after) == (1.0, 0.5)


def test_groups_by_length_and_by_relevance_depth(runs: RunSet) -> None:
    lengths = {group.name: group.query_ids for group in group_by_length(runs, measure="RR")}
    assert lengths == {"words 1 to 3": ("q1",), "words 4 to 6": ("q2",), "words 7 to 10": ("q3",)}
    depths = group_by_depth(runs, "bm25", measure="RR")
    assert {group.name: group.query_ids for group in depths} == {
        "rank 1": ("q1",),
        "rank 2 to 3": ("q2", "q3"),
        "nothing relevant retrieved": ("q4",),
    }
    assert depths[1].means["stage1"] == pytest.approx((1 + 1 / 3) / 2)
    strict = group_by_depth(runs, "bm25", relevant_from=2, measure="RR")
    assert strict[-1].query_ids == ("q1", "q3", "q4")


# Drill-down


def test_a_query_side_by_side(runs: RunSet) -> None:
    order = ["q3", "q2", "q1"]
    view = view_query(runs, "q2", names=["stage1", "stage2"], order=order)
    assert [row.doc_id for row in view.rows] == ["a", "c", "b"]
    first = view.rows[0]
    assert dict(first.ranks) == {"stage1": 1, "stage2": 3}
    assert first.grade == 2 and view.rows[2].grade is None
    assert first.passage is not None and first.passage.text == "text a"
    assert set(first.justifications) == {"stage2"}
    assert (view.previous, view.next) == ("q3", "q1")
    assert view_query(runs, "q3", order=order).previous == ""
    assert view_query(runs, "q1").next == ""


def test_relevant_passages_that_no_run_has_come_last(runs: RunSet) -> None:
    view = view_query(runs, "q1", depth=1)
    assert [(row.doc_id, row.grade, dict(row.ranks)) for row in view.rows] == [
        ("a", 1, {"bm25": 1, "stage1": 1, "stage2": 1}),
        ("z", 1, {}),
    ]
    assert view.unranked == 1
    with pytest.raises(InputError, match="a query of these runs"):
        view_query(runs, "never ranked")


# The published runs


def test_the_published_runs_load_and_compare(shared_data: Path, tmp_path: Path) -> None:
    qrels = read_qrels(shared_data / "trec" / "dl19.qrels.txt")
    loaded = [load_run(path) for path in sorted((shared_data / "runs").glob("*.trec.gz"))]
    if len(loaded) < 2:
        pytest.skip("no published runs beside the collections")
    runs = make_run_set(loaded, qrels)
    assert len(runs.names) == 5 and len(runs.query_ids) == 43
    table = runs.tabulate("nDCG@10", baseline="dl19.bm25", collection="dl19")
    means = {row.system: row.intervals["nDCG@10"].estimate for row in table.rows}
    assert means["dl19.bm25"] == pytest.approx(0.5058, abs=1e-4)
    assert all(row.is_significant for row in table.rows if row.system != "dl19.bm25")
    rows = sort_contrasts(list_contrasts(runs, "dl19.bm25", "dl19.tas-b"), "contrast")
    assert rows[0].disagreement > rows[-1].disagreement
    view = view_query(runs, rows[0].query_id, depth=10)
    assert any(row.grade for row in view.rows)
    for run in runs.runs:  # written and read again, a run measures the same
        path = tmp_path / f"{run.name}.trec"
        write_run(path, run.run, "again")
        again: Run = read_run(path)
        assert {q: [d for d, _ in r] for q, r in again.items()} == {
            q: [d for d, _ in r] for q, r in run.run.items()
        }
