"""The Train tab without a browser: forms become settings, and a job's folder becomes a page."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from app.library import Library
from app.rank.events import SKIP
from app.session import Sessions
from app.train.adapter import AdapterEvents
from app.train.board import NO_JOB, Board, JobBoard
from app.train.config import read_config, write_config
from app.train.events import FORM, TrainEvents, is_training_on, read_values
from app.train.facts import describe_start, list_facts, write_duration
from app.train.figures import SHOWN_POINTS, draw_progress
from app.train.html import (
    render_data,
    render_gain,
    render_job,
    render_jobs,
    render_loaded,
    render_log,
    render_off,
    render_settings_difference,
)
from app.train.options import (
    OPTIONS,
    OWN_FILE,
    Form,
    Offer,
    list_differences,
    list_settings,
    read_form,
    write_command,
)
from reranker.cli import main
from reranker.errors import InputError
from reranker.examples.report import inspect_data
from reranker.jobs.folder import JobFolder, write_json
from reranker.jobs.job import Job, create_folder, read_job
from reranker.jobs.kept import delete_job
from reranker.jobs.outcome import is_measured, measure_outcome
from reranker.jobs.presets import make_settings
from reranker.jobs.progress import EVALUATION, STEP, ProgressLog
from reranker.jobs.settings import Stage, TrainingSettings, dump_settings, parse_settings
from tests.test_app_html import XSS, assert_inert

OFFER = Offer(students=("mini",), sources=("everyday-science",), corpora=("everyday-science",))


def fill_form(preset: str, stage: Stage, **changes: object) -> Form:
    settings = make_settings("paper" if preset == "paper" else "quick", stage)
    values = list_settings(settings)
    form = Form(
        student="mini",
        stage=stage,
        preset=preset,
        source="everyday-science" if stage == "stage1" else OWN_FILE,
        file="/tmp/x/mine.jsonl",
        format="tevatron" if stage == "stage1" else "prompts",
        corpus="",
        options={option.name: values[option.name] for option in OPTIONS},
    )
    return replace(form, **changes)  # type: ignore[arg-type]


def write_job(root: Path, settings: TrainingSettings | None = None, status: str = "done") -> Job:
    """A job's folder as its own writers leave it, after 4 of 4 steps."""
    folder = create_folder(settings or make_settings("quick", "stage1"), root)
    log = ProgressLog(folder.progress)
    write_json(folder.state, {"status": status, "message": f"ended {XSS}", "steps": 4})
    before, after = {"q1": 0.5, "q2": 0.5, "q3": 1.0}, {"q1": 0.9, "q2": 0.25, "q3": 1.0}
    folder.evaluations.mkdir()
    for step, values in ((0, before), (4, after)):
        mean = sum(values.values()) / 3
        log.append(
            EVALUATION, step=step, seconds=1.0, measures={"nDCG@10": mean, "kendall_tau": 0.5}
        )
        write_json(folder.evaluations / f"step-{step}.json", {"step": step, "values": values})
    for step in range(1, 5):
        log.append(
            STEP,
            step=step,
            parts={"loss": 2.0 / step, "cross_entropy": 1.0 / step, "distillation": 0.1},
            learning_rate=1e-4,
            examples_per_second=2.5,
            tokens_per_second=900.0,
            memory_bytes=300 * 2**20,
            seconds=step * 2.0,
            eta_seconds=8.0 - 2 * step,
        )
    log.tell(f"careful {XSS}", level="warning", step=4)
    with folder.progress.open("ab") as file:
        file.write(b'{"kind": "st\n')
    write_json(folder.summary, {"best_step": 4, "seconds": 75.0})
    folder.log.write_text(f"line one\n{XSS}\n", encoding="utf-8")
    folder.adapter.mkdir()
    (folder.adapter / "adapter_config.json").write_text("{}")
    return read_job(folder.path.name, root)


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_an_untouched_form_is_its_preset(preset: str, stage: Stage) -> None:
    """So every setting in which presets differ has a control."""
    form = fill_form(preset, stage)
    wanted = make_settings("paper" if preset == "paper" else "quick", stage)
    found = read_form(form, OFFER)
    assert replace(found, data=wanted.data) == wanted
    assert found.data.format == ("beir" if stage == "stage1" else "prompts")


