"""Experiments: running systems, saving, opening again, and the tables made of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reranker import cli
from reranker.candidates import CandidateList
from reranker.errors import CancelledError, DearError, EndpointError, InputError
from reranker.evaluation.collection import Collection
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_folder import open_experiment, save_experiment
from reranker.evaluation.published import list_published, load_published
from reranker.evaluation.result_table import build_table, tabulate_experiment
from reranker.evaluation.table_exports import CSV_COLUMNS, export_table
from reranker.progress import Cancelled
from reranker.systems.running import run_systems
from reranker.systems.system import FirstStage, SystemRanking
from reranker.trec import rank_by_position
from reranker.types import Evidence, Hit, Justification, Passage, Query

QUERIES = 12


def make_collection(queries: int = QUERIES) -> Collection:
    """Five candidates a query; the relevant one stands at place 1 + n % 5."""
    lists, qrels = [], {}
    for n in range(queries):
        query = Query(query_id=f"q{n}", text=f"question, number {n}")
        hits = tuple(
            Hit(passage=Passage(doc_id=f"d{n}-{p}", text=f"text {p}"), rank=p, bm25_score=9.0 - p)
            for p in range(1, 6)
        )
        lists.append(CandidateList(query=query, hits=hits))
        qrels[query.query_id] = {f"d{n}-5": 0, f"d{n}-{1 + n % 5}": 2}
    return Collection(name="made", lists=tuple(lists), qrels=qrels, first_stage="by hand")


class Knowing:
    """Puts one passage first: what `best` says of the query's number."""

    description = "knows"

    def __init__(self, name: str = "knowing", fail: Sequence[int] = ()) -> None:
        self.name, self.fail, self.closed = name, fail, False

    def rank(self, query: Query, hits: Sequence[Hit], *, cancelled: Cancelled) -> SystemRanking:
        number = int(query.query_id[1:])
        if number in self.fail:
            raise EndpointError("no answer")
        best = f"d{number}-{1 + number % 5}"
        rest = [hit.passage.doc_id for hit in hits if hit.passage.doc_id != best]
        note = Justification(
            doc_id=best,
            verdict="answers",
            text="because",
            evidence=(Evidence(start=0, end=4, text="text"),),
        )
        return SystemRanking(
            ranking=rank_by_position([best, *rest]),
            seconds=0.5,
            defects=("missing: [3]",) if number == 0 else (),
            justifications=(note,),
        )

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def experiment() -> Experiment:
    knowing = Knowing()
    found = run_systems(
        make_collection(),
        [FirstStage(), knowing],
        measures="nDCG@10 RR",
        depth=5,
        settings={"why": "a test"},
    )
    assert knowing.closed
    return found


def test_a_run_experiment_holds_everything(experiment: Experiment) -> None:
    assert experiment.names == ("bm25", "knowing")
    assert experiment.baseline == "bm25"
    measured = experiment.measure()
    assert [r.measure for r in measured["knowing"]] == ["nDCG@10", "RR", "Judged@10"]
    assert measured["knowing"][1].mean == 1.0
    # The relevant passage stands at places 1 to 5 in turn.
    places = [1 + n % 5 for n in range(QUERIES)]
    expected = sum(1 / place for place in places) / QUERIES
    assert measured["bm25"][1].mean == pytest.approx(expected)
    assert experiment.system("knowing").seconds_per_query == 0.5
    assert experiment.system("knowing").defects == {"q0": ("missing: [3]",)}
    assert len(experiment.passages) == QUERIES * 5


def test_a_saved_experiment_opens_as_it_was(experiment: Experiment, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "experiment"
    save_experiment(experiment, folder)
    again = open_experiment(folder)
    assert again == experiment
    assert tabulate_experiment(again) == tabulate_experiment(experiment)
    with pytest.raises(InputError, match="new or empty folder"):
        save_experiment(experiment, folder)


def test_the_folder_is_a_collection_for_other_tools(experiment: Experiment, tmp_path: Path) -> None:
    save_experiment(experiment, tmp_path)
    from reranker.evaluation.sources import load_collection

    assert load_collection(str(tmp_path)).qrels == experiment.qrels
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert runs == ["01-bm25.trec.gz", "02-knowing.trec.gz"]


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("qrels/test.tsv", "d0-1\t2", "d0-2\t2", "a file was changed"),
        ("experiment.json", '"measures"', '"measure"', "expected a saved experiment"),
        ("experiment.json", "runs/01-bm25", "../../01-bm25", "runs inside the folder"),
        ("experiment.json", "dear-experiment/1", "dear-experiment/2", "expected a saved"),
        ("experiment.json", '"nDCG@10": ', '"nDCG@11": ', "a file was changed"),
    ],
)
def test_a_changed_folder_is_noticed(
    experiment: Experiment, tmp_path: Path, file: str, before: str, after: str, message: str
) -> None:
    save_experiment(experiment, tmp_path)
    path = tmp_path / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        open_experiment(tmp_path)


