"""How much memory a job will need at its peak, worked out before it starts.

Takes settings, returns bytes part by part. Reads weights' headers, configurations, tokenizers and
a sample of the data; loads no model library. The factors per token were derived from what each
layer keeps for its backward pass, and tests compare the whole with measured peaks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from reranker.config import Profile, load_profile
from reranker.errors import InputError
from reranker.examples.load import load_ranking_data, load_text_data
from reranker.jobs.settings import GIVEN, TrainingSettings
from reranker.student.locate import ADAPTER_WEIGHTS, resolve_weights
from reranker.types import TrainingQuantization

RUNTIME_BYTES = 512 * 2**20
"""Python, torch and the other libraries with their thread pools and buffers, on a CPU."""

ADAM_BYTES = 16
"""Per trained parameter: itself, its gradient and Adam's two moments, in single precision."""

NF4_BYTES = 0.5 + 4 / 64
"""Per weight: four bits and its share of a block's scale."""

LINEAR_INPUT_BYTES, ADAPTED_INPUT_BYTES = 2, 7
"""Kept per input of a linear layer; where LoRA reads it too, its dropout keeps another copy and a
mask."""

ELEMENT_BYTES, ATTENTION_BYTES, LOGIT_BYTES = 4, 9, 14
SAMPLED = 200
ROWS_TOGETHER = 16
"""Texts of a bi-encoder that share a forward pass; see training/stage1.py."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """Bytes at the peak. parts: name -> bytes, in the order to show."""

    parts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shape:
    """What a model's config.json says of its size."""

    hidden: int
    inner: int
    layers: int
    heads: int
    vocabulary: int
    gated: bool


def estimate_memory(settings: TrainingSettings) -> MemoryEstimate:
    """The peak of a job. Raises InputError where weights or data are not there to look at."""
    profile = load_profile(settings.student)
    if settings.stage == "stage1":
        base, adapter = profile.stage1.base, profile.stage1.adapter
    elif profile.stage2:
        base, adapter = profile.stage2.base, profile.stage2.adapter
    else:
        raise InputError(f"expected a student with a stage 2, got {profile.name!r}")
    folder = _find_weights(base, profile)
    shape = _read_shape(folder)
    rows, length = _count_rows(settings, profile, folder)
    tokens = rows * length
    biencoder = settings.stage == "stage1" and profile.stage1.form == "biencoder"
    rounded = biencoder and settings.quantization == "nf4"
    parts = {
        "libraries": RUNTIME_BYTES,
        "base": _measure_weights(folder, "bf16" if rounded else settings.quantization),
        "adapter and optimizer": ADAM_BYTES * _count_adapter(settings, shape, adapter, profile),
        "activations": _measure_activations(settings, shape, rows, length, rounded),
    }
    if rounded:
        parts["rounding"] = _measure_rounding(shape, rows)
    if settings.stage == "stage2":
        parts["logits"] = tokens * shape.vocabulary * LOGIT_BYTES
    teacher = settings.teacher.weights
    if settings.stage == "stage1" and teacher and teacher != GIVEN:
        place = folder if teacher == "base" else _find_weights(teacher, profile)
        parts["teacher"] = _measure_weights(place, settings.teacher.quantization)
    return MemoryEstimate(parts={name: int(size) for name, size in parts.items()})


def _measure_weights(folder: Path, quantization: TrainingQuantization) -> int:
    """Bytes of the weights once loaded. Embeddings, norms and heads are never in four bits."""
    total = 0.0
    for name, shape in _read_tensors(folder):
        count = 1
        for size in shape:
            count *= size
        small = len(shape) != 2 or "embed" in name or "head" in name
        if quantization == "nf4":
            total += count * (2 if small else NF4_BYTES)
        else:
            total += count * (2 if quantization == "bf16" else 4)
    return int(total)


def _read_tensors(folder: Path) -> Iterable[tuple[str, list[int]]]:
    """(name, shape) of every tensor, from the headers of the safetensors files."""
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(size, 100 * 2**20)))
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, tensor["shape"]


def _read_shape(folder: Path) -> _Shape:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return _Shape(
            hidden=config["hidden_size"],
            inner=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            vocabulary=config["vocab_size"],
            gated=config.get("hidden_act", "") == "silu",
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"expected a config.json with the model's sizes, got: {error}; the memory of this "
            "base cannot be estimated",
            where=str(folder),
        ) from error


