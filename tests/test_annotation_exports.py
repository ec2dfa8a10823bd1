"""Exports: what training reads back, what other tools import, and nothing that comes to life."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from reranker.annotation.answers import PartAnswer, Span
from reranker.annotation.backup import restore_backup, write_backup
from reranker.annotation.exports import FORMATS, write_exports
from reranker.annotation.importing import import_corpus, import_runs, import_traces
from reranker.annotation.item import make_item
from reranker.annotation.item_files import read_item_file
from reranker.annotation.judging import Judging
from reranker.annotation.push import FILE, BackupScheduler, describe_persistence
from reranker.annotation.store import Store
from reranker.cli import main
from reranker.corpora import load_corpus, load_qrels, load_queries
from reranker.errors import InputError
from reranker.examples.lists import parse_annotation, parse_tevatron, read_items
from reranker.examples.texts import parse_annotated_text, parse_dear_cot
from reranker.parsing import parse_ranking
from reranker.prompts.chat import parse_notes
from reranker.trec import read_qrels
from reranker.types import Passage, Query
from tests.annotation_cases import TEXTS, judge_reason, make_answers, open_judging, save
from tests.test_trace import make_trace

HOSTILE = "</script><img src=x onerror=alert(1)>`````\n---\n# <b>'\"${7*7}{{7*7}}=cmd|' /C calc'!A0"


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Judging, str]:
    judging, project_id = open_judging(tmp_path, items=2)
    answers = make_answers(
        {"d1": 3, "d2": 1, "d3": 0},
        reasons=(
            judge_reason(
                "d1",
                "wrong",
                steps=(PartAnswer(verdict="correct"), PartAnswer(verdict="wrong")),
                evidence="selected",
                spans=(Span(start=0, end=39),),
                correction="Salt keeps water from freezing.",
            ),
            judge_reason("d2", "correct", evidence="none"),
        ),
        order=(("d1",), ("d3",)),
        comment=HOSTILE,
    )
    save(judging, "ann", judging.store.list_items(project_id)[0].item_id, answers, seconds=30)
    return judging, project_id


def export(judged: tuple[Judging, str], name: str, folder: Path) -> Path:
    return write_exports(*judged, [name], folder)[0]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_qrels_and_beir_hold_the_grades(judged: tuple[Judging, str], tmp_path: Path) -> None:
    grades = {"q1": {"d1": 3, "d2": 1, "d3": 0}}
    assert read_qrels(export(judged, "qrels", tmp_path)) == grades
    path = str(export(judged, "beir", tmp_path))
    assert load_qrels(path) == grades
    assert [query.query_id for query in load_queries(path)] == ["q1"]
    assert {p.doc_id: p.text for p in load_corpus(path).passages} == TEXTS


def test_stage1_reads_its_exports(judged: tuple[Judging, str], tmp_path: Path) -> None:
    [graded] = read_items(export(judged, "stage1", tmp_path), parse_annotation).items
    assert {p.passage.doc_id: p.grade for p in graded.passages} == {"d1": 3, "d2": 1, "d3": 0}
    [pairs] = read_items(export(judged, "pairs", tmp_path), parse_tevatron).items
    assert [p.passage.doc_id for p in pairs.positives] == ["d1", "d2"]


def test_stage2_learns_what_people_corrected(judged: tuple[Judging, str], tmp_path: Path) -> None:
    [text] = read_items(export(judged, "stage2", tmp_path), parse_annotated_text).items
    assert "Salt keeps water from freezing." in text.answer
    assert "It names the effect" not in text.answer
    [chat] = read_items(export(judged, "dear-cot", tmp_path), parse_dear_cot).items
    # BM25 listed d3, d1, d2; people put d1 first, d3 second and left d2 out.
    assert parse_ranking(chat.answer.splitlines()[-1], 3).permutation == (1, 0, 2)
    notes = parse_notes(chat.answer, 3)
    assert [note.verdict for note in notes] == ["off_topic", "answers", "related"]
    assert notes[1].quotes == (TEXTS["d1"][:39],)
    [record] = read_lines(tmp_path / "dear-cot.jsonl")
    assert set(record) == {"system", "instruction", "input", "output", "history", "think"}


def test_history_keeps_every_version(judged: tuple[Judging, str], tmp_path: Path) -> None:
    judging, project_id = judged
    item_id = judging.store.list_items(project_id)[0].item_id
    save(judging, "ann", item_id, make_answers({"d1": 0}), base_version=1)
    rows = read_lines(export(judged, "history", tmp_path))
    versions = [row["judgement"] for row in rows if row["type"] == "judgement"]
    assert [v["version"] for v in versions] == [1, 2]
    assert versions[0]["answers"]["comment"] == HOSTILE


def test_other_tools_get_their_forms(judged: tuple[Judging, str], tmp_path: Path) -> None:
    with zipfile.ZipFile(export(judged, "argilla", tmp_path)) as archive:
        records = json.loads(archive.read("records.json"))
        settings = json.loads(archive.read(".argilla/settings.json"))
    assert len(records) == 6 and len({record["id"] for record in records}) == 6
    first = next(r for r in records if r["metadata"]["doc_id"] == "d1" and r["suggestions"])
    assert first["suggestions"]["grade"] == {"value": "3", "agent": "one annotator"}
    assert first["suggestions"]["verdict"]["value"] == "wrong"
    # A server refuses answers of people it does not know, and what its settings do not name.
    assert all(not record["responses"] for record in records)
    named = {question["name"] for question in settings["questions"]}
    assert all(set(record["suggestions"]) <= named for record in records)
    fields = {field["name"]: field["required"] for field in settings["fields"]}
    required = {name for name, needed in fields.items() if needed}
    assert all(required <= set(record["fields"]) <= set(fields) for record in records)
    names = {field["name"] for field in settings["metadata"]}
    assert all(all(r["metadata"].values()) and set(r["metadata"]) <= names for r in records)
    with zipfile.ZipFile(export(judged, "label-studio", tmp_path)) as archive:
        tasks = json.loads(archive.read("tasks.json"))
        interface = ElementTree.fromstring(archive.read("labelling-interface.xml"))
    named = {element.get("name") for element in interface.iter() if element.get("name")}
    results = [r for t in tasks for a in t["annotations"] for r in a["result"]]
    assert {r["from_name"] for r in results} <= named
    choices = {choice.get("value") for choice in interface.iter("Choice")}
    assert {c for r in results for c in r["value"].get("choices", ())} <= choices
    assert not any("completed_by" in a for t in tasks for a in t["annotations"])
    assert all(len(t["data"]["annotators"]) == len(t["annotations"]) for t in tasks)
    assert all(len({r["id"] for r in a["result"]}) == len(a["result"])
               for t in tasks for a in t["annotations"])  # fmt: skip
    [span] = [r["value"] for r in results if r["type"] == "labels"]
    assert (span["start"], span["end"], span["text"]) == (0, 39, TEXTS["d1"][:39])


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, guidelines=HOSTILE)
    hostile = make_item(
        Query(query_id="q9", text=HOSTILE), [Passage(doc_id="d1", text=HOSTILE, title=HOSTILE)]
    )
    judging.store.add_items(project_id, [hostile])
    save(judging, "</b><i>ann", hostile.item_id, make_answers({"d1": 3}, comment=HOSTILE))
    paths = write_exports(judging, project_id, list(FORMATS), tmp_path)
    assert len(paths) == len(FORMATS)
    card = (tmp_path / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["pretty_name"] == "Salt"
    # The guidelines stand in a fence longer than any run of backticks in them.
    opening = card.index("``````text\n") + len("``````text\n")
    assert card[opening:].startswith(HOSTILE + "\n``````\n")
    assert "<img" not in card.replace(HOSTILE, "")
    [record] = read_lines(tmp_path / "stage1.jsonl")
    assert record["query"] == HOSTILE


def test_ids_a_form_cannot_hold_are_refused(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    item = make_item(Query(query_id="q 9\tx", text="why?"), [Passage(doc_id="d 1", text="so")])
    judging.store.add_items(project_id, [item])
    save(judging, "ann", item.item_id, make_answers({"d 1": 3}))
    for name in ("qrels", "beir"):
        with pytest.raises(InputError, match="rename"):
            write_exports(judging, project_id, [name], tmp_path)
    assert read_lines(write_exports(judging, project_id, ["stage1"], tmp_path)[0])


def test_nothing_judged_is_said(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    with pytest.raises(InputError, match="judged item"):
        write_exports(judging, project_id, ["qrels"], tmp_path)
    with pytest.raises(InputError, match="formats among"):
        write_exports(judging, project_id, ["csv"], tmp_path)


def test_a_backup_comes_back_whole_or_not_at_all(
    judged: tuple[Judging, str], tmp_path: Path
) -> None:
    judging, project_id = judged
    write_backup(judging.store, tmp_path / "a.zip")
    other = Judging(Store(f"sqlite:///{tmp_path / 'other.db'}"))
    restore_backup(other.store, tmp_path / "a.zip")
    assert other.history(project_id) == judging.history(project_id)
    assert other.store.list_people(project_id) == judging.store.list_people(project_id)
    with pytest.raises(InputError, match="empty store"):
        restore_backup(other.store, tmp_path / "a.zip")
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(tmp_path / "a.zip") as whole, zipfile.ZipFile(broken, "w") as part:
        for name in whole.namelist():
            text = whole.read(name).decode()
            changed = text.replace('"version": 1', '"version": 2') if "judge" in name else text
            part.writestr(name, changed)
    third = Store(f"sqlite:///{tmp_path / 'third.db'}")
    with pytest.raises(InputError, match="another hash"):
        restore_backup(third, broken)
    assert third.list_projects() == ()
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(InputError, match="expected a backup"):
        restore_backup(third, tmp_path / "no.zip")


class _Hub:
    """Stands where the hub's API stands: keeps what would have been committed."""

    def __init__(self) -> None:
        self.commits: list[bytes] = []

    def create_repo(self, repo_id: str, **options: Any) -> Any:
        assert options["private"] is True and options["repo_type"] == "dataset"
        return type("Repo", (), {"repo_id": repo_id})()

    def run_as_future(self, work: Any) -> Any:
        return None

    def create_commit(self, operations: Any, **options: Any) -> None:
        for operation in operations:
            with operation.as_file() as file:
                self.commits.append(file.read())