@pytest.mark.parametrize(
    "changes",
    [
        {"student": "/etc"},
        {"source": "/etc/passwd"},
        {"source": OWN_FILE, "file": None},
        {"source": OWN_FILE, "corpus": "/etc"},
        {"source": OWN_FILE, "format": "dear-cot"},
        {"preset": "none"},
    ],
)
def test_what_the_server_does_not_offer_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        read_form(replace(fill_form("quick", "stage1"), **changes), OFFER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("teacher.weights", "/somewhere"),
        ("schedule.steps", None),
        ("schedule.steps", 0),
        ("lora.dropout", 2.0),
    ],
)
def test_an_impossible_setting_is_refused(name: str, value: object) -> None:
    form = fill_form("custom", "stage1")
    with pytest.raises(InputError, match="expected"):
        read_form(replace(form, options={**form.options, name: value}), OFFER)


def test_the_command_shown_makes_the_same_job(capsys: pytest.CaptureFixture[str]) -> None:
    form = fill_form("custom", "stage1")
    changes = {"schedule.steps": 7, "objective.main": "ce", "data.allow_leakage": True}
    settings = read_form(replace(form, options={**form.options, **changes}), OFFER)
    words = shlex.split(write_command(settings))
    assert words[:4] == ["python", "-m", "reranker", "train"]
    assert main(["train", "config", *words[4:]]) == 0
    assert parse_settings(capsys.readouterr().out) == settings
    own = read_form(fill_form("quick", "stage1", source=OWN_FILE), OFFER)
    assert "/tmp/x" not in write_command(own) and "--data mine.jsonl" in write_command(own)


def test_every_option_is_a_setting_and_explained() -> None:
    known = list_settings(TrainingSettings())
    assert all(option.name in known and option.info.endswith(".") for option in OPTIONS)
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


def test_a_jobs_figures_are_shown_and_its_text_is_inert(tmp_path: Path) -> None:
    job = write_job(tmp_path, replace(make_settings("quick", "stage1"), name=XSS))
    facts = dict(list_facts(job))
    assert facts["step"] == "4 of 4" and facts["KL"] == "0.1000" and facts["CE"] == "0.2500"
    assert facts["best dev nDCG@10"] == "0.7167" and facts["nDCG@10 before"] == "0.6667"
    assert facts["unreadable lines"] == "1"
    assert facts["time so far"] == "1 min 15 s" and "time left" not in facts
    for shown in (
        render_job(job),
        render_log(job.folder.joinpath("log.txt").read_text()),
        render_jobs([job], job.job_id),
        render_settings_difference([("name", XSS, "b")], (XSS, "other")),
        render_off(XSS),
    ):
        assert_inert(shown)
    assert 'aria-valuenow="100"' in render_job(job) and "nDCG@10 0.7167" in render_jobs([job], None)