def _count_adapter(
    settings: TrainingSettings, shape: _Shape, adapter: str, profile: Profile
) -> int:
    """Parameters of the adapter: counted in the one gone on with, else worked out."""
    if settings.lora.start == "student" and adapter:
        folder = Path(resolve_weights(adapter, profile.folder))
        if (folder / ADAPTER_WEIGHTS).is_file():
            return sum(_product(tensor) for _, tensor in _read_tensors(folder))
    sides = 8 * shape.hidden
    if settings.lora.targets == "all":
        sides += (3 if shape.gated else 2) * (shape.hidden + shape.inner)
    return settings.lora.rank * sides * shape.layers


def _measure_activations(
    settings: TrainingSettings, shape: _Shape, rows: int, length: int, rounded: bool
) -> int:
    """What the forward pass keeps for the backward pass, over all rows of a batch."""
    inputs = 4 * shape.hidden + (3 if shape.gated else 1) * shape.hidden + shape.inner
    adapted = ADAPTED_INPUT_BYTES if settings.lora.dropout > 0 else LINEAR_INPUT_BYTES + 2
    adapted = 0 if rounded else adapted
    scale = 2 if settings.quantization == "fp32" else 1
    kept = inputs * (LINEAR_INPUT_BYTES * scale + adapted)
    kept += ELEMENT_BYTES * (8 * shape.hidden + 2 * shape.inner)
    if not shape.gated:
        # Language models attend in one kernel, which keeps nothing per pair of tokens; encoders
        # drop out attention weights, or compute them one after the other, and keep them.
        kept += ATTENTION_BYTES * shape.heads * length
    tokens = rows * length
    if settings.gradient_checkpointing:
        return tokens * (kept + 4 * shape.hidden * shape.layers)
    return tokens * kept * shape.layers


def _measure_rounding(shape: _Shape, rows: int) -> int:
    """Merged weights: what rounding adds in single precision, and a copy for every pass."""
    weights = shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)
    passes = 1 + -(-rows // ROWS_TOGETHER)
    return weights * (4 + 2 * passes)


def _count_rows(settings: TrainingSettings, profile: Profile, folder: Path) -> tuple[int, int]:
    """Rows of a batch and the length they are padded to: the longest of a sample of the data."""
    tokenizer = _load_tokenizer(folder)
    batch = settings.schedule.batch
    if settings.stage == "stage2":
        texts = load_text_data(settings.data, settings.seed)
        sizes = [
            _count_tokens(tokenizer, [example.prompt_text, example.answer])
            for example in texts.train[:SAMPLED]
        ]
        fitting = [sum(size) for size in sizes if sum(size) <= settings.max_tokens]
        return batch, max(fitting, default=settings.max_tokens)
    data = load_ranking_data(settings.data, settings.seed)
    passages = [p.passage for q in data.train[:SAMPLED] for p in q.passages]
    limit = settings.max_passage_tokens or profile.stage1.max_passage_tokens
    lengths = sorted(_count_tokens(tokenizer, [f"{p.title} {p.text}" for p in passages]))
    lengths = [min(limit, length) for length in lengths]
    length = lengths[-1]
    if profile.stage1.form == "biencoder":
        # Rows of like length are padded to the longest of their own group only.
        step = max(1, len(lengths) * ROWS_TOGETHER // (batch * settings.data.passages))
        tops = lengths[::-step]
        length = -(-sum(tops) // len(tops))
    else:
        asked = settings.max_query_tokens or profile.stage1.max_query_tokens
        queries = _count_tokens(tokenizer, [q.query.text for q in data.train[:SAMPLED]])
        length += min(asked, max(queries))
    return batch * settings.data.passages, length


def _load_tokenizer(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise InputError(
            "expected a tokenizer.json beside the weights, got none; the memory of this base "
            "cannot be estimated",
            where=str(folder),
        )
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]


def _find_weights(name: str, profile: Profile) -> Path:
    folder = Path(resolve_weights(name, profile.folder))
    if not folder.is_dir():
        raise InputError(
            f"expected weights on this machine, got the hub id {name!r}; fetch them first "
            "(rank once with this student)"
        )
    return folder


def _product(shape: Sequence[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
