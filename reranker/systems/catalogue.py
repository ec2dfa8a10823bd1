"""Systems by name: what was typed after --systems becomes a list of systems.

Takes words like "bm25", "mini:blend" or "monot5:PATH" and a few settings, returns systems whose
weights are not loaded yet. Everything that can be refused without loading is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from reranker.config import load_profile
from reranker.endpoint import ChatEndpoint, EndpointSettings
from reranker.errors import InputError
from reranker.progress import Cancelled
from reranker.student.locate import resolve_weights
from reranker.systems.dear import DearSystem, Form, Ranker, TraceSource
from reranker.systems.rankgpt import ListwiseSettings, RankGptSystem
from reranker.systems.system import FirstStage, PointwiseSystem, System, TextScorer
from reranker.types import Hit, Quantization, Query, RankingTrace, RankSettings

Loader = Callable[[str, Quantization, str], TextScorer]
POINTWISE = ("monot5", "upr", "rankllama", "crossencoder")
FORMS = ("stage1", "stage2", "both", "blend")
KNOWN = (
    "bm25, STUDENT:stage1, STUDENT:stage2, STUDENT:both, STUDENT:blend (STUDENT is a name such as "
    "mini, or a folder), monot5:WEIGHTS, upr:WEIGHTS, rankllama:WEIGHTS, crossencoder:WEIGHTS "
    "(a folder or a hub id), rankgpt:MODEL with --endpoint URL"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemSettings:
    """What all systems of an experiment are made with.

    quantization: of the students; None takes each profile's. precision: of the other models.
    """

    quantization: Quantization | None = None
    precision: Quantization = "bf16"
    stage2_depth: int | None = None
    endpoint: EndpointSettings | None = None
    listwise: ListwiseSettings = ListwiseSettings()


def build_systems(words: Sequence[str], settings: SystemSettings) -> list[System]:
    """The systems `words` name, in that order. Raises InputError and StudentError."""
    if len(set(words)) != len(words) or not words:
        raise InputError(
            f"expected systems, each once, got {' '.join(words) or 'none'}; choose among {KNOWN}"
        )
    split = [_split(word) for word in words]
    sources: dict[str, TraceSource] = {}
    systems: list[System] = []
    for word, (family, rest) in zip(words, split, strict=True):
        if family == "bm25":
            systems.append(FirstStage())
        elif family == "rankgpt":
            systems.append(_build_rankgpt(word, rest, settings))
        elif family in POINTWISE:
            systems.append(_build_pointwise(word, family, rest, settings))
        else:
            forms = [f for name, f in split if name == family]
            systems.append(_build_dear(family, rest, forms, sources, settings))
    return systems


def _split(word: str) -> tuple[str, str]:
    """A word's family and the rest: a form for students, weights or a model for others."""
    if word == "bm25":
        return "bm25", ""
    family, colon, rest = word.partition(":")
    if colon and rest and family in (*POINTWISE, "rankgpt"):
        return family, rest
    student, colon, form = word.rpartition(":")
    if colon and student and form in FORMS:
        return student, form
    raise InputError(f"expected a system, got {word!r}; choose among {KNOWN}")


def _build_rankgpt(word: str, model: str, settings: SystemSettings) -> System:
    if settings.endpoint is None:
        raise InputError(
            f"expected an endpoint for {word!r}, got none; give --endpoint with a base URL like "
            "https://api.openai.com/v1 and put the key into $OPENAI_API_KEY"
        )
    endpoint = ChatEndpoint(replace(settings.endpoint, model=model))
    return RankGptSystem(word, endpoint, settings.listwise)


def _build_pointwise(word: str, family: str, rest: str, settings: SystemSettings) -> System:
    weights = resolve_weights(rest, str(Path.cwd()))

    def load() -> TextScorer:
        from reranker.student.hardware import choose_device

        return _find_loader(family)(weights, settings.precision, choose_device())

    return PointwiseSystem(word, f"{family} with {rest} in {settings.precision}", load)


def _find_loader(family: str) -> Loader:
    """Imported one by one: each brings the model libraries along."""
    if family == "monot5":
        from reranker.systems.monot5 import load_monot5

        return load_monot5
    if family == "upr":
        from reranker.systems.upr import load_upr

        return load_upr
    if family == "rankllama":
        from reranker.systems.rankllama import load_rankllama

        return load_rankllama
    from reranker.systems.crossencoder import load_crossencoder

    return load_crossencoder


def _build_dear(
    student: str,
    form: str,
    forms: Sequence[str],
    sources: dict[str, TraceSource],
    settings: SystemSettings,
) -> System:
    profile = load_profile(student)
    if form != "stage1" and profile.stage2 is None:
        raise InputError(
            f"expected a student with a stage 2 for {form!r}, got {student!r}; use {student}:stage1"
        )
    if student not in sources:
        sources[student] = TraceSource(
            student,
            lambda: _open_ranker(student, settings.quantization),
            profile,
            cast("list[Form]", forms),
            stage2_depth=settings.stage2_depth,
        )
    quantization = settings.quantization or profile.quantization
    description = f"{profile.title}, {form}, {quantization}, stage 2 reads " + (
        str(settings.stage2_depth or "all")
    )
    return DearSystem(cast("Form", form), sources[student], description)


def _open_ranker(student: str, quantization: Quantization | None) -> Ranker:
    """Loads the student; imported here, because it brings the model libraries along."""
    from reranker.pipeline import rank
    from reranker.request import RankRequest
    from reranker.student.student import load_student

    weights = load_student(student, quantization)

    def rank_query(
        query: Query, hits: Sequence[Hit], settings: RankSettings, cancelled: Cancelled
    ) -> RankingTrace:
        request = RankRequest(query=query, hits=tuple(hits))
        return rank(weights, request, settings, cancelled=cancelled)

    return rank_query
