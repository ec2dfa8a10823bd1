"""Links that reopen a query: what stands in one, and what is believed of one.

Takes a trace and the library, returns an `Address`; writes it as a URL's query string and reads
it back. A link names a bundled corpus and a bundled student by their keys and nothing else: no
path, no upload, no pasted list, no hub. Whoever opens a link was sent it by somebody else, so
every value is checked against what this server offers, and nothing runs until they press Run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args
from urllib.parse import urlencode

from app.facts import shorten
from app.library import Library
from app.rank.ranking import AS_PROFILE, MAX_DEPTH, MIN_DEPTH, WINDOWS, check_query
from reranker.config import list_students
from reranker.errors import InputError
from reranker.types import FinalOrder, Mode, Quantization, RankingTrace, RankSettings

MAX_LINK_CHARS = 8_000
"""Longer addresses are cut or refused by browsers and servers on the way."""
WORDS = {
    "corpus": "corpus",
    "q": "query",
    "student": "student",
    "quantization": "quantisation",
    "stages": "stages",
    "mode": "mode",
    "final": "final order",
    "depth": "depth",
    "window": "window",
    "grounding": "grounded quotes",
}
"""The names in a link, and the controls they fill. Others belong to somebody else: ignored."""


_BEGIN = RankSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """What a link says. The defaults are what the page's controls begin with."""

    corpus: str
    student: str
    quantization: str
    q: str = ""
    stages: str = _BEGIN.stages
    mode: str = _BEGIN.mode
    final: str = _BEGIN.final or AS_PROFILE
    depth: int = _BEGIN.depth
    window: str = AS_PROFILE
    grounding: bool = _BEGIN.grounding


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A value of a link that was not taken. name: which, as in WORDS; why: what to do."""

    name: str
    why: str


def find_address(trace: RankingTrace, library: Library) -> Address:
    """Where this ranking can be made again. Raises InputError with the reason where it cannot."""
    if not _is_offered(trace, library):
        raise InputError(
            "no link leads here: these passages are not a corpus of this server. A link carries "
            "no passages; download the trace or the report instead"
        )
    settings = trace.settings
    hidden = {
        name: value
        for name in ("stage2_depth", "seed", "shuffles", "guard")
        if (value := getattr(settings, name)) != getattr(_BEGIN, name)
    }
    sizes = (settings.window_size, settings.stride)
    window = next((name for name, given in WINDOWS.items() if given == sizes), None)
    if window is None:
        hidden |= {"window_size": sizes[0], "stride": sizes[1]}
    if hidden or not MIN_DEPTH <= settings.depth <= MAX_DEPTH:
        named = ", ".join(f"{n} {v}" for n, v in hidden.items()) or f"depth {settings.depth}"
        raise InputError(
            f"no link leads here: the page has no control for {named}; download the trace instead"
        )
    if trace.student.name not in list_students():
        raise InputError(
            "no link leads here: the student is this server's own; download the trace instead"
        )
    return Address(
        corpus=trace.corpus_id,
        q=trace.query.text,
        student=trace.student.name,
        quantization=trace.student.quantization,
        stages=settings.stages,
        mode=settings.mode,
        final=settings.final or AS_PROFILE,
        depth=settings.depth,
        window=window or AS_PROFILE,
        grounding=settings.grounding,
    )


def _is_offered(trace: RankingTrace, library: Library) -> bool:
    """An uploaded file may be called what a bundled corpus is called: the hash decides."""
    known = any(trace.corpus_id == info.corpus_id for info in library.corpora)
    return known and (library.open_source(trace.corpus_id).corpus.sha256 == trace.corpus_sha256)


def write_link(address: Address) -> str:
    """The query string, "?corpus=…&q=…". Raises InputError for one that is too long to travel."""
    values = {field.name: getattr(address, field.name) for field in fields(address)}
    values["grounding"] = "on" if address.grounding else "off"
    link = f"?{urlencode({name: values[name] for name in WORDS})}"
    if len(link) > MAX_LINK_CHARS:
        raise InputError(
            f"no link leads here: expected at most {MAX_LINK_CHARS:,} characters, got "
            f"{len(link):,}; shorten the query, or download the trace"
        )
    return link


def read_link(
    values: Mapping[str, str], library: Library
) -> tuple[Address | None, tuple[Refusal, ...]]:
    """What a link asks for, defaults in place of what was refused; None where it asks nothing."""
    asked = {name: values[name] for name in WORDS if values.get(name, "").strip()}
    if not asked:
        return None, ()
    allowed = list_allowed(library)
    taken: dict[str, Any] = {}
    refusals = []
    for name, value in asked.items():
        try:
            taken[name] = _read_value(name, value, allowed)
        except InputError as error:
            refusals.append(Refusal(name=name, why=str(error).rstrip(".?")))
    address = Address(
        **{
            "corpus": library.corpora[0].corpus_id,
            "student": library.student,
            "quantization": library.quantization,
            **taken,
        }
    )
    return _fit_stages(address, library, refusals), tuple(refusals)


def list_allowed(library: Library) -> dict[str, tuple[str, ...]]:
    """The values a link may name, for each control with a choice."""
    return {
        "corpus": tuple(info.corpus_id for info in library.corpora),
        "student": tuple(list_students()),
        "quantization": get_args(Quantization),
        "stages": ("both", "1", "2", "none"),
        "mode": get_args(Mode),
        "final": (AS_PROFILE, *get_args(FinalOrder)),
        "window": tuple(WINDOWS),
        "grounding": ("on", "off"),
    }


def _read_value(name: str, value: str, allowed: Mapping[str, tuple[str, ...]]) -> object:
    if name == "q":
        check_query(value)
        return value.strip()
    got = repr(shorten(value, 40))
    if name == "depth":
        if re.fullmatch(r"[0-9]{1,3}", value) and MIN_DEPTH <= int(value) <= MAX_DEPTH:
            return int(value)
        raise InputError(f"expected a whole number from {MIN_DEPTH} to {MAX_DEPTH}, got {got}")
    if value not in allowed[name]:
        raise InputError(f"expected one of {', '.join(allowed[name])}, got {got}")
    return value == "on" if name == "grounding" else value


def _fit_stages(address: Address, library: Library, refusals: list[Refusal]) -> Address:
    """Stages the student does not have are refused like any other value."""
    profile = library.list_profiles()[address.student]
    if profile.stage2 is not None or address.stages in ("1", "none"):
        return address
    if address.stages == "2":
        why = f"expected 1 or none, because {address.student} has no stage 2, got '2'"
        refusals.append(Refusal(name="stages", why=why))
    values = {field.name: getattr(address, field.name) for field in fields(address)}
    return Address(**{**values, "stages": "1"})