def test_what_is_pushed_is_a_backup_of_now(judged: tuple[Judging, str], tmp_path: Path) -> None:
    judging, project_id = judged
    hub: Any = _Hub()
    pusher = BackupScheduler(judging.store, "ann/salt", tmp_path / "pushed", 60, api=hub)
    pusher.push_to_hub()
    item_id = judging.store.list_items(project_id)[0].item_id
    save(judging, "ann", item_id, make_answers({"d1": 0}), base_version=1)
    os.utime(tmp_path / "pushed" / FILE, (1, 1))
    pusher.push_to_hub()
    pusher.stop()
    (tmp_path / "taken.zip").write_bytes(hub.commits[-1])
    back = Judging(Store(f"sqlite:///{tmp_path / 'back.db'}"))
    restore_backup(back.store, tmp_path / "taken.zip")
    assert len(hub.commits) == 2 and len(back.history(project_id)) == 2


def test_a_disk_that_is_lost_is_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DEAR_ANNOTATIONS", str(tmp_path))
    assert describe_persistence().warning == ""
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert "every annotation" in describe_persistence().warning
    monkeypatch.setenv("DEAR_ANNOTATIONS_REPO", "someone/answers")
    assert "every 5 minutes" in describe_persistence().warning
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/x")
    assert describe_persistence().warning == ""


