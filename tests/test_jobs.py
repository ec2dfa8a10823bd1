"""Jobs by their folders alone: settings, progress, checkpoints, processes, queue, status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.errors import CancelledError, InputError
from reranker.jobs import job as jobs
from reranker.jobs.checkpoints import (
    MANIFEST,
    drop_old_checkpoints,
    find_checkpoint,
    find_fault,
    seal_checkpoint,
    set_aside,
)
from reranker.jobs.folder import JobFolder, read_json, replace_folder, restore_folder, write_json
from reranker.jobs.job import (
    create_folder,
    list_jobs,
    list_waiting,
    read_job,
    register_process,
    resume_job,
    stop_job,
)
from reranker.jobs.kept import delete_job, keep_file
from reranker.jobs.outcome import is_measured, measure_outcome
from reranker.jobs.presets import PRESETS, make_settings
from reranker.jobs.process import ProcessIdentity, identify_process, is_running
from reranker.jobs.progress import EVALUATION, RESUME, STEP, ProgressLog, read_progress
from reranker.jobs.queue import hold_lock, wait_for_slot
from reranker.jobs.settings import (
    TrainingSettings,
    check_settings,
    dump_settings,
    override_settings,
    parse_settings,
)

STEP_FIGURES = {
    "parts": {"loss": 1.0},
    "learning_rate": 1e-4,
    "examples_per_second": 1.0,
    "tokens_per_second": 2.0,
    "memory_bytes": 3,
    "seconds": 4.0,
    "eta_seconds": 5.0,
}


# Settings


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_come_back_from_json(preset: str, stage: str) -> None:
    settings = make_settings(preset, stage)  # type: ignore[arg-type]
    check_settings(settings)
    assert parse_settings(dump_settings(settings)) == settings


def test_the_paper_preset_is_the_papers() -> None:
    settings = make_settings("paper", "stage1")
    lora, objective, schedule = settings.lora, settings.objective, settings.schedule
    assert (lora.rank, lora.alpha, lora.dropout) == (32, 64, 0.1)
    assert (objective.alpha, objective.temperature) == (0.1, 2.0)
    assert (schedule.learning_rate, schedule.epochs) == (1e-4, 2)
    assert (settings.max_query_tokens, settings.max_passage_tokens) == (32, 196)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule.steps", "0"),
        ("schedule.learning_rate", "0"),
        ("schedule.learning_rate", "NaN"),
        ("objective.alpha", "1.5"),
        ("objective.main", "hinge"),
        ("data.passages", "1"),
        ("data.format", "dear-cot"),
        ("teacher.weights", ""),
        ("seed", "-1"),
        ("schedule.batch", "two"),
        ("schedule.stepss", "3"),
        ("schedule", "{}"),
    ],
)
def test_impossible_settings_are_refused(name: str, value: str) -> None:
    with pytest.raises(InputError, match="expected"):
        override_settings(make_settings("quick", "stage1"), {name: value})


def test_settings_can_be_overridden_by_name() -> None:
    settings = override_settings(
        make_settings("quick", "stage1"),
        {"schedule.steps": "7", "objective.main": "lambda", "data.allow_leakage": "true"},
    )
    assert settings.schedule.steps == 7 and settings.objective.main == "lambda"
    assert settings.data.allow_leakage is True


@pytest.mark.parametrize("text", ["", "[]", "{", '{"stage": "stage3"}', '{"unknown": 1}'])
def test_broken_settings_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_settings(text)


# Progress


def test_progress_skips_and_counts_damaged_lines(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    log = ProgressLog(path)
    log.append(STEP, step=1, **STEP_FIGURES)
    with path.open("ab") as file:
        file.write(b'{"kind": "step", "step": 2, "parts": {"lo')  # torn by a kill
    log = ProgressLog(path)  # the next attempt mends the line end
    log.append(STEP, step=2, **STEP_FIGURES)
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n[1]\n{}\n" + b'{"kind": "step", "step": 9}\n')
    log.append(EVALUATION, step=2, measures={"nDCG@10": float("nan")}, seconds=1.0)
    log.tell("halfway", step=2)
    progress = read_progress(path)
    assert [line.step for line in progress.steps] == [1, 2]
    assert [event.message for event in progress.events] == ["halfway"]
    assert progress.evaluations == () and progress.skipped_lines == 6


def test_a_resume_takes_back_the_steps_that_are_done_again(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path / "p")
    for step in (1, 2, 3):
        log.append(STEP, step=step, **STEP_FIGURES)
    log.append(EVALUATION, step=3, measures={"nDCG@10": 0.5}, seconds=1.0)
    log.append(RESUME, step=2)
    log.append(STEP, step=3, **STEP_FIGURES)
    progress = read_progress(tmp_path / "p")
    assert [line.step for line in progress.steps] == [1, 2, 3]
    assert progress.evaluations == () and progress.resumes == 1


@given(cut=st.integers(0, 400))
def test_a_file_cut_anywhere_gives_whole_lines_and_at_most_one_skipped(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p"
        for step in (1, 2):
            ProgressLog(path).append(STEP, step=step, **STEP_FIGURES)
        data = path.read_bytes()
        path.write_bytes(data[:cut])
        progress = read_progress(path)
        whole = data[:cut].count(b"\n")
        assert whole <= len(progress.steps) <= whole + 1
        assert progress.skipped_lines <= 1


def test_no_progress_is_no_progress(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "absent").steps == ()


# Folder and checkpoints


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
    path.write_text("[1]")
    with pytest.raises(InputError, match="expected a JSON object"):
        read_json(path)


def test_a_folder_is_replaced_or_restored(tmp_path: Path) -> None:
    place, new = tmp_path / "best", tmp_path / "best.new"
    for text in ("one", "two"):
        new.mkdir()
        (new / "f").write_text(text)
        replace_folder(new, place)
    assert (place / "f").read_text() == "two" and not (tmp_path / "best.old").exists()
    place.replace(tmp_path / "best.old")  # killed between the two renames
    restore_folder(place)
    assert (place / "f").read_text() == "two"


def make_checkpoint(folder: Path, step: int, *, sealed: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "weights").write_bytes(os.urandom(100))
    if sealed:
        seal_checkpoint(path)
    return path


def test_the_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) == (None, [])
    for step in (5, 10, 100):
        make_checkpoint(tmp_path, step)
    make_checkpoint(tmp_path, 105, sealed=False)
    damaged = tmp_path / "checkpoint-100" / "weights"
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    found, rejected = find_checkpoint(tmp_path)
    assert found is not None and found.step == 10
    assert [item.step for item in rejected] == [105, 100]
    assert "cut off" in rejected[0].reason and "weights is damaged" in rejected[1].reason
    set_aside(tmp_path, rejected)
    assert find_checkpoint(tmp_path) == (found, [])


@pytest.mark.parametrize("harm", ["missing", "shorter", "manifest"])
def test_every_harm_is_noticed(tmp_path: Path, harm: str) -> None:
    path = make_checkpoint(tmp_path, 1)
    assert find_fault(path) == ""
    if harm == "missing":
        (path / "weights").unlink()
    elif harm == "shorter":
        (path / "weights").write_bytes(b"")
    else:
        (path / MANIFEST).write_text("{")
    assert find_fault(path)


def test_old_checkpoints_go_and_unsealed_ones_do_not_count(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        make_checkpoint(tmp_path, step)
    make_checkpoint(tmp_path, 4, sealed=False)
    drop_old_checkpoints(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"checkpoint-{n}" for n in (2, 3, 4)]


# Processes and the queue


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def test_a_process_is_known_by_pid_and_start() -> None:
    process = sleeper()
    identity = identify_process(process.pid)
    assert is_running(identity)
    assert not is_running(ProcessIdentity(pid=identity.pid, began=identity.began + "0"))
    process.send_signal(signal.SIGKILL)
    while is_running(identity):  # a zombie until it is waited for does not run
        time.sleep(0.01)
    process.wait()
    assert not is_running(identity) and not is_running(None)


def test_a_lock_is_held_by_one_and_freed_by_death(tmp_path: Path) -> None:
    path = tmp_path / "slot.lock"
    code = (
        "import sys, time; from pathlib import Path; from reranker.jobs.queue import hold_lock\n"
        "with hold_lock(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"True\n"
    with hold_lock(path) as mine:
        assert not mine
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with hold_lock(path) as mine:
        assert mine


def test_waiting_ends_when_stopped(tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        with wait_for_slot(tmp_path, is_first=lambda: False, is_stopped=lambda: True):
            pass


def test_only_one_of_many_runs_at_a_time(tmp_path: Path) -> None:
    running, most = [], []

    def work() -> None:
        with wait_for_slot(tmp_path, is_first=lambda: True, is_stopped=lambda: False):
            running.append(1)
            most.append(len(running))
            time.sleep(0.02)
            running.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


# Jobs as they are read


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return create_folder(make_settings("quick", "stage1"), tmp_path)


def register(folder: JobFolder, process: subprocess.Popen[bytes]) -> None:
    register_process(folder, identify_process(process.pid))


def test_status_follows_process_and_state(folder: JobFolder) -> None:
    root, job_id = folder.path.parent, folder.path.name
    assert read_job(job_id, root).status == "queued"
    process = sleeper()
    register(folder, process)
    assert read_job(job_id, root).queue_position == 1
    write_json(folder.state, {"status": "running", "steps": 9})
    job = read_job(job_id, root)
    assert (job.status, job.steps, job.attempts, job.queue_position) == ("running", 9, 1, 0)
    assert stop_job(job_id, root).status == "stopping"
    folder.stop.unlink()
    process.kill()
    process.wait()
    job = read_job(job_id, root)
    assert job.status == "interrupted" and "resume" in job.message
    write_json(folder.state, {"status": "done", "message": "finished", "steps": 9})
    assert read_job(job_id, root).ended
    with pytest.raises(InputError, match="is done"):
        resume_job(job_id, root)
    with pytest.raises(InputError, match="job that runs"):
        stop_job(job_id, root)
    delete_job(job_id, root)
    assert list_jobs(root) == []


def test_a_kept_file_goes_with_the_last_job_that_learns_from_it(tmp_path: Path) -> None:
    upload, root = tmp_path / "mine.jsonl", tmp_path / "jobs"
    upload.write_text("{}")
    kept = keep_file(upload, root)
    assert keep_file(upload, root) == kept and kept.read_text() == "{}"
    settings = override_settings(make_settings("quick", "stage1"), {"data.train": str(kept)})
    first, second = (create_folder(settings, root) for _ in range(2))
    for folder in (first, second):
        write_json(folder.state, {"status": "done", "message": "", "steps": 1})
    delete_job(first.path.name, root)
    assert kept.is_file()
    delete_job(second.path.name, root)
    assert not kept.parent.exists() and upload.is_file()


def test_stop_now_kills(folder: JobFolder) -> None:
    process = sleeper()
    register(folder, process)
    stop_job(folder.path.name, folder.path.parent, now=True)
    assert process.wait() == -signal.SIGKILL
    assert read_job(folder.path.name, folder.path.parent).status == "stopped"


def test_the_line_is_in_the_order_of_asking(tmp_path: Path) -> None:
    settings = make_settings("quick", "stage1")
    processes, folders = [], []
    for _ in range(3):
        folders.append(create_folder(settings, tmp_path))
        processes.append(sleeper())
        register(folders[-1], processes[-1])
    found = {job.job_id: job.queue_position for job in list_jobs(tmp_path)}
    assert [found[f.path.name] for f in folders] == [1, 2, 3]
    processes[0].kill()
    processes[0].wait()
    asked = float(read_json(folders[2].process)["asked"])
    assert list_waiting(tmp_path, asked) == [folders[1].path.name]
    for process in processes[1:]:
        process.kill()
        process.wait()


@pytest.mark.parametrize("job_id", ["", "..", "../x", "a/b", "absent", "A" * 100])
def test_unknown_and_outside_ids_are_refused(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(InputError, match="expected the id of a job"):
        read_job(job_id, tmp_path)


def test_a_damaged_job_does_not_hide_the_others(folder: JobFolder) -> None:
    other = create_folder(make_settings("paper", "stage1"), folder.path.parent)
    folder.config.write_text("{")
    assert [job.job_id for job in list_jobs(folder.path.parent)] == [other.path.name]


def test_jobs_live_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEAR_JOBS", str(tmp_path))
    assert jobs.jobs_dir() == tmp_path
    monkeypatch.delenv("DEAR_JOBS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert jobs.jobs_dir() == tmp_path / "dear-studio" / "jobs"


def test_the_config_is_frozen_as_it_was_given(folder: JobFolder) -> None:
    settings: TrainingSettings = make_settings("quick", "stage1")
    assert json.loads(folder.config.read_text())["schedule"]["steps"] == settings.schedule.steps
    job = read_job(folder.path.name, folder.path.parent)
    assert job.settings == settings and replace(settings, seed=1) != job.settings


# What a job changed


def test_the_outcome_counts_wins_and_losses(folder: JobFolder) -> None:
    job_id, root = folder.path.name, folder.path.parent
    with pytest.raises(InputError, match="measured before and after"):
        measure_outcome(read_job(job_id, root))
    folder.evaluations.mkdir()
    before = {f"q{n}": 0.5 for n in range(12)}
    after = before | {"q1": 0.9, "q2": 0.7, "q3": 0.1}
    for step, values in ((0, before), (20, after)):
        write_json(folder.evaluations / f"step-{step}.json", {"values": values})
    write_json(folder.queries, {"q1": "why tides?"})
    write_json(folder.summary, {"best_step": 20})
    job = read_job(job_id, root)
    outcome = measure_outcome(job)
    gain = outcome.difference
    assert is_measured(job) and (outcome.step, outcome.metric) == (20, "nDCG@10")
    assert (gain.wins, gain.ties, gain.losses) == (2, 9, 1)
    assert gain.difference == pytest.approx(0.2 / 12)
    assert [c.query_id for c in outcome.changed] == ["q1", "q2", "q3"]
    first = outcome.changes[0]
    assert first.text == "why tides?" and first.gain == pytest.approx(0.4)
    assert outcome.changes[-1].text == ""


def test_a_loss_that_falls_is_a_gain(tmp_path: Path) -> None:
    folder = create_folder(make_settings("quick", "stage2"), tmp_path)
    folder.evaluations.mkdir()
    for step, values in ((0, {"a": 2.0, "b": 1.0}), (4, {"a": 1.5, "b": 1.25})):
        write_json(folder.evaluations / f"step-{step}.json", {"values": values})
    write_json(folder.summary, {"best_step": 4})
    outcome = measure_outcome(read_job(folder.path.name, tmp_path))
    assert outcome.metric == "loss" and outcome.difference.difference == pytest.approx(0.125)
    assert (outcome.difference.wins, outcome.difference.losses) == (1, 1)
    assert [(c.query_id, c.before, c.after, c.gain) for c in outcome.changes] == [
        ("a", 2.0, 1.5, 0.5),
        ("b", 1.0, 1.25, -0.25),
    ]
