"""One query before and after a job: a tiny student really trained, and really ranked with twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.library import Library
from app.session import Sessions
from app.train.adapter import AdapterEvents
from app.train.trial import TryEvents, list_queries
from reranker.jobs.folder import JobFolder, write_json
from reranker.jobs.job import Job, create_folder, read_job
from reranker.jobs.settings import (
    DataSettings,
    LoraSettings,
    ScheduleSettings,
    TeacherSettings,
    TrainingSettings,
)
from reranker.training.run import DONE, run_job
from tests.replicas import build_biencoder_student
from tests.test_app_html import XSS, assert_inert


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    student = build_biencoder_student(tmp_path_factory.mktemp("students") / "tiny")
    settings = TrainingSettings(
        student=str(student),
        data=DataSettings(passages=4, mining_depth=5, dev_depth=8, max_dev_queries=4),
        teacher=TeacherSettings(weights="base", quantization="fp32"),
        lora=LoraSettings(rank=4, alpha=8, dropout=0.0),
        schedule=ScheduleSettings(steps=4, batch=2, learning_rate=5e-2, eval_steps=4),
        quantization="fp32",
        threads=1,
    )
    folder = create_folder(settings, tmp_path_factory.mktemp("jobs"))
    assert run_job(folder) == DONE, folder.state.read_text()
    return read_job(folder.path.name, folder.path.parent)


@pytest.fixture(scope="module")
def events(job: Job) -> TryEvents:
    root = job.folder.parent
    return TryEvents(Library(student=job.settings.student, jobs=root), root)


def test_a_dev_query_is_ranked_before_and_after(job: Job, events: TryEvents) -> None:
    query = list_queries(job)[0]
    *busy, shown = events.try_both(job.job_id, query)
    assert len(busy) == 2 and shown.count('<ol class="side">') == 2
    assert "Before: the base without an adapter" in shown and "After: the new adapter" in shown
    assert "It was held out" in shown and "grade " in shown
    before, after = (
        json.loads((job.folder / "evaluations" / f"step-{step}.json").read_text())["values"]
        for step in (0, 4)
    )
    texts = json.loads(JobFolder(job.folder).queries.read_text())
    query_id = next(name for name, text in texts.items() if text == query)
    assert f"{before[query_id]:.4f} before" in shown
    assert f"{after[query_id]:.4f} after" in shown, "what was measured is what is shown"


def test_a_query_of_ones_own_is_ranked_and_not_judged(job: Job, events: TryEvents) -> None:
    *_, shown = events.try_both(job.job_id, f"why do tides rise {XSS}")
    assert "do not judge this query" in shown and '<ol class="side">' in shown
    assert_inert(shown)


@pytest.mark.parametrize(
    ("chosen", "query", "told"),
    [
        ("absent", "tides", "the id of a job"),
        (None, "tides", "the id of a job"),
        ("", "", "the id of a job"),
    ],
)
def test_what_cannot_be_tried_is_told(
    events: TryEvents, chosen: str | None, query: str, told: str
) -> None:
    *_, shown = events.try_both(chosen, query)
    assert told in shown


def test_an_empty_query_is_told(job: Job, events: TryEvents) -> None:
    *_, shown = events.try_both(job.job_id, None)
    assert "Type a query first" in shown


def test_a_job_that_learnt_from_a_file_ranks_the_files_passages(job: Job, tmp_path: Path) -> None:
    rows = [
        {"query": "what rises", "positive": "the tide rises", "negative": ["granite rises not"]},
        {"query": "what cools", "positive": "magma cools", "negative": ["the moon cools not"]},
    ]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    data = DataSettings(format="tevatron", train=str(file), dev_share=0.0)
    folder = create_folder(replace(job.settings, data=data), tmp_path / "jobs")
    shutil.copytree(job.folder / "adapter", folder.adapter)
    write_json(folder.state, {"status": "done", "message": "", "steps": 4})
    library = Library(student=job.settings.student, jobs=tmp_path / "jobs")
    *_, shown = TryEvents(library, tmp_path / "jobs").try_both(folder.path.name, "what rises")
    assert "trained on this query" in shown and shown.count('<ol class="side">') == 2
    file.unlink()
    *_, gone = TryEvents(library, tmp_path / "jobs").try_both(folder.path.name, "what rises")
    assert "mine.jsonl" in gone and "<ol" not in gone


def test_an_adapter_in_use_is_loaded_by_its_name_in_a_new_server(job: Job) -> None:
    root = job.folder.parent
    _, students = AdapterEvents(Library(jobs=root), Sessions(), root).use(job.job_id)
    restarted = Library(student=job.settings.student, jobs=root)
    student = restarted.open_student(students["value"], "fp32")
    assert student.profile.name == students["value"]
    assert student.info().stage1_adapter_sha256
