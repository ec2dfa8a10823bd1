"""The form's settings as a file, and a file's settings in the form.

Takes settings or a file's bytes, returns JSON or what each control gets. The file is a job's
config.json: the command line reads it with --config, and what it writes can be loaded here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.train.options import OPTIONS, OWN_FILE, Offer, hide_places, list_settings, write_value
from reranker.errors import InputError
from reranker.jobs.presets import make_settings
from reranker.jobs.settings import TrainingSettings, dump_settings, parse_settings

MAX_BYTES = 64 * 1024
FILE_NAME = "training.json"
_IN_CONTROLS = ("student", "stage", "preset", "data.train", "data.format", "data.corpus")


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What a file sets. source: a corpus of this server, or OWN_FILE. missing: the name of the
    file with the data, which has to be uploaded, "" where nothing is missing. left_out:
    "name = value" of what has no control on the page and stays as the preset has it."""

    settings: TrainingSettings
    source: str
    missing: str
    left_out: tuple[str, ...]

    @property
    def options(self) -> list[Any]:
        """The options' values, in the order of OPTIONS."""
        values = list_settings(self.settings)
        return [values[option.name] for option in OPTIONS]


def write_config(settings: TrainingSettings, folder: Path) -> Path:
    """The settings as a file in `folder`; an upload stands in it by its name alone."""
    path = folder / FILE_NAME
    path.write_text(dump_settings(hide_places(settings)), encoding="utf-8")
    return path


def read_config(path: Path, offer: Offer) -> Loaded:
    """What a file asks for, as far as the page can show it.

    Raises InputError for a file of another kind, and for a student or a choice that this server
    does not offer.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"expected settings of at most {MAX_BYTES // 1024} KB, got {size // 1024} KB; choose "
            "a file that was saved here, or by `train config`",
            where=path.name,
        )
    settings = parse_settings(path.read_bytes(), where=path.name)
    if settings.student not in offer.students:
        raise InputError(
            f"expected a student among {', '.join(offer.students)}, got "
            f"{settings.student[:80]!r}; change it in the file, or use the command line",
            where=path.name,
        )
    values = list_settings(settings)
    for option in OPTIONS:
        known = [value for _, value in option.choices]
        if known and option.stage in ("", settings.stage) and values[option.name] not in known:
            raise InputError(
                f"expected {option.name} among {', '.join(v or 'none' for v in known)}, got "
                f"{str(values[option.name])[:80]!r}; change it, or use the command line",
                where=path.name,
            )
    data = settings.data
    offered = data.format == "beir" and data.train in offer.sources
    if data.corpus not in offer.corpora:
        data = replace(data, corpus="")
    return Loaded(
        settings=replace(settings, data=data),
        source=data.train if offered else OWN_FILE,
        missing="" if offered else Path(data.train).name or "the data",
        left_out=tuple(_list_left_out(settings, data.corpus)),
    )


def _list_left_out(settings: TrainingSettings, corpus: str) -> list[str]:
    begin = list_settings(make_settings("quick", settings.stage, settings.student))
    if settings.preset == "paper":
        begin = list_settings(make_settings("paper", settings.stage, settings.student))
    shown = {option.name for option in OPTIONS} | set(_IN_CONTROLS)
    lost = [
        f"{name} = {write_value(value)}"
        for name, value in list_settings(settings).items()
        if name not in shown and value != begin[name]
    ]
    if settings.data.corpus != corpus:
        lost.append(f"data.corpus = {Path(settings.data.corpus).name}")
    return lost
