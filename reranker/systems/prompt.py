"""Prompts for scoring models: token ids of texts that are cut so that the rest still fits.

Takes a tokenizer and how a prompt is written around a text, returns token ids. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable

from transformers import PreTrainedTokenizerBase


def encode_fitting(
    tokenizer: PreTrainedTokenizerBase, write: Callable[[str], str], text: str, max_tokens: int
) -> list[int]:
    """Token ids of write(text) with special tokens, `text` cut at its end to fit `max_tokens`.

    What `write` puts around the text always stays: a prompt cut at its end would lose what it
    asks. A special token spelt out in a text is text like any other.
    """
    ids = encode(tokenizer, write(text))
    if len(ids) <= max_tokens:
        return ids
    offsets = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )["offset_mapping"]
    kept = max(0, len(offsets) - (len(ids) - max_tokens))
    while True:
        ids = encode(tokenizer, write(text[: offsets[kept - 1][1]] if kept else ""))
        if len(ids) <= max_tokens or kept == 0:
            return ids
        kept -= 1


def encode(tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool = True) -> list[int]:
    """Token ids of `text`, with the tokenizer's own special tokens around them or without."""
    ids: list[int] = tokenizer(
        text, add_special_tokens=special, split_special_tokens=True, verbose=False
    )["input_ids"]
    return ids
