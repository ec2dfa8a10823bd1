"""The model card of a job: what was trained on what, with what, and what came of it.

Takes a job's records, returns Markdown. States figures only as they were measured.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from reranker.config import load_profile
from reranker.evaluation.statistics import bootstrap_difference
from reranker.jobs.folder import JobFolder, read_json
from reranker.jobs.settings import TrainingSettings, dump_settings


def write_card(folder: JobFolder, settings: TrainingSettings, report: dict[str, Any]) -> str:
    """The card; report: data.json. Raises InputError when a record is damaged."""
    summary, environment = read_json(folder.summary), read_json(folder.environment)
    profile = load_profile(settings.student)
    stage = profile.stage1 if settings.stage == "stage1" else profile.stage2
    base = stage.base if stage else ""
    shown = _without_places(settings)
    lines = [
        f"# {settings.name or folder.path.name}",
        "",
        f"A LoRA adapter for {settings.stage.replace('stage', 'stage ')} of the student "
        f"`{profile.name}`, base `{base}` in {settings.quantization}.",
        "",
        "## Measured",
        "",
        *_describe_measures(folder, summary),
        "",
        "## Data",
        "",
        f"{settings.data.format}: `{shown.data.train}`. Hashes (SHA-256): "
        + ", ".join(f"{name} `{value[:16]}`" for name, value in report.get("hashes", {}).items())
        + ".",
        "",
        *(f"- {name}: {figure:g}" for name, figure in report.get("statistics", {}).items()),
        *(f"- Warning: {warning}." for warning in report.get("warnings", ())),
        "",
        "## Trained with",
        "",
        f"{summary.get('steps_done', 0)} steps in {summary.get('seconds', 0):.0f} s, seed "
        f"{settings.seed}, on {environment.get('machine', '?')} with "
        f"{environment.get('cpus', '?')} CPUs{_name_gpu(environment)}. "
        + ", ".join(f"{n} {v}" for n, v in environment.get("libraries", {}).items())
        + ".",
        "",
        "```json",
        dump_settings(shown).rstrip(),
        "```",
        "",
        f"Licence of the base: {profile.licence}. The data have their own.",
        "",
    ]
    return "\n".join(lines)


def _describe_measures(folder: JobFolder, summary: dict[str, Any]) -> list[str]:
    baseline, best = summary.get("baseline"), summary.get("best")
    if not best:
        return ["Nothing: there were no dev data, or no evaluation was reached."]
    step = summary["best_step"]
    lines = ["| measure (dev) | before | after |", "|---|---|---|"]
    for name, value in best.items():
        before = f"{baseline[name]:.4f}" if baseline and name in baseline else ""
        lines.append(f"| {name} | {before} | {value:.4f} |")
    lines += [
        "",
        f"The adapter is the one after step {step}, the best of all evaluations; chosen"
        " on the same dev queries, so its figure is somewhat too good.",
    ]
    before_values, values = (
        read_json(folder.evaluations / f"step-{number}.json").get("values", {})
        for number in (0, step)
    )
    if len(values) > 1 and values.keys() == before_values.keys():
        interval = bootstrap_difference(values, before_values)
        lines.append(
            f"Difference over {interval.queries} dev queries: {interval.estimate:+.4f} "
            f"({interval.confidence:.0%} interval {interval.low:+.4f} to {interval.high:+.4f})."
        )
        if interval.warning:
            lines.append(f"{interval.warning}.")
    return lines


def _without_places(settings: TrainingSettings) -> TrainingSettings:
    """Files and folders by their names: a card travels, and where things lay is nobody's affair."""
    data, teacher = settings.data, settings.teacher
    weights = Path(teacher.weights).name if Path(teacher.weights).is_absolute() else teacher.weights
    return replace(
        settings,
        student=Path(settings.student).name,
        data=replace(
            data,
            train=Path(data.train).name,
            dev=Path(data.dev).name,
            corpus=Path(data.corpus).name,
        ),
        teacher=replace(teacher, weights=weights),
    )


def _name_gpu(environment: dict[str, Any]) -> str:
    gpu = environment.get("gpu")
    return f" and {json.dumps(gpu)}" if gpu else ""