def test_a_folder_that_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder with experiment.json, got none"):
        open_experiment(tmp_path)


def test_a_few_failures_count_as_zero_and_are_kept(tmp_path: Path) -> None:
    found = run_systems(
        make_collection(), [Knowing(fail=(1, 4))], measures="RR", depth=5, baseline="knowing"
    )
    assert dict(found.systems[0].failures) == {"q1": "no answer", "q4": "no answer"}
    assert found.measure()["knowing"][0].mean == pytest.approx((QUERIES - 2) / QUERIES)
    assert tabulate_experiment(found).rows[0].failures == 2
    assert "2 rankings failed" in export_table(tabulate_experiment(found), "markdown")
    save_experiment(found, tmp_path)
    assert open_experiment(tmp_path) == found


@pytest.mark.parametrize(("queries", "fail"), [(12, (3, 4, 5)), (2, (0, 1)), (1, (0,))])
def test_a_system_that_keeps_failing_stops_everything(queries: int, fail: tuple[int, ...]) -> None:
    with pytest.raises(EndpointError):
        run_systems(make_collection(queries), [Knowing(fail=fail)], measures="RR", depth=5)


def test_a_system_that_loses_a_passage_is_a_fault() -> None:
    class Losing(Knowing):
        def rank(self, query: Query, hits: Sequence[Hit], *, cancelled: Cancelled) -> SystemRanking:
            return SystemRanking(ranking=rank_by_position([hits[0].passage.doc_id]), seconds=0.0)

    with pytest.raises(DearError, match="each candidate of 'q0' once"):
        run_systems(make_collection(), [Losing()], measures="RR", depth=5)


def test_stopping_and_progress() -> None:
    seen: list[tuple[str, int, int]] = []
    with pytest.raises(CancelledError, match="after 3 queries"):
        run_systems(
            make_collection(),
            [FirstStage()],
            depth=5,
            on_progress=lambda *step: seen.append(step),
            cancelled=lambda: len(seen) == 3,
        )
    assert seen == [("bm25", n, QUERIES) for n in (1, 2, 3)]


def test_what_cannot_be_run_is_refused() -> None:
    with pytest.raises(InputError, match="names of their own"):
        run_systems(make_collection(), [FirstStage(), FirstStage()], depth=5)
    with pytest.raises(InputError, match="a baseline among them"):
        run_systems(make_collection(), [FirstStage()], depth=5, baseline="other")
    with pytest.raises(InputError, match="a collection with queries"):
        run_systems(make_collection(0), [FirstStage()], depth=5)
    with pytest.raises(InputError, match="ir_measures"):
        run_systems(make_collection(), [FirstStage()], depth=5, measures="nothing")


def test_answers_are_measured_too() -> None:
    collection = replace(make_collection(), answers={"q0": ("TEXT 1",), "q1": ("nowhere",)})
    found = run_systems(collection, [FirstStage()], measures="RR", depth=5)
    means = {result.measure: result.mean for result in found.measure()["bm25"]}
    assert (means["Top-1"], means["Top-20"]) == (0.5, 0.5)
    only = replace(found, qrels={})
    assert [r.measure for r in only.measure()["bm25"]] == ["Top-1", "Top-5", "Top-10", "Top-20"]


# Tables


def test_the_order_of_queries_never_matters(experiment: Experiment) -> None:
    turned = replace(
        experiment,
        qrels=dict(reversed(experiment.qrels.items())),
        systems=tuple(
            replace(system, run=dict(reversed(system.run.items()))) for system in experiment.systems
        ),
    )
    assert tabulate_experiment(turned) == tabulate_experiment(experiment)


def test_the_tables_numbers_by_hand(experiment: Experiment) -> None:
    table = tabulate_experiment(experiment, main="RR")
    base, knowing = table.rows
    assert base.difference is None and knowing.difference is not None
    assert (knowing.difference.wins, knowing.difference.ties, knowing.difference.losses) == (
        9,
        3,
        0,
    )
    assert knowing.is_significant
    assert table.queries == QUERIES
    with pytest.raises(InputError, match="a measure among"):
        tabulate_experiment(experiment, main="AP")


