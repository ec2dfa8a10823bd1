"""Whole jobs with tiny students: trained, killed, stopped, resumed, and hit by every failure.

Most run in this process; what must be killed or starved of disk is a real trainer process.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reranker.config import ROOT
from reranker.jobs.checkpoints import find_checkpoint
from reranker.jobs.folder import JobFolder, hash_file, read_json
from reranker.jobs.job import (
    Job,
    create_folder,
    list_jobs,
    read_job,
    read_log,
    resume_job,
    start_job,
    stop_job,
)
from reranker.jobs.settings import (
    DataSettings,
    LoraSettings,
    ObjectiveSettings,
    ScheduleSettings,
    TeacherSettings,
    TrainingSettings,
)
from reranker.student.student import load_student
from reranker.training.failures import explain_training_failure
from reranker.training.run import DONE, FAILED, STOPPED, run_job
from reranker.types import Passage
from tests.replicas import build_biencoder_student

WAIT_SECONDS = 300
PASSAGES = [Passage(doc_id="a", text="The tide rises."), Passage(doc_id="b", text="Granite cools.")]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_biencoder_student(tmp_path_factory.mktemp("students") / "tiny")


@pytest.fixture(scope="module")
def settings(student: Path) -> TrainingSettings:
    return TrainingSettings(
        student=str(student),
        data=DataSettings(passages=4, mining_depth=5, dev_depth=5, max_dev_queries=4),
        teacher=TeacherSettings(weights="base", quantization="fp32", bm25_weight=0.3),
        objective=ObjectiveSettings(alpha=0.2),
        lora=LoraSettings(rank=4, alpha=8),
        schedule=ScheduleSettings(
            steps=24, batch=2, learning_rate=1e-2, save_steps=4, eval_steps=8
        ),
        quantization="fp32",
        threads=1,
    )


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def finished(settings: TrainingSettings, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that ran without a break."""
    root = tmp_path_factory.mktemp("jobs")
    folder = create_folder(settings, root)
    assert run_job(folder) == DONE, (folder.state.read_text(), folder.progress.read_text())
    return read_job(folder.path.name, root)


def hash_adapter_folder(folder: Path) -> str:
    return hash_file(folder / "adapter_model.safetensors")


def hash_last_weights(job: Job) -> str:
    found, _ = find_checkpoint(JobFolder(job.folder).checkpoints)
    assert found is not None and found.step == job.settings.schedule.steps
    return hash_adapter_folder(found.path)


def wait_for(job: Job, *, step: int = 0, ended: bool = False) -> Job:
    """Waits until a job has reported this step, or has ended."""
    root, deadline = job.folder.parent, time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        job = read_job(job.job_id, root)
        if job.ended or (not ended and job.step >= step):
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job.job_id} is still {job.status}: {read_log(job.job_id, root)}")


def test_a_job_leaves_everything_that_is_needed(finished: Job) -> None:
    assert finished.status == "done" and finished.step == finished.steps == 24
    names = {path.name for path in finished.folder.iterdir()}
    assert {"config.json", "environment.json", "data.json", "progress.jsonl", "adapter"} <= names
    assert {"README.md", "best", "checkpoints", "evaluations"} <= names and "reserve" not in names
    assert [e.step for e in finished.progress.evaluations] == [0, 8, 16, 24]
    assert all(-1 <= e.measures["kendall_tau"] <= 1 for e in finished.progress.evaluations)
    last = finished.progress.steps[-1]
    assert {"loss", "cross_entropy", "ranknet", "distillation"} == set(last.parts)
    assert last.tokens_per_second > 0 and last.memory_bytes > 0 and last.eta_seconds == 0
    summary = finished.summary
    assert summary["best_step"] in (8, 16, 24) and summary["steps_done"] == 24
    assert summary["best"]["nDCG@10"] == finished.best
    assert summary["peak_memory_bytes"] > 2**20
    data = json.loads((finished.folder / "data.json").read_text())
    assert set(data["hashes"]) == {"train", "dev", "corpus"}
    environment = json.loads((finished.folder / "environment.json").read_text())
    assert environment["libraries"]["torch"] == torch.__version__


