"""What may be set about a training job on the page: names, words that explain them, and how the
controls' values become settings.

Takes values of controls, returns `TrainingSettings`. Everything that could name a place on the
server is checked against what the server offers. Knows no component and no job.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from reranker.errors import InputError
from reranker.jobs.presets import PRESETS, make_settings
from reranker.jobs.settings import (
    RANKING_FORMATS,
    TEXT_FORMATS,
    MainLoss,
    Stage,
    TrainingSettings,
    override_settings,
)
from reranker.types import TrainingQuantization

Group = Literal["Data", "Objective", "Adapter", "Schedule", "Machine"]
OWN_FILE = "file"
"""Stands for an uploaded file among the sources of data; no corpus has this name."""
FORMATS = {
    "beir": "BEIR (.zip with corpus, queries and qrels)",
    "tevatron": "MS MARCO / Tevatron (.jsonl)",
    "annotations": "Annotations of this program (.jsonl)",
    "dear-cot": "DeAR-COT conversations (.jsonl)",
    "prompts": "Rendered prompts and answers (.jsonl), the form for mini",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One setting. name: dotted, as in config.json. choices: (shown, value); () for numbers and
    switches. stage: the only one it matters to, "" for both."""

    name: str
    label: str
    info: str
    group: Group
    choices: tuple[tuple[str, str], ...] = ()
    stage: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a server lets a job name: students, corpora with judgements, and all corpora."""

    students: Collection[str]
    sources: Collection[str]
    corpora: Collection[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The controls' values. file: where the upload lies, None without one. options: by name."""

    student: str
    stage: Stage
    preset: str
    source: str
    file: str | None
    format: str
    corpus: str
    options: Mapping[str, Any]


_MAINS = {
    "ce+ranknet": "CE + RankNet (the paper's hybrid)",
    "ce": "Cross-entropy on grades",
    "ranknet": "RankNet on the teacher's scores",
    "ranknet-labels": "RankNet on grades",
    "listnet": "ListNet",
    "lambda": "LambdaLoss",
}


def _plain(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)


OPTIONS: tuple[Option, ...] = (
    Option(name="data.dev_share", group="Data", label="Held out for dev",
           info="Share of the queries that is never trained on and measured instead."),
    Option(name="data.passages", group="Data", stage="stage1", label="Passages in a list",
           info="One relevant passage and this many less one negatives, learnt together."),
    Option(name="data.mining_depth", group="Data", stage="stage1", label="Hard negatives from top",
           info="How far down BM25's ranking negatives are drawn; 0 takes only judged ones."),
    Option(name="data.dev_depth", group="Data", stage="stage1", label="Dev candidates",
           info="BM25 candidates each dev query is reranked over when it is measured."),
    Option(name="data.max_queries", group="Data", label="At most training queries",
           info="0 takes all of them."),
    Option(name="data.max_dev_queries", group="Data", label="At most dev queries",
           info="0 takes all; fewer make evaluations quicker and less certain."),
    Option(name="data.allow_leakage", group="Data", label="Allow leakage",
           info="Start even where dev queries are trained on too; the measure is then too good."),
    Option(name="objective.main", group="Objective", stage="stage1", label="Main loss",
           info="What is learnt from grades or from the teacher's order.",
           choices=tuple((_MAINS[name], name) for name in get_args(MainLoss))),
    Option(name="objective.alpha", group="Objective", stage="stage1", label="α: share of KL",
           info="Loss = (1 − α)·main + α·T²·KL(teacher ‖ student)."),
    Option(name="objective.temperature", group="Objective", stage="stage1", label="T: temperature",
           info="Softens both distributions before KL compares them."),
    Option(name="teacher.weights", group="Objective", stage="stage1", label="Teacher",
           info="Frozen; its scores are computed once and kept.",
           choices=(("The student's own base", "base"), ("Scores in the data", "given"),
                    ("None", ""))),
    Option(name="teacher.bm25_weight", group="Objective", stage="stage1", label="BM25 in teacher",
           info="How much of BM25, at the same spread, is added to the teacher's scores."),
    Option(name="lora.start", group="Adapter", label="Start from",
           info="The student's own adapter keeps its rank and targets.",
           choices=(("The student's adapter", "student"), ("A fresh adapter", "fresh"))),
    Option(name="lora.rank", group="Adapter", label="LoRA rank",
           info="Size of a fresh adapter: more can learn more, and forget more."),
    Option(name="lora.alpha", group="Adapter", label="LoRA alpha",
           info="Scale of a fresh adapter's update; usually twice the rank."),
    Option(name="lora.dropout", group="Adapter", label="LoRA dropout",
           info="Share of adapter inputs dropped while learning."),
    Option(name="lora.targets", group="Adapter", label="LoRA targets",
           info="Which linear layers a fresh adapter changes.", choices=_plain("all", "attention")),
    Option(name="max_query_tokens", group="Adapter", stage="stage1", label="Query tokens",
           info="Longer queries are cut; 0 takes the student's length."),
    Option(name="max_passage_tokens", group="Adapter", stage="stage1", label="Passage tokens",
           info="Longer passages are cut; 0 takes the student's length."),
    Option(name="max_tokens", group="Adapter", stage="stage2", label="Tokens in an example",
           info="Longer examples are left out and counted."),
    Option(name="schedule.steps", group="Schedule", label="Steps",
           info="Optimizer steps; each learns from batch × accumulation lists."),
    Option(name="schedule.epochs", group="Schedule", label="Epochs",
           info="Passes over the data; above 0 it replaces the steps."),
    Option(name="schedule.batch", group="Schedule", label="Batch",
           info="Lists (stage 1) or texts (stage 2) held in memory at once."),
    Option(name="schedule.accumulation", group="Schedule", label="Accumulation",
           info="Batches added up before a step; costs time, not memory."),
    Option(name="schedule.learning_rate", group="Schedule", label="Learning rate",
           info="At its highest, after the warm-up."),
    Option(name="schedule.warmup_share", group="Schedule", label="Warm-up",
           info="Share of the steps in which the learning rate rises."),
    Option(name="schedule.scheduler", group="Schedule", label="Decay",
           info="How the learning rate falls after the warm-up.",
           choices=_plain("cosine", "linear", "constant_with_warmup")),
    Option(name="schedule.weight_decay", group="Schedule", label="Weight decay",
           info="Pulls the adapter's weights towards 0 at each step."),
    Option(name="schedule.eval_steps", group="Schedule", label="Measure every",
           info="Steps between two measurements on dev; the best adapter is kept."),
    Option(name="schedule.save_steps", group="Schedule", label="Save every",
           info="Steps between two checkpoints, from which a job can be resumed."),
    Option(name="schedule.log_steps", group="Schedule", label="Report every",
           info="Steps between two points of the loss curves."),
    Option(name="schedule.patience", group="Schedule", label="Patience",
           info="Ends after this many measurements without a better one; 0 never."),
    Option(name="schedule.max_minutes", group="Schedule", label="Minutes at most",
           info="Ends and saves after this time; 0 never."),
    Option(name="quantization", group="Machine", label="Base held in",
           info="4-bit NF4 needs least memory (QLoRA); fp32 most.",
           choices=_plain(*get_args(TrainingQuantization))),
    Option(name="gradient_checkpointing", group="Machine", label="Gradient checkpointing",
           info="Computes activations twice instead of keeping them: less memory, more time."),
    Option(name="threads", group="Machine", label="CPU threads",
           info="0 leaves it to torch. Fewer keep rankings quick meanwhile."),
    Option(name="seed", group="Machine", label="Seed",
           info="Of everything random; on a CPU the same seed gives the same weights."),
)  # fmt: skip