def test_old_against_new_adapter_query_by_query(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    write_json(JobFolder(job.folder).queries, {"q1": XSS, "q2": "why do tides turn?"})
    shown = render_gain(measure_outcome(job), describe_start(job))
    assert "▼ -0.2500" in shown and "1 better, 1 unchanged, 1 worse" in shown
    assert "why do tides turn?" in shown and "q3" not in shown
    assert_inert(shown)
    write_json(JobFolder(job.folder).summary, {"best_step": None})
    assert not is_measured(read_job(job.job_id, tmp_path))


def test_curves_hold_every_value(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    figure = draw_progress(job.progress, job.metric)
    curves = {trace.name: trace for trace in figure.data}
    assert list(curves["CE"].y) == [1.0, 0.5, pytest.approx(1 / 3), 0.25]
    assert list(curves["dev nDCG@10"].x) == [0, 4]
    assert list(curves["learning rate"].y) == [1e-4] * 4
    assert len({trace.line.dash for trace in figure.data if trace.showlegend is None}) == 2
    lines = tuple(replace(job.progress.steps[0], step=n) for n in range(3 * SHOWN_POINTS))
    long = draw_progress(replace(job.progress, steps=lines), job.metric).data[0]
    assert len(long.x) <= SHOWN_POINTS + 1 and long.x[-1] == lines[-1].step


def test_data_reports_name_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(f'{{"query": "{"<b>q"}", "positive": "b", "negative": "c"}}\n<i>broken\n')
    settings = read_form(fill_form("quick", "stage1", source=OWN_FILE, file=str(file)), OFFER)
    shown = render_data(inspect_data(settings))
    assert "1 line cannot be used" in shown and "t.jsonl:2" in shown
    assert_inert(shown)


def test_the_board_follows_the_folder(tmp_path: Path) -> None:
    board = JobBoard(tmp_path)
    assert board.open().chosen.value is None
    job = write_job(tmp_path, status="stopped")
    opened = board.open()
    assert opened.chosen.value == job.job_id and opened.resume.interactive
    assert not opened.timer.active and "best dev nDCG@10" in opened.job
    assert board.follow(job.job_id, opened.seen) == Board()
    write_json(JobFolder(job.folder).state, {"status": "failed", "message": "", "steps": 4})
    followed = board.follow(job.job_id, opened.seen)
    assert "Failed" in followed.job and followed.error == SKIP == followed.zipped
    assert "Expected a job that runs" in board.stop(job.job_id).error
    other = write_job(tmp_path, make_settings("paper", "stage1"))
    assert "lora.rank" in board.compare_settings(job.job_id, other.job_id)
    assert "Expected the id of a job" in board.compare_settings("../x", None)


def test_following_a_job_leaves_alone_what_is_under_the_hand(tmp_path: Path) -> None:
    """A list that is open closes when it is filled again, and a query being typed is lost."""
    job = write_job(tmp_path)
    board = JobBoard(tmp_path)
    seen = board.show(job.job_id).seen
    ProgressLog(JobFolder(job.folder).progress).tell("more", step=4)
    again = board.follow(job.job_id, seen)
    assert again.job != SKIP
    assert [again.chosen, again.first, again.second, again.query] == [SKIP] * 4
    write_job(tmp_path)
    others = board.follow(job.job_id, seen)
    assert len(others.chosen["choices"]) == 2 and "value" not in others.chosen


def test_a_job_is_deleted_after_a_question(tmp_path: Path) -> None:
    first, second = write_job(tmp_path), write_job(tmp_path)
    board = JobBoard(tmp_path)
    assert board.delete(None) == Board() and first.folder.is_dir()
    left = board.delete(second.job_id)
    assert not second.folder.exists() and left.chosen.value == first.job_id
    assert "deleted" in left.error
    assert "Expected the id of a job" in board.delete("../x").error
    none = board.delete(first.job_id)
    assert none.seen is None and NO_JOB in none.job and not none.delete.interactive


def test_a_trained_adapter_is_used_and_found_again_after_a_restart(tmp_path: Path) -> None:
    library = Library(jobs=tmp_path)
    job = write_job(tmp_path)
    before = library.list_profiles()
    adapter = AdapterEvents(library, Sessions(), tmp_path)
    told, students = adapter.use(job.job_id)
    restarted = Library(jobs=tmp_path).list_profiles()
    (name,) = restarted.keys() - before.keys()
    profile = restarted[name]
    assert profile.stage1.adapter == str(job.folder / "adapter") and profile.title in told
    assert students["value"] == name and (profile.title, name) in students["choices"]
    assert restarted["mini"] == before["mini"] and library.find_profile(name) == profile
    delete_job(job.job_id, tmp_path)
    assert library.list_profiles() == before
    running = write_job(tmp_path, status="queued")
    JobFolder(running.folder).adapter.rename(running.folder / "gone")
    assert "Expected a job that has ended" in adapter.use(running.job_id)[0]


def test_pushing_empties_the_token_whatever_happens(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    adapter = AdapterEvents(Library(jobs=tmp_path), Sessions(), tmp_path)
    shown = list(adapter.push(job.job_id, "no-owner", "hf_secret", True))
    assert all(token == "" for _, token in shown) and "owner/name" in shown[-1][0]
    assert "hf_secret" not in str(shown)


# The form's settings as a file


def test_settings_come_back_from_their_file(tmp_path: Path) -> None:
    form = fill_form("custom", "stage1")
    changes = {"schedule.steps": 7, "objective.main": "ce", "data.allow_leakage": True}
    settings = read_form(replace(form, options={**form.options, **changes}), OFFER)
    loaded = read_config(write_config(settings, tmp_path), OFFER)
    assert loaded.settings == settings and loaded.source == "everyday-science"
    assert not loaded.missing and not loaded.left_out
    again = replace(form, options=dict(zip((o.name for o in OPTIONS), loaded.options, strict=True)))
    assert read_form(again, OFFER) == settings


def test_what_a_file_sets_and_the_page_cannot_is_told(tmp_path: Path) -> None:
    own = read_form(fill_form("quick", "stage1", source=OWN_FILE), OFFER)
    own = replace(own, teacher=replace(own.teacher, max_query_tokens=9), name=XSS)
    path = write_config(own, tmp_path)
    assert "/tmp/x" not in path.read_text()
    loaded = read_config(path, OFFER)
    assert loaded.source == OWN_FILE and loaded.missing == "mine.jsonl"
    assert loaded.left_out == (f"name = {XSS}", "teacher.max_query_tokens = 9")
    shown = render_loaded(loaded.missing, loaded.left_out)
    assert "mine.jsonl" in shown
    assert_inert(shown)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "valid training settings"),
        ('{"student": "/etc", "objective": {"main": "ce", "alpha": 0}}', "a student among"),
        ('{"teacher": {"weights": "/etc/passwd"}}', "teacher.weights among"),
        ('{"schedule": {"steps": 0}}', "schedule.steps"),
        ('{"unknown": 1}', "valid training settings"),
        (" " * 70_000, "at most 64 KB"),
    ],
)
def test_a_file_that_cannot_be_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_config(path, OFFER)
    events = TrainEvents(Library(jobs=tmp_path), Sessions(), tmp_path)
    shown, *controls = events.load_config(str(path))
    assert "c.json" in shown and all(control == SKIP for control in controls)
    assert len(controls) == len(FORM) + len(OPTIONS)


