"""From what a library raised to what a person can do about it.

Takes an exception of a training run, returns a failure with a plain message. Raises nothing.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Literal

import torch

from reranker.errors import DearError

FailureKind = Literal["disk_full", "out_of_memory", "not_finite", "refused", "unexpected"]

_KEPT = "The last good checkpoint is kept"
_DISK_WORDS = (
    "no space left",
    "file too large",
    "disk quota",
    "pytorchstreamwriter",
    "unexpected pos",
)
_MEMORY_WORDS = (
    "can't allocate memory",
    "out of memory",
    "cannot allocate memory",
    "not enough memory",
)


class NotFiniteError(DearError):
    """A loss, gradient or weight is NaN or infinite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a job failed. message: what happened and what to do."""

    kind: FailureKind
    message: str


def explain_training_failure(error: BaseException) -> Failure:
    """The failure behind an exception, found along its causes."""
    chain = list(_follow(error))
    if any(map(_is_disk_full, chain)):
        return Failure(
            kind="disk_full",
            message=f"The disk is full. {_KEPT}: free some space, then resume.",
        )
    if any(map(_is_out_of_memory, chain)):
        return Failure(
            kind="out_of_memory",
            message=f"The memory ran out. {_KEPT}: start again with a smaller batch, shorter "
            "passages or gradient_checkpointing.",
        )
    if isinstance(error, NotFiniteError):
        return Failure(kind="not_finite", message=f"{error} {_KEPT}.")
    if isinstance(error, DearError):
        return Failure(kind="refused", message=str(error))
    words = " ".join(str(error).split())[:300]
    return Failure(
        kind="unexpected",
        message=f"Something unforeseen went wrong ({type(error).__name__}: {words}). {_KEPT}; the "
        "log has the details.",
    )


def _follow(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return True
    return any(word in str(error).lower() for word in _DISK_WORDS)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _MEMORY_WORDS)