def test_the_best_adapter_is_kept_and_loads(finished: Job) -> None:
    best = read_json(finished.folder / "best" / "training.json")
    assert best["step"] == finished.summary["best_step"] and best["value"] == finished.best
    adapter = finished.folder / "adapter"
    assert hash_adapter_folder(adapter) == hash_adapter_folder(finished.folder / "best")
    assert {p.suffix for p in adapter.iterdir()} == {".json", ".safetensors", ".md"}
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        "base"
    )
    card = (adapter / "README.md").read_text()
    assert "nDCG@10" in card and "seed 0" in card and str(finished.folder.parent) not in card
    assert str(Path(finished.settings.student).parent) not in card
    trained = load_student(finished.settings.student, stage1_adapter=str(adapter))
    bare = load_student(finished.settings.student, stage1_adapter="")
    scores = [s.scorer.score("why tides", PASSAGES)[0].score for s in (trained, bare)]
    assert abs(scores[0] - scores[1]) > 1e-3


def test_evaluations_are_what_the_served_student_gives(finished: Job) -> None:
    """The adapter the job chose, loaded as a reader would, has the figure the job reported."""
    from reranker.examples.load import load_ranking_data
    from reranker.training.meter import DevMeter

    data = load_ranking_data(finished.settings.data, finished.settings.seed)
    served = load_student(
        finished.settings.student, stage1_adapter=str(finished.folder / "adapter")
    )
    result = DevMeter(data.dev, None).measure(served.scorer)
    assert result.measures["nDCG@10"] == pytest.approx(finished.best, abs=0.02)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_weights(
    settings: TrainingSettings, finished: Job, tmp_path: Path
) -> None:
    random_ = random.Random(os.getpid())
    job = start_job(settings, tmp_path)
    kills = 0
    while job.status != "done":
        if kills < 3:
            wait_for(job, step=random_.randint(1 + 7 * kills, 6 + 7 * kills))
            time.sleep(random_.random() * 0.1)
            job = read_job(job.job_id, tmp_path)
            if not job.ended:
                stop_job(job.job_id, tmp_path, now=True)
                kills += 1
        job = wait_for(job, ended=True)
        assert job.status in ("stopped", "interrupted", "done"), job.message
        if job.status != "done":
            job = resume_job(job.job_id, tmp_path)
    assert job.attempts == kills + 1 and kills >= 1
    assert hash_last_weights(job) == hash_last_weights(finished)
    assert hash_adapter_folder(job.folder / "adapter") == hash_adapter_folder(
        finished.folder / "adapter"
    )
    assert [s.step for s in job.progress.steps] == [s.step for s in finished.progress.steps]
    assert job.progress.evaluations[-1].measures == finished.progress.evaluations[-1].measures
    assert job.progress.skipped_lines <= kills


@pytest.mark.slow
def test_one_runs_one_waits_and_stopping_saves(settings: TrainingSettings, tmp_path: Path) -> None:
    long = replace(settings, schedule=replace(settings.schedule, steps=5_000, save_steps=5_000))
    first = start_job(long, tmp_path)
    wait_for(first, step=1)
    second = start_job(settings, tmp_path)
    assert second.status == "queued" and second.queue_position == 1
    assert [job.status for job in list_jobs(tmp_path) if job.job_id == first.job_id] == ["running"]
    stop_job(second.job_id, tmp_path)
    second = wait_for(second, ended=True)
    assert second.status == "stopped" and second.step == 0
    stop_job(first.job_id, tmp_path)
    first = wait_for(first, ended=True)
    assert first.status == "stopped" and "saved" in first.message
    found, rejected = find_checkpoint(JobFolder(first.folder).checkpoints)
    assert found is not None and found.step == first.step and not rejected
    assert (first.folder / "adapter" / "adapter_model.safetensors").is_file()


def test_stopped_and_resumed_it_ends_with_the_same_weights(
    settings: TrainingSettings, finished: Job, tmp_path: Path
) -> None:
    """And what lies broken in its progress meanwhile harms nothing and is counted."""
    folder = create_folder(settings, tmp_path)
    assert run_job(folder, asked_to_stop=_StopAfter(folder, step=6)) == STOPPED
    assert read_job(folder.path.name, tmp_path).status == "stopped"
    with folder.progress.open("ab") as file:
        file.write(b'\xff{"kind": "step", "step": 7, "parts"')
    folder.state.unlink()
    assert run_job(folder) == DONE
    job = read_job(folder.path.name, tmp_path)
    assert hash_last_weights(job) == hash_last_weights(finished)
    assert [s.step for s in job.progress.steps] == list(range(1, 25))
    assert job.progress.skipped_lines == 1