def test_items_from_a_corpus_and_from_runs(tmp_path: Path) -> None:
    items = import_corpus("everyday-science", depth=3)
    assert items and all(1 <= len(item.passages) <= 3 for item in items)
    item = items[0]
    assert sorted(item.orders[0].doc_ids) == sorted(p.doc_id for p in item.passages)
    query_id = item.query.query_id
    lines = [f"{query_id} Q0 {d} {n} {9 - n} t" for n, d in enumerate(item.orders[0].doc_ids)]
    for name in ("a.trec", "b.trec"):
        (tmp_path / name).write_text("\n".join(lines))
    [pooled] = import_runs([tmp_path / "a.trec", tmp_path / "b.trec"], "everyday-science")
    assert [order.system for order in pooled.orders] == ["a.trec", "b.trec"]
    assert pooled.passages == item.passages


def test_items_from_traces_are_pooled() -> None:
    trace = make_trace()
    other = replace(trace, student=replace(trace.student, name="other"))
    [item] = import_traces([("a", trace), ("b", other), ("c", trace)])
    name = trace.student.name
    systems = {order.system for order in item.orders}
    assert {"BM25", "other, final", f"{name}, final", f"{name} 2, final"} < systems
    # A text the program put in is nobody's reasoning.
    assert {r.doc_id for r in item.reasonings} == {"a", "c/ü"}
    assert {r.system for r in item.reasonings} == {name, "other", f"{name} 2"}
    typed = replace(trace, query=Query(query_id="q1", text=trace.query.text))
    [item] = import_traces([("a", typed)], depth=1)
    assert item.query.query_id.startswith("q-") and len(item.passages) == 1