def list_settings(settings: TrainingSettings) -> dict[str, Any]:
    """Every setting by its dotted name."""
    rows: dict[str, Any] = {}

    def add(prefix: str, record: Mapping[str, Any]) -> None:
        for name, value in record.items():
            if isinstance(value, dict):
                add(f"{prefix}{name}.", value)
            else:
                rows[f"{prefix}{name}"] = value

    add("", asdict(settings))
    return rows


def list_formats(stage: Stage) -> list[tuple[str, str]]:
    """(shown, format) of the files a stage learns from."""
    formats = RANKING_FORMATS if stage == "stage1" else TEXT_FORMATS
    return [(FORMATS[name], name) for name in formats]


def read_form(form: Form, offer: Offer) -> TrainingSettings:
    """The settings a form asks for. Raises InputError for what is not offered or cannot work."""
    _require(form.student, offer.students, "a student of this server")
    _require(form.preset, PRESETS, "a preset")
    _require(form.stage, get_args(Stage), "a stage")
    preset = next(name for name in PRESETS if name == form.preset)
    changes = _read_data(form, offer)
    for option in OPTIONS:
        if option.stage in ("", form.stage):
            value = form.options[option.name]
            if option.choices:
                _require(value, [choice for _, choice in option.choices], option.label)
            if value is None:
                raise InputError(f"expected a number for {option.label}, got nothing; type one")
            changes[option.name] = str(value)
    return override_settings(make_settings(preset, form.stage, form.student), changes)


def _read_data(form: Form, offer: Offer) -> dict[str, str]:
    if form.source != OWN_FILE:
        _require(form.source, offer.sources, "a corpus with judgements")
        return {"data.format": "beir", "data.train": form.source}
    if not form.file:
        raise InputError("expected a file with training data, got none; upload one")
    _require(form.format, [name for _, name in list_formats(form.stage)], "a format")
    _require(form.corpus, ["", *offer.corpora], "a corpus of this server")
    return {"data.format": form.format, "data.train": form.file, "data.corpus": form.corpus}


def _require(value: object, offered: Collection[str], noun: str) -> None:
    if value not in offered:
        known = ", ".join(name or "none" for name in offered)
        raise InputError(f"expected {noun} among {known}, got {str(value)[:80]!r}; choose one")


def hide_places(settings: TrainingSettings) -> TrainingSettings:
    """Uploads by their file names: where they lie on the server is nobody's affair."""
    train = settings.data.train
    shown = Path(train).name if Path(train).is_absolute() else train
    return replace(settings, data=replace(settings.data, train=shown))


def write_command(settings: TrainingSettings) -> str:
    """The same job on the command line, with only what differs from its preset."""
    begin = list_settings(make_settings(settings.preset, settings.stage))
    shown = hide_places(settings)
    words = ["python", "-m", "reranker", "train", settings.stage, "--preset", settings.preset]
    words += ["--student", settings.student, "--data", shown.data.train]
    words += ["--format", settings.data.format]
    words += [
        f"--set={name}={write_value(value)}"
        for name, value in list_settings(shown).items()
        if value != begin[name] and name not in ("student", "data.train", "data.format")
    ]
    return shlex.join(words)


def write_value(value: object) -> str:
    """A setting's value as --set takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def list_differences(
    first: TrainingSettings, second: TrainingSettings
) -> Sequence[tuple[str, str, str]]:
    """(name, first's value, second's value) of every setting that differs."""
    one, other = list_settings(hide_places(first)), list_settings(hide_places(second))
    return [(name, str(one[name]), str(other[name])) for name in one if one[name] != other[name]]