def test_training_through_rounding_is_repeatable_from_any_step(
    settings: TrainingSettings, tmp_path: Path
) -> None:
    """In nf4 a bi-encoder computes with rounded weights; the rounding starts anew every step."""
    rounded = replace(settings, quantization="nf4")
    folders = [create_folder(rounded, tmp_path / name) for name in ("whole", "broken")]
    assert run_job(folders[0]) == DONE
    assert run_job(folders[1], asked_to_stop=_StopAfter(folders[1], step=5)) == STOPPED
    folders[1].state.unlink()
    assert run_job(folders[1]) == DONE
    jobs = [read_job(folder.path.name, folder.path.parent) for folder in folders]
    assert hash_last_weights(jobs[0]) == hash_last_weights(jobs[1])


class _StopAfter(list[int]):
    """Becomes true once the job has reported a step."""

    def __init__(self, folder: JobFolder, step: int) -> None:
        super().__init__()
        self.folder, self.step = folder, step

    def __bool__(self) -> bool:
        return read_job(self.folder.path.name, self.folder.path.parent).step >= self.step


def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(
    settings: TrainingSettings, finished: Job, tmp_path: Path
) -> None:
    folder = create_folder(settings, tmp_path)
    run_job(folder, asked_to_stop=_StopAfter(folder, step=9))
    found, _ = find_checkpoint(folder.checkpoints)
    assert found is not None
    weights = found.path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7] + b"damaged")
    folder.state.unlink()
    assert run_job(folder) == DONE
    job = read_job(folder.path.name, tmp_path)
    told = [e.message for e in job.progress.events if e.level == "warning"]
    assert len(told) == 1 and "adapter_model.safetensors is damaged" in told[0]
    assert "the one before is used" in told[0]
    assert hash_last_weights(job) == hash_last_weights(finished)


def test_a_loss_that_is_no_number_fails_clearly(settings: TrainingSettings, tmp_path: Path) -> None:
    schedule = replace(settings.schedule, learning_rate=1.0, scheduler="constant_with_warmup")
    objective = ObjectiveSettings(main="lambda", alpha=1.0, temperature=1e-38)
    folder = create_folder(replace(settings, schedule=schedule, objective=objective), tmp_path)
    assert run_job(folder) == FAILED
    job = read_job(folder.path.name, tmp_path)
    assert job.status == "failed" and "finite" in job.message and "learning rate" in job.message
    assert job.progress.events[-1].level == "error"
    assert all(
        torch.isfinite(tensor).all()
        for path in folder.path.rglob("adapter_model.safetensors")
        for tensor in _read_tensors(path)
    )


def _read_tensors(path: Path) -> list[torch.Tensor]:
    from safetensors.torch import load_file

    return list(load_file(path).values())


def test_early_stop_and_time_limit(settings: TrainingSettings, tmp_path: Path) -> None:
    schedule = replace(settings.schedule, learning_rate=1e-9, eval_steps=2, patience=2)
    folder = create_folder(replace(settings, schedule=schedule), tmp_path)
    assert run_job(folder) == DONE
    job = read_job(folder.path.name, tmp_path)
    assert job.summary["best_step"] == 2 and job.step == 6 and "no better" in job.message
    schedule = replace(settings.schedule, max_minutes=1e-6)
    folder = create_folder(replace(settings, schedule=schedule), tmp_path)
    assert run_job(folder) == DONE
    job = read_job(folder.path.name, tmp_path)
    assert job.step == 1 and "minutes" in job.message and job.progress.evaluations[-1].step == 1


