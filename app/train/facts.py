"""What the page says of a training job, in plain words and numbers.

Takes a `Job`, returns pairs of text. Knows no HTML.
"""

from __future__ import annotations

from pathlib import Path

from reranker.jobs.job import Job

PART_WORDS = {
    "loss": "loss",
    "cross_entropy": "CE",
    "ranknet": "RankNet",
    "distillation": "KL",
}
MIB = 2**20


def name_job(job: Job) -> str:
    """For people: student, stage and the end of its id, which tells two jobs apart."""
    settings = job.settings
    stage = "stage 1" if settings.stage == "stage1" else "stage 2"
    given = settings.name or f"{Path(settings.student).name} {stage}"
    return f"{given} ({job.job_id[:15]} {job.job_id[-4:]})"


def list_facts(job: Job) -> list[tuple[str, str]]:
    """(name, value), the most important first; only what is known."""
    facts = [("step", f"{job.step} of {job.steps}" if job.steps else "not begun")]
    facts += _list_measures(job)
    if job.progress.steps:
        last = job.progress.steps[-1]
        facts += [
            (PART_WORDS.get(part, part.replace("_", " ")), f"{value:.4f}")
            for part, value in last.parts.items()
        ]
        noun = "lists" if job.settings.stage == "stage1" else "texts"
        facts += [
            ("learning rate", f"{last.learning_rate:.2e}"),
            ("speed", f"{last.examples_per_second:.1f} {noun}/s"),
            ("tokens", f"{last.tokens_per_second:,.0f} tokens/s"),
            ("memory", f"{last.memory_bytes / MIB:,.0f} MiB"),
        ]
        if not job.ended:
            facts.append(("time left", write_duration(last.eta_seconds)))
        facts.append(("time so far", write_duration(max(job.seconds, last.seconds))))
    if job.attempts > 1:
        facts.append(("attempts", str(job.attempts)))
    if job.progress.skipped_lines:
        facts.append(("unreadable lines", str(job.progress.skipped_lines)))
    return facts


def _list_measures(job: Job) -> list[tuple[str, str]]:
    lines = [e for e in job.progress.evaluations if job.metric in e.measures]
    if not lines:
        return []
    facts = []
    before = next((e.measures[job.metric] for e in lines if e.step == 0), None)
    if job.best is not None:
        facts.append((f"best dev {job.metric}", f"{job.best:.4f}"))
    if before is not None:
        facts.append((f"{job.metric} before", f"{before:.4f}"))
    tau = lines[-1].measures.get("kendall_tau")
    if tau is not None:
        facts.append(("τ to the teacher", f"{tau:.4f}"))
    return facts


def write_duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def describe_start(job: Job) -> str:
    """What a job began with."""
    if job.settings.lora.start == "student":
        return f"{Path(job.settings.student).name}'s own adapter"
    return "the base without an adapter"
