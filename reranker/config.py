"""Profiles: which weights a student is made of and how it wants to be read to.

Takes a profile name or folder, returns a `Profile`. Knows paths and defaults; knows no
model library, so that the command line and the page can list students without loading torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from reranker.errors import StudentError
from reranker.types import FinalOrder, Quantization

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
STUDENTS = ASSETS / "students"
DEFAULT_STUDENT = "mini"


def cache_dir() -> Path:
    """Where built corpora and indexes live: $DEAR_CACHE, else the user's cache folder."""
    configured = os.environ.get("DEAR_CACHE")
    if configured:
        return Path(configured)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dear-studio"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage1Profile:
    """Stage 1 of a student.

    form: "biencoder" encodes query and passage apart (pooled cosine and late interaction);
    "crossencoder" reads the pair with a one-output sequence-classification head.
    base / adapter: "package:<module>/<folder>" for weights inside an installed Python package,
    a path relative to the profile's folder, or a hub id. An empty adapter means the bare base.
    """

    form: Literal["biencoder", "crossencoder"]
    base: str
    adapter: str = ""
    query_template: str = "{query}"
    passage_template: str = "{title} {text}"
    max_query_tokens: int = 32
    max_passage_tokens: int = 196
    pooled_weight: float = 0.5
    scale: float = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage2Profile:
    """Stage 2 of a student. `template` names the prompt form in reranker/prompts."""

    template: Literal["digest", "chat"]
    base: str
    adapter: str = ""
    window_size: int = 20
    stride: int = 10
    max_passage_tokens: int = 196
    max_new_tokens: int = 96
    max_ranking_tokens: int = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A student: base models, adapters, prompt template, lengths, quantisation, licence.

    bm25_weight, nearness_weight, stage2_weight: weights of the z-scored BM25 score, of the
    nearness to the best other passage and of stage 2's ranks when `final` is "blend"; feedback:
    whether logit and nearness then come from the query read beside the leading passage. See
    reranker/ordering.py for the formula.
    """

    name: str
    title: str
    description: str
    licence: str
    stage1: Stage1Profile
    stage2: Stage2Profile | None = None
    quantization: Quantization = "nf4"
    final: FinalOrder = "stage2"
    bm25_weight: float = 0.0
    nearness_weight: float = 0.0
    feedback: bool = False
    stage2_weight: float = 0.5
    folder: str = ""


def list_students() -> list[str]:
    """Names of the bundled profiles, the default first."""
    names = sorted(path.parent.name for path in STUDENTS.glob("*/profile.json"))
    return sorted(names, key=lambda name: name != DEFAULT_STUDENT)


def load_profile(student: str = DEFAULT_STUDENT) -> Profile:
    """The profile called `student`, or the one in the folder `student` (custom students).

    Raises StudentError when there is none or when its profile.json does not fit.
    """
    folder = STUDENTS / student
    if not (folder / "profile.json").is_file():
        folder = Path(student).expanduser()
    file = folder / "profile.json"
    if not file.is_file():
        raise StudentError(
            f"expected a student called one of {', '.join(list_students())} or a folder with a "
            f"profile.json, got {student!r}; choose one of these or give the folder's path"
        )
    try:
        profile = TypeAdapter(Profile).validate_json(file.read_bytes(), extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StudentError(
            f"{file}: expected a valid profile, got {first['msg'].lower()} at {place!r}; "
            "compare it with assets/students/mini/profile.json"
        ) from error
    _check_profile(profile, file)
    object.__setattr__(profile, "folder", str(folder.resolve()))
    return profile


def _check_profile(profile: Profile, file: Path) -> None:
    """Raises StudentError for what would fail only once the weights are loaded."""
    stage1, stage2 = profile.stage1, profile.stage2
    for name, template, wanted in (
        ("query_template", stage1.query_template, {"query"}),
        ("passage_template", stage1.passage_template, {"title", "text"}),
    ):
        try:
            fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
        except ValueError as error:
            raise StudentError(f"{file}: expected a template as {name}, got {error}") from error
        if not fields <= wanted or not fields & {"query", "text"}:
            known = " and ".join(f"{{{field}}}" for field in sorted(wanted))
            raise StudentError(
                f"{file}: expected {name} to hold {known}, got {template!r}; correct it"
            )
    sizes = {"max_query_tokens": stage1.max_query_tokens}
    sizes["max_passage_tokens"] = stage1.max_passage_tokens
    if stage2 is not None:
        sizes |= {n: getattr(stage2, n) for n in ("max_new_tokens", "max_ranking_tokens")}
        sizes["stage2.max_passage_tokens"] = stage2.max_passage_tokens
        if not 1 <= stage2.stride <= stage2.window_size or stage2.window_size < 2:
            raise StudentError(
                f"{file}: expected window_size >= 2 and 1 <= stride <= window_size, got "
                f"{stage2.window_size} and {stage2.stride}; correct them"
            )
    for name, size in sizes.items():
        if size < 1:
            raise StudentError(f"{file}: expected {name} of at least 1, got {size}; raise it")