def test_data_that_changed_under_a_job_are_noticed(
    settings: TrainingSettings, tmp_path: Path
) -> None:
    lines = [
        {"query": f"q{n}", "positive": f"yes {n}", "negative": [f"no {n}", f"nay {n}"]}
        for n in range(6)
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    data = DataSettings(format="tevatron", train=str(path), passages=3)
    folder = create_folder(replace(settings, data=data), tmp_path)
    assert run_job(folder, asked_to_stop=_StopAfter(folder, step=2)) == STOPPED
    path.write_text(path.read_text().replace("nay", "never"))
    assert run_job(folder) == FAILED
    assert "expected the data this job began with" in read_job(folder.path.name, tmp_path).message


def test_unusable_data_fail_before_anything_is_loaded(
    settings: TrainingSettings, tmp_path: Path
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"query": "a", "positive": "b"}\nbroken\n')
    data = DataSettings(format="tevatron", train=str(path))
    folder = create_folder(replace(settings, data=data), tmp_path)
    assert run_job(folder) == FAILED
    job = read_job(folder.path.name, tmp_path)
    assert "t.jsonl:2" in job.message and not folder.checkpoints.exists()


def test_two_trainers_never_share_a_folder(
    settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reranker.jobs.queue import hold_lock
    from reranker.training import run

    monkeypatch.setattr(run, "LOCK_SECONDS", 0.1)
    folder = create_folder(settings, tmp_path)
    with hold_lock(folder.lock):
        assert run_job(folder) == FAILED
    assert not folder.progress.exists()


# A full disk

LIMITED = (
    "import resource, signal, sys\n"
    "from pathlib import Path\n"
    "from reranker.jobs.folder import JobFolder\n"
    "from reranker.training.run import run_job\n"
    "folder = JobFolder(Path(sys.argv[1]))\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
    "sys.exit(run_job(folder))\n"
)


@pytest.mark.slow
def test_a_file_that_cannot_grow_is_a_full_disk(settings: TrainingSettings, tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the reserve still fits, a checkpoint's optimizer state does not."""
    folder = create_folder(settings, tmp_path)
    command = [sys.executable, "-c", LIMITED, str(folder.path), str(70 * 1024)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == FAILED
    job = read_job(folder.path.name, tmp_path)
    assert job.status == "failed" and "disk is full" in job.message
    assert job.progress.events[-1].message == job.message
    assert find_checkpoint(folder.checkpoints) == (None, [])


@pytest.mark.slow
def test_a_disk_that_fills_up_keeps_the_last_good_checkpoint(
    settings: TrainingSettings, finished: Job, tmp_path: Path
) -> None:
    """A real file system of a few hundred kilobytes, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(disk)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    try:
        folder = create_folder(settings, disk)
        found, _ = fill_until_failed(folder)
        assert found is not None
        state = read_json(folder.state)
        assert state["status"] == "failed" and "disk is full" in state["message"]
        mounting[4] = "remount,size=64m"
        subprocess.run(mounting, check=True)
        for name in disk.glob("ballast-*"):
            name.unlink()
        folder.state.unlink()
        assert run_job(folder) == DONE
        job = read_job(folder.path.name, disk)
        assert job.progress.resumes == 1
        assert hash_last_weights(job) == hash_last_weights(finished)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill_until_failed(folder: JobFolder) -> tuple[object, object]:
    """Trains while something else fills the disk, from the first sealed checkpoint on."""
    stop = _FillOnceSealed(folder)
    assert run_job(folder, asked_to_stop=stop) == FAILED
    return find_checkpoint(folder.checkpoints)


class _FillOnceSealed(list[int]):
    """Never asks to stop; takes all the space that is left once there is a checkpoint."""

    def __init__(self, folder: JobFolder) -> None:
        super().__init__()
        self.folder, self.full = folder, False

    def __bool__(self) -> bool:
        if not self.full and find_checkpoint(self.folder.checkpoints)[0] is not None:
            self.full = True
            space = os.statvfs(self.folder.path)
            ballast = self.folder.path.parent / "ballast-1"
            ballast.write_bytes(b"x" * (space.f_bavail * space.f_bsize))
        return False


def test_failures_are_told_apart() -> None:
    with pytest.raises(RuntimeError) as memory:
        torch.empty(1 << 60)
    assert explain_training_failure(memory.value).kind == "out_of_memory"
    assert explain_training_failure(MemoryError()).kind == "out_of_memory"
    full = RuntimeError("wrapped")
    full.__cause__ = OSError(28, "No space left on device")
    assert explain_training_failure(full).kind == "disk_full"
    other = explain_training_failure(KeyError("x"))
    assert other.kind == "unexpected" and "KeyError" in other.message