def test_items_from_files(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    record = {
        "query_id": "q1",
        "query": "why?",
        "passages": [
            {"doc_id": "d1", "text": "So it is.", "justification": "Yes.", "quotes": ["So it"]},
            {
                "doc_id": "d2",
                "text": "No.",
                "justifications": [{"system": "a", "text": "One. Two."}],
            },
        ],
        "orders": {"a": ["d2", "d1"]},
        "gold": {"grades": {"d1": 3}},
    }
    path.write_text(json.dumps(record))
    [item] = read_item_file(path)
    assert item.gold is not None and item.gold.grades == {"d1": 3}
    assert item.find_reasoning("d1", "model").evidence[0].text == "So it"
    assert len(item.find_reasoning("d2", "a").steps) == 2
    path.write_text(
        json.dumps({"query_id": "q", "query": "why?", "hits": [{"doc_id": "d1", "text": "so"}]})
    )
    assert [len(item.passages) for item in read_item_file(path)] == [1]
    for broken in ({"orders": {"a": ["d9"]}}, {"gold": {"mood": 1}}, {"passages": []}):
        path.write_text(json.dumps(record | broken))
        with pytest.raises(InputError, match=r"items\.jsonl:1"):
            read_item_file(path)


def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DEAR_ANNOTATIONS", str(tmp_path / "store"))
    (tmp_path / "p.yaml").write_text("name: Salt\nproject_id: salt\noverlap: 2\n")

    def call(*words: str) -> str:
        assert main(["annotate", *words]) == 0
        return capsys.readouterr().out

    assert call("create", str(tmp_path / "p.yaml"), "--owner", "olga") == "salt\n"
    assert "items added" in call("import", "salt", "--corpus", "everyday-science", "--depth", "3")
    assert "ann\tannotator" in call("people", "salt", "--set", "ann", "annotator")
    assert "ann\tannotator\t0 judged" in call("people", "salt", "--assign", "ann", "2")
    assert len(Judging(Store()).assignments.list_given("salt", "ann")) == 2
    assert main(["annotate", "people", "salt", "--assign", "ann", "all"]) == 1
    call("people", "salt", "--unassign", "ann")
    assert not Judging(Store()).assignments.list_given("salt", "ann")
    [gold, *_] = Judging(Store()).store.list_queries("salt")
    Judging(Store()).store.set_gold("salt", gold, make_answers({}))
    call("people", "salt", "--assign", "ann", "gold")
    assert Judging(Store()).assignments.list_given("salt", "ann") == {gold}
    capsys.readouterr()
    assert main(["annotate", "export", "salt", "--out", str(tmp_path)]) == 1
    assert "judged item" in capsys.readouterr().err
    judging = Judging(Store())
    item_id = judging.assignments.next_item("salt", "ann") or ""
    item = judging.store.get_item("salt", item_id)
    save(judging, "ann", item_id, make_answers({p.doc_id: 1 for p in item.passages}))
    assert "qrels.txt" in call("export", "salt", "--format", "all", "--out", str(tmp_path / "out"))
    assert "1 items judged" in call("agreement", "salt")
    assert "judgements\t1" in call("backup", str(tmp_path / "a.zip"))
    monkeypatch.setenv("DEAR_ANNOTATIONS", str(tmp_path / "other"))
    assert "judgements\t1" in call("restore", str(tmp_path / "a.zip"))
    assert "Salt" in call("list")