def test_systems_measured_differently_are_refused(experiment: Experiment) -> None:
    measured = {**experiment.measure()}
    measured["bm25"] = measured["bm25"][:1]
    with pytest.raises(InputError, match="measured alike"):
        build_table(measured, collection="x", baseline="bm25")


def test_csv_has_every_number_and_no_formula(experiment: Experiment) -> None:
    first = replace(experiment.systems[0], name="=HYPERLINK(1)")
    hostile = replace(experiment, systems=(first, experiment.systems[1]), baseline="=HYPERLINK(1)")
    text = export_table(tabulate_experiment(hostile), "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * 3
    assert rows[0]["system"] == "'=HYPERLINK(1)"
    assert float(rows[3]["mean"]) == experiment.measure()["knowing"][0].mean
    assert rows[3]["wins"] == "9" and rows[4]["wins"] == ""
    assert {len(row) for row in csv.reader(io.StringIO(text))} == {len(CSV_COLUMNS)}


def test_markdown_and_latex_escape_what_they_hold(experiment: Experiment) -> None:
    named = replace(experiment.systems[1], name="a|b_c%\\x")
    table = tabulate_experiment(replace(experiment, systems=(experiment.systems[0], named)))
    markdown = export_table(table, "markdown")
    assert "| a\\|b_c%\\\\x |" in markdown
    assert "*" in markdown and "9/3/0" in markdown
    latex = export_table(table, "latex")
    assert r"a|b\_c\%\textbackslash{}x" in latex
    lines = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len({line.count(" & ") for line in lines}) == 1


def test_a_name_from_a_file_ends_no_row_and_no_comment(experiment: Experiment) -> None:
    evil = "x\n\\input{/etc/passwd}\r\u2028<script>| &"
    systems = (experiment.systems[0], replace(experiment.systems[1], name=evil))
    table = tabulate_experiment(replace(experiment, systems=systems, collection=evil))
    plain = tabulate_experiment(experiment)
    for form in ("markdown", "latex"):
        text = export_table(table, form)
        assert len(text.splitlines()) == len(export_table(plain, form).splitlines())
    latex = export_table(table, "latex")
    outside = [line for line in latex.splitlines() if not line.startswith("%")]
    assert not any("\\input" in line for line in outside)
    assert "\\<script" in export_table(table, "markdown")


def test_published_figures_stand_apart(experiment: Experiment) -> None:
    table = tabulate_experiment(replace(experiment, collection="dl19"))
    for form in ("markdown", "csv", "latex"):
        text = export_table(table, form)  # type: ignore[arg-type]
        line = next(line for line in text.splitlines() if "DeAR-L-8B" in line)
        assert "published: DeAR, arXiv 2508.16998" in line
        assert "0.7791" in line
    assert "not measured here" in export_table(table, "markdown")
    assert not tabulate_experiment(experiment).published


def test_the_published_figures_are_the_papers() -> None:
    values = {(f.collection, f.system, f.measure): f.value for f in load_published()}
    assert values["dl19", "BM25", "nDCG@10"] == 0.5058
    assert values["dl20", "DeAR-L-8B", "nDCG@10"] == 0.7563
    assert values["nq", "DeAR", "Top-1"] == 0.5429
    assert all(0 < f.value < 1 and f.source for f in load_published())
    assert [f.measure for f in list_published("novel-eval", ["nDCG@5"])] == ["nDCG@5"]
    assert len(values) == len(load_published())


# The command line


def test_evaluate_over_a_collection_prints_saves_and_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "saved"
    arguments = ["evaluate", "--corpus", "everyday-science", "--systems", "bm25", "--depth", "20"]
    assert cli.main([*arguments, "--measures", "nDCG@10", "--out", str(folder)]) == 0
    printed = capsys.readouterr()
    assert "| bm25 | 0." in printed.out and "Judged@10" in printed.out
    assert "everyday-science:" in printed.err
    assert cli.main(["evaluate", "--open", str(folder)]) == 0
    assert capsys.readouterr().out == printed.out
    assert cli.main(["evaluate", "--open", str(folder), "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("collection,system,measure,origin")
    assert cli.main([*arguments, "--out", str(folder)]) == 1
    assert "new or empty folder" in capsys.readouterr().err
    manifest = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["stage2_depth"] == "None"


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate"],
        ["evaluate", "--collection", "dl19"],
        ["evaluate", "--corpus", "everyday-science"],
        ["evaluate", "--run", "a", "--collection", "dl19"],
        ["evaluate", "--collection", "x", "--systems", "rankgpt:x", "--stride", "30"],
    ],
)
def test_options_that_need_one_another(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
