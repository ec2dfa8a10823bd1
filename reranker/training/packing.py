"""Examples into fixed-length training rows.

Takes texts with the part to learn marked, returns int32 arrays of token ids and labels,
[rows, length]. A row holds as many whole examples as fit; none is cut in two, so no answer
stands without its prompt. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

IGNORED = -100
OPEN_ROWS = 8

Ids = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizedExample:
    """ids: token ids; learn_from: the position from which the loss counts (0: all of it)."""

    ids: list[int]
    learn_from: int


def tokenize_example(
    tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str, *, learn_prompt: bool = False
) -> TokenizedExample:
    """The example with the loss on the answer only, or on everything."""
    prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer_ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    start = 0 if learn_prompt else len(prompt_ids)
    return TokenizedExample(ids=prompt_ids + answer_ids, learn_from=start)


def pack_rows(
    examples: Iterable[TokenizedExample], length: int, pad_id: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Rows of (ids, labels), first fit among a few open rows.

    Empty examples and those longer than a row are left out.
    """
    open_rows: list[tuple[list[int], list[int]]] = []
    for example in examples:
        if not 0 < len(example.ids) <= length:
            continue
        labels = [
            token if position >= example.learn_from else IGNORED
            for position, token in enumerate(example.ids)
        ]
        row = next((r for r in open_rows if len(r[0]) + len(labels) <= length), None)
        if row is None:
            row = ([], [])
            open_rows.append(row)
        row[0].extend(example.ids)
        row[1].extend(labels)
        if len(open_rows) > OPEN_ROWS:
            fullest = max(open_rows, key=lambda r: len(r[0]))
            open_rows.remove(fullest)
            yield _pad(fullest, length, pad_id)
    for row in open_rows:
        yield _pad(row, length, pad_id)


def _pad(row: tuple[list[int], list[int]], length: int, pad_id: int) -> tuple[list[int], list[int]]:
    missing = length - len(row[0])
    return row[0] + [pad_id] * missing, row[1] + [IGNORED] * missing


class PackedRows:
    """Rows on disk, memory-mapped: a map-style dataset for transformers.Trainer."""

    def __init__(self, folder: Path) -> None:
        self._ids: Ids = np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False)
        self._labels: Ids = np.load(folder / "labels.npy", mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, position: int) -> dict[str, NDArray[np.int64]]:
        return {
            "input_ids": self._ids[position].astype(np.int64),
            "labels": self._labels[position].astype(np.int64),
        }


def save_rows(rows: list[tuple[list[int], list[int]]], folder: Path) -> None:
    """Writes ids.npy and labels.npy into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "ids.npy", np.array([ids for ids, _ in rows], dtype=np.int32))
    np.save(folder / "labels.npy", np.array([labels for _, labels in rows], dtype=np.int32))