def test_a_loaded_file_fills_every_control(tmp_path: Path) -> None:
    events = TrainEvents(Library(jobs=tmp_path), Sessions(), tmp_path)
    settings = make_settings("paper", "stage1")
    shown, *controls = events.load_config(str(write_config(settings, tmp_path)))
    assert "are in the form" in shown and len(controls) == len(FORM) + len(OPTIONS)
    values = [c["value"] if isinstance(c, dict) and "value" in c else c for c in controls]
    assert read_form(read_values(tuple(values)), events.offer) == settings


def test_an_upload_outlives_the_page(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"query": "a", "positive": "b", "negative": "c"}\n')
    events = TrainEvents(Library(), Sessions(), tmp_path / "jobs")
    settings = read_form(fill_form("quick", "stage1", source=OWN_FILE, file=str(file)), OFFER)
    kept = Path(events.keep_upload(settings).data.train)
    file.unlink()
    assert kept.is_relative_to(tmp_path / "jobs") and kept.name == "mine.jsonl" and kept.is_file()


def test_a_space_does_not_train_unless_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAR_TRAINING", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert is_training_on()
    monkeypatch.setenv("SPACE_ID", "someone/page")
    assert not is_training_on()
    monkeypatch.setenv("DEAR_TRAINING", "on")
    assert is_training_on()
    monkeypatch.setenv("DEAR_TRAINING", "off")
    monkeypatch.delenv("SPACE_ID")
    assert not is_training_on()


def test_durations() -> None:
    shown = [write_duration(seconds) for seconds in (0.4, 59.4, 200, 7500)]
    assert shown == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]


def test_settings_that_differ_are_listed() -> None:
    one = make_settings("quick", "stage1")
    other = replace(one, seed=4)
    assert list_differences(one, other) == [("seed", "0", "4")]
    assert parse_settings(dump_settings(other)) == other
