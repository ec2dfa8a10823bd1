"""Systems run from the Compare tab, with a student without weights; experiments as files."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import library as library_module
from app.compare.comparison import collect_runs, compare_runs
from app.compare.events import OWN_FILE, CompareEvents
from app.compare.experiments import gather_experiments, name_experiment, write_experiment
from app.compare.sources import read_files
from app.compare.systems import (
    list_judged,
    make_plan,
    open_collection,
    read_collection,
    stream_evaluation,
)
from app.library import Library
from app.rank.events import RankEvents
from app.session import Sessions
from reranker.errors import InputError
from reranker.evaluation.experiment import Experiment
from reranker.evaluation.experiment_archive import list_experiments
from reranker.evaluation.run_set import NamedRun
from reranker.systems.running import SystemProgress
from tests.fake_student import FakeStudent, make_profile
from tests.test_app_compare import FakeRequest

ALL = ["blend", "both", "stage2", "stage1", "bm25"]
CORPUS = "everyday-science"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(library_module, "load_profile", lambda name: make_profile())
    return Library(load_student=lambda name, quantization: FakeStudent())  # type: ignore[arg-type,return-value]


@pytest.fixture
def experiment(library: Library) -> Experiment:
    plan = make_plan(ALL, "mini", 8, 4, 3, "nDCG@10")
    collection = open_collection(library, CORPUS, plan)
    *_, last = stream_evaluation(library, collection, plan, lambda: False)
    assert isinstance(last, Experiment)
    return last


def evaluate(events: CompareEvents, page: Any, *values: Any) -> list[tuple[Any, ...]]:
    return list(events.evaluate(page, *values))


def order(run: NamedRun) -> dict[str, list[str]]:
    return {query_id: [d for d, _ in ranking] for query_id, ranking in run.run.items()}


def choose(**other: Any) -> tuple[Any, ...]:
    values = {
        "source": CORPUS, "file": None, "qrels": None, "student": "mini",
        "systems": ["bm25", "stage1"], "depth": 5, "stage2_depth": 5, "limit": 4, "keep": False,
        "measures": "RR",
    }  # fmt: skip
    return tuple((values | other).values())


def test_all_systems_of_a_corpus(experiment: Experiment) -> None:
    assert experiment.names == ("bm25", "mini:stage1", "mini:stage2", "mini:both", "mini:blend")
    assert [query.query_id for query in experiment.queries] == ["q01", "q02", "q03"]
    assert set(experiment.qrels) == {"q01", "q02", "q03"}
    assert experiment.settings["stage2_depth"] == "4"
    assert all(len(ranking) == 8 for s in experiment.systems for ranking in s.run.values())
    both, first = experiment.system("mini:both"), experiment.system("mini:stage1")
    assert both.justifications and not first.justifications
    assert all(both.seconds[q] > first.seconds[q] for q in both.seconds)


def test_it_tells_every_query_and_stops(library: Library) -> None:
    plan = make_plan(["bm25", "stage1"], "mini", 5, 5, 4, "RR")
    collection = open_collection(library, CORPUS, plan)
    steps = list(stream_evaluation(library, collection, plan, lambda: False))
    told = [(s.system, s.done) for s in steps if isinstance(s, SystemProgress)]
    assert told == [("bm25", n) for n in range(1, 5)] + [("mini:stage1", n) for n in range(1, 5)]


def test_only_corpora_with_judgements_are_offered(library: Library) -> None:
    assert [corpus_id for _, corpus_id in list_judged(library)] == [CORPUS]
    plan = make_plan(["bm25", "stage1"], "mini", 5, 5, 0, "RR")
    with pytest.raises(InputError, match="with judged queries, got 'python-docs'"):
        open_collection(library, "python-docs", plan)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((["bm25"], "mini", 5, 5, 0, "RR"), "two systems or more, got 1"),
        ((["bm25", "rm -rf"], "mini", 5, 5, 0, "RR"), "two systems or more, got 1"),
        ((["bm25", "stage1"], "mini", 0, 5, 0, "RR"), "1 to 100 candidates, got 0"),
        ((["bm25", "stage1"], "mini", 5, 101, 0, "RR"), "passages for stage 2, got 101"),
        ((["bm25", "stage1"], "mini", 5, 5, -1, "RR"), "0 to 1,000 queries, got -1"),
        ((["bm25", "stage1"], "mini", None, 5, 0, "RR"), "candidates, got None"),
    ],
)
def test_plans_that_cannot_be(values: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_plan(*values)


def test_an_uploaded_collection(tmp_path: Path) -> None:
    plan = make_plan(["bm25", "stage1"], "mini", 5, 5, 0, "RR")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("corpus.jsonl", '{"_id": "a", "text": "the tide"}\n')
        archive.writestr("queries.jsonl", '{"_id": "q1", "text": "tide"}\n')
        archive.writestr("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t1\n")
    found = read_collection(tmp_path / "mine.zip", None, plan)
    assert found.name == "mine" and found.lists[0].hits[0].passage.doc_id == "a"
    hits = [{"qid": "q1", "docid": "a", "content": "the tide", "rank": 1, "score": 1.0}]
    (tmp_path / "list.json").write_text(json.dumps([{"query": "tide", "hits": hits}]))
    (tmp_path / "qrels.txt").write_text("q1 0 a 1\n")
    assert read_collection(tmp_path / "list.json", tmp_path / "qrels.txt", plan).qrels
    with pytest.raises(InputError, match="give --qrels|choose a qrels file"):
        read_collection(tmp_path / "list.json", None, plan)


def test_an_experiment_is_compared_saved_and_uploaded_again(
    experiment: Experiment, tmp_path: Path
) -> None:
    material = gather_experiments([experiment])
    comparison = compare_runs(collect_runs(material), collection=material.collection)
    assert comparison.find_effect("q01").seconds is not None
    path = write_experiment(experiment, tmp_path)
    assert path.name == f"{name_experiment(experiment)}.zip"
    again = read_files([path], None, None)
    assert [order(run) for run in again.runs] == [order(run) for run in material.runs]
    assert again.runs[3].justifications == material.runs[3].justifications
    assert again.qrels == material.qrels
    assert again.passages == material.passages and again.collection == CORPUS


def test_experiments_that_do_not_fit(experiment: Experiment) -> None:
    with pytest.raises(InputError, match="experiments to compare, got none"):
        gather_experiments([])
    with pytest.raises(InputError, match="measured by answers"):
        gather_experiments([replace(experiment, qrels={})])
    other = replace(experiment, qrels={"q01": {"x": 1}})
    with pytest.raises(InputError, match="other grades for 'q01'"):
        gather_experiments([experiment, other])
    noted = replace(experiment, collection_sha256="other", note="a copy")
    assert len(gather_experiments([experiment, noted]).notes) == 2


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DEAR_EXPERIMENTS", str(tmp_path / "kept"))
    monkeypatch.delenv("SPACE_ID", raising=False)
    yield tmp_path / "kept"


def test_the_panel_runs_compares_and_keeps(library: Library, kept: Path) -> None:
    sessions = Sessions()
    events = CompareEvents(RankEvents(library, sessions))
    page: Any = FakeRequest("one")
    events.begin_evaluation(page)
    steps = evaluate(events, page, *choose(keep=True))
    (name,) = list_experiments()
    assert f"Kept on this machine as {name}" in steps[-1][0]
    held = sessions.comparison("one")
    assert held is not None and held.runs.names == ("bm25", "mini:stage1")
    _, offered = events.list_saved(page)
    other: Any = FakeRequest("two")
    assert "Expected experiments" in list(events.compare_experiments([], "RR", other))[-1][0]
    assert sessions.comparison("two") is None
    twice = list(events.compare_experiments([name], "RR", other))
    assert twice[-1][0] == "" and sessions.comparison("two") is not None


def test_on_a_space_nothing_is_kept(
    library: Library, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/something")
    events = CompareEvents(RankEvents(library, Sessions()))
    page: Any = FakeRequest("one")
    assert "2 systems." in evaluate(events, page, *choose(keep=True))[-1][0]
    assert list_experiments() == ()


def test_a_stopped_evaluation_leaves_what_was_there(library: Library) -> None:
    sessions = Sessions()
    events = CompareEvents(RankEvents(library, sessions))
    page: Any = FakeRequest("one")
    events.begin_evaluation(page)
    events.stop_evaluation(page)
    (only,) = evaluate(events, page, *choose())
    assert "Stopped" in only[0] and sessions.comparison("one") is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"source": OWN_FILE}, "Expected a collection, got none"),
        ({"source": "../etc"}, "Expected a corpus called one of"),
        ({"measures": "nonsense"}, "nonsense"),
        ({"systems": []}, "two systems or more"),
    ],
)
def test_what_cannot_be_run_is_told(library: Library, other: dict[str, Any], words: str) -> None:
    events = CompareEvents(RankEvents(library, Sessions()))
    page: Any = FakeRequest("one")
    assert words in evaluate(events, page, *choose(**other))[-1][0]


def test_files_may_mix_runs_and_experiments(experiment: Experiment, tmp_path: Path) -> None:
    packed = write_experiment(experiment, tmp_path)
    ranking = experiment.system("bm25").run["q01"]
    lines = "".join(
        f"q01 Q0 {d} {rank} {score} t\n" for rank, (d, score) in enumerate(ranking, start=1)
    )
    (tmp_path / "bm25.trec.gz").write_bytes(gzip.compress(lines.encode()))
    names = [run.name for run in read_files([packed, tmp_path / "bm25.trec.gz"], None, None).runs]
    assert names == ["bm25", "bm25 (2)", "mini:stage1", "mini:stage2", "mini:both", "mini:blend"]
