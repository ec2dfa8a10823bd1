"""What a job is asked to do: every setting of a training run, checked before it starts.

Takes JSON or values, returns frozen records. Knows no model library and no data: paths and
names are looked at when the data are read. `config.json` of a job is exactly this.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from reranker.config import DEFAULT_STUDENT
from reranker.errors import InputError
from reranker.types import TrainingQuantization

Stage = Literal["stage1", "stage2"]
MainLoss = Literal["ce", "ranknet", "ranknet-labels", "ce+ranknet", "listnet", "lambda"]
DataFormat = Literal["beir", "tevatron", "annotations", "dear-cot", "prompts"]
Start = Literal["fresh", "student"]

RANKING_FORMATS: tuple[DataFormat, ...] = ("beir", "tevatron", "annotations")
TEXT_FORMATS: tuple[DataFormat, ...] = ("dear-cot", "prompts", "annotations")
GIVEN, BASE = "given", "base"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """Where the examples are and how lists are made of them.

    train, dev: a corpus by name or path for "beir", else a .jsonl file. Without `dev`,
    `dev_share` of the training queries (or texts) is held out. corpus: what BM25 mines hard
    negatives from and dev candidates come from where `train` is a file. passages: in one
    training list. mining_depth: how far down BM25's ranking negatives are drawn; 0 draws none.
    dev_depth: BM25 candidates a dev query is measured on. max_queries: 0 takes all.
    """

    format: DataFormat = "beir"
    train: str = "everyday-science"
    split: str = ""
    corpus: str = ""
    dev: str = ""
    dev_split: str = ""
    dev_share: float = 0.4
    passages: int = 8
    mining_depth: int = 20
    dev_depth: int = 20
    max_queries: int = 0
    max_dev_queries: int = 0
    allow_leakage: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherSettings:
    """Whose scores are distilled.

    weights: "" for nobody, "given" for scores in the data, "base" for the student's own base
    without adapters, or a folder, package or hub id. bm25_weight: how much of BM25, brought to
    the same spread within a list, is added to the teacher's scores.
    """

    weights: str = ""
    form: Literal["biencoder", "crossencoder"] = "biencoder"
    quantization: TrainingQuantization = "bf16"
    query_template: str = "{query}"
    passage_template: str = "{title} {text}"
    max_query_tokens: int = 32
    max_passage_tokens: int = 196
    bm25_weight: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveSettings:
    """Stage 1: (1 - alpha) · main + alpha · temperature² · KL(teacher ‖ student)."""

    main: MainLoss = "ce+ranknet"
    alpha: float = 0.1
    temperature: float = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """The adapter. start: "student" goes on from the student's adapter (its rank and targets
    then hold), "fresh" begins a new one. targets: "attention", or "all" linear layers. dropout:
    none where a bi-encoder learns in nf4, whose adapter is merged in every step."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.1
    targets: Literal["attention", "all"] = "all"
    start: Start = "fresh"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSettings:
    """How long and how fast. steps counts optimizer steps; epochs replaces it when above 0.
    patience: evaluations without a better dev nDCG@10 before the job ends; 0 never."""

    steps: int = 100
    epochs: float = 0.0
    batch: int = 4
    accumulation: int = 1
    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    weight_decay: float = 0.0
    save_steps: int = 20
    eval_steps: int = 20
    log_steps: int = 1
    patience: int = 0
    max_minutes: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """One job. threads: of the CPU; 0 leaves it to torch
    (OMP_NUM_THREADS). seed: of everything random.
    max_passage_tokens, max_query_tokens: 0 takes the student's. max_tokens: of one stage-2
    example; longer ones are left out and counted."""

    stage: Stage = "stage1"
    student: str = DEFAULT_STUDENT
    preset: Literal["quick", "paper", "custom"] = "custom"
    name: str = ""
    data: DataSettings = field(default_factory=DataSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    quantization: TrainingQuantization = "nf4"
    gradient_checkpointing: bool = False
    max_query_tokens: int = 0
    max_passage_tokens: int = 0
    max_tokens: int = 1024
    threads: int = 0
    seed: int = 0


def parse_settings(text: str | bytes, *, where: str = "config") -> TrainingSettings:
    """Settings from JSON. Raises InputError for unknown names and impossible values."""
    try:
        settings = TypeAdapter(TrainingSettings).validate_json(text, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(
            f"expected valid training settings, got {first['msg'].lower()} at {place!r}; see "
            "docs/training.md for every setting",
            where=where,
        ) from error
    check_settings(settings, where=where)
    return settings


def load_settings(path: Path) -> TrainingSettings:
    """Settings from a JSON file. Raises InputError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected a readable file, got {error.strerror or error}; check the path",
            where=path.name,
        ) from error
    return parse_settings(text, where=path.name)


def dump_settings(settings: TrainingSettings) -> str:
    """JSON that `parse_settings` reads back."""
    return json.dumps(asdict(settings), indent=1, ensure_ascii=False) + "\n"


def override_settings(settings: TrainingSettings, changes: dict[str, str]) -> TrainingSettings:
    """Settings with dotted names replaced: {"schedule.steps": "40"}; values are JSON or text.

    Raises InputError for a name that is not there and for what `parse_settings` refuses.
    """
    record: dict[str, Any] = asdict(settings)
    for dotted, text in changes.items():
        *folders, name = dotted.split(".")
        place = record
        for folder in folders:
            place = place.get(folder, {}) if isinstance(place, dict) else {}
        if not isinstance(place, dict) or name not in place or isinstance(place[name], dict):
            raise InputError(
                f"expected a setting like schedule.steps, got {dotted!r}; see docs/training.md"
            )
        place[name] = _read_value(text, place[name])
    return parse_settings(json.dumps(record))


def _read_value(text: str, present: object) -> object:
    if isinstance(present, str):
        return text
    try:
        return json.loads(text.lower() if isinstance(present, bool) else text)
    except ValueError:
        return text  # validation names the type that was wanted


def check_settings(settings: TrainingSettings, *, where: str = "config") -> None:
    """Raises InputError for values that would fail only once the job runs, or teach nothing."""
    problem = next(_find_impossible(settings), None)
    if problem:
        expected, got = problem
        raise InputError(f"expected {expected}, got {got:g}; change it", where=where)
    data, objective = settings.data, settings.objective
    wanted = RANKING_FORMATS if settings.stage == "stage1" else TEXT_FORMATS
    if data.format not in wanted:
        raise InputError(
            f"expected data.format as one of {', '.join(wanted)} for {settings.stage}, got "
            f"{data.format!r}; change it",
            where=where,
        )
    if settings.stage == "stage1" and not settings.teacher.weights:
        if objective.main in ("ranknet", "ce+ranknet") or objective.alpha > 0:
            raise InputError(
                f"expected a teacher for main {objective.main!r} with alpha {objective.alpha:g}, "
                'got none; set teacher.weights ("base" takes the student\'s own base), or main '
                '"ce" with alpha 0',
                where=where,
            )


_LEAST: dict[str, float] = {
    "data.passages": 2,
    "data.mining_depth": 0,
    "data.dev_depth": 1,
    "data.max_queries": 0,
    "data.max_dev_queries": 0,
    "lora.rank": 1,
    "lora.alpha": 1,
    "schedule.steps": 1,
    "schedule.epochs": 0,
    "schedule.batch": 1,
    "schedule.accumulation": 1,
    "schedule.save_steps": 1,
    "schedule.eval_steps": 1,
    "schedule.log_steps": 1,
    "schedule.patience": 0,
    "schedule.max_minutes": 0,
    "schedule.weight_decay": 0,
    "teacher.bm25_weight": 0,
    "max_tokens": 16,
    "max_query_tokens": 0,
    "max_passage_tokens": 0,
    "threads": 0,
    "seed": 0,
}
_MOST = 1e9
_SHARES = ("data.dev_share", "objective.alpha", "lora.dropout", "schedule.warmup_share")


def _find_impossible(settings: TrainingSettings) -> Iterator[tuple[str, float]]:
    """(what was expected, what came) for every number out of its range; NaN is in none."""
    for name, least in _LEAST.items():
        value = operator.attrgetter(name)(settings)
        if not least <= value <= _MOST:
            yield f"{name} of {least:g} or more", value
    for name in _SHARES:
        value = operator.attrgetter(name)(settings)
        if not 0 <= value <= 1:
            yield f"{name} between 0 and 1", value
    if not 0 < settings.schedule.learning_rate <= 1:
        yield "schedule.learning_rate above 0 and at most 1", settings.schedule.learning_rate
    if not 0 < settings.objective.temperature <= 1000:
        yield "objective.temperature above 0", settings.objective.temperature
