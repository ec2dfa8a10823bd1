"""Decoding a batch of prompts under grammars, their common beginning read once.

Takes a causal model, prompts and grammars, returns the texts, streaming what is decoded.
Greedy, so the same weights give the same text. Knows nothing of ranking or of what the
grammars mean.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Literal

import numpy as np
import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.generation.streamers import BaseStreamer

from reranker.errors import CancelledError, StudentError
from reranker.grounding import Grammar, GrammarState, Vocabulary
from reranker.progress import Cancelled

OnText = Callable[[int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """One finished text. `stopped_by` is "length" when the token limit cut it off."""

    text: str
    tokens: int
    prompt_tokens: int
    stopped_by: Literal["end", "length"]


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, spoken: Collection[str] = ()) -> Vocabulary:
    """The tokenizer's tokens as the bytes they stand for.

    Byte-level BPE writes bytes as printable characters, SentencePiece writes "▁" for a space
    and <0xE2> for a byte; added tokens stand for their own text. Special tokens (a chat
    template's headers) are never text, but for those in `spoken`.
    """
    byte_level = _byte_level_alphabet()
    added = tokenizer.added_tokens_decoder
    is_byte_level = _is_byte_level(tokenizer)
    pieces: list[bytes | None] = []
    for index, token in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        if token is None:
            pieces.append(None)
        elif index in added:
            content, special = added[index].content, added[index].special
            pieces.append(content.encode() if not special or content in spoken else None)
        elif is_byte_level:
            pieces.append(bytes(byte_level.get(c, ord("?")) for c in token))
        elif len(token) == 6 and token.startswith("<0x"):
            pieces.append(bytes([int(token[3:5], 16)]))
        else:
            pieces.append(token.replace("▁", " ").encode())
    return Vocabulary(pieces, [tokenizer.eos_token_id])


def _is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a space is written the byte-level way, as Ġ."""
    return any(token.startswith("Ġ") for token in tokenizer.tokenize(" a b"))


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's mapping of bytes to printable characters, character to byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(256 + place): byte for place, byte in enumerate(others)})
    return alphabet


class _GroundedLogits(LogitsProcessor):
    """Masks what each row's grammar forbids, and hands on the tokens as they are chosen."""

    def __init__(self, states: list[GrammarState | None], prompt_length: int) -> None:
        self.states, self.seen = states, prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = input_ids[:, self.seen :].tolist()
        self.seen = input_ids.shape[1]
        keep = np.ones(scores.shape, dtype=np.bool_)
        for row, (state, tokens) in enumerate(zip(self.states, chosen, strict=True)):
            if state is None:
                continue
            for token in tokens:
                state.advance(token)
            allowed = state.allowed()
            # The head may be wider than the vocabulary; what is beyond is never text.
            keep[row] = False
            if isinstance(allowed, list):
                keep[row, allowed or list(state.vocabulary.end_ids)] = True
            else:
                keep[row, : len(allowed)] = allowed
        return scores.masked_fill(~torch.from_numpy(keep).to(scores.device), float("-inf"))


@dataclass
class _RowStreamer(BaseStreamer):
    """Turns a batch's token columns into per-row text as whole characters."""

    tokenizer: PreTrainedTokenizerBase
    on_text: OnText
    cancelled: Cancelled
    stop_ids: frozenset[int]
    rows: list[list[int]] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)

    def put(self, value: torch.Tensor) -> None:
        if self.cancelled():
            raise CancelledError("stage 2 was stopped")
        if value.dim() > 1:  # the prompt comes first
            self.rows, self.shown = [[] for _ in value], [0 for _ in value]
            return
        for row, token in enumerate(value.tolist()):
            if token in self.stop_ids:
                continue
            self.rows[row].append(token)
            text = self.text(row)
            if not text.endswith("�") and len(text) > self.shown[row]:
                self.on_text(row, text[self.shown[row] :])
                self.shown[row] = len(text)

    def text(self, row: int) -> str:
        # Cleaning up would take spaces out of quotes.
        return self.tokenizer.decode(
            self.rows[row], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def end(self) -> None:
        """Hands on what was held back as half a character, now that nothing follows."""
        for row, shown in enumerate(self.shown):
            if rest := self.text(row)[shown:]:
                self.on_text(row, rest)


class Decoder:
    """A causal model ready to decode.

    spoken: special tokens that may be text. prepare: called before each decoding (a student
    whose stages share a base makes stage 2's adapter the active one).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        spoken: Collection[str] = (),
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise StudentError(
                "expected a tokenizer with an end token, got one without; set eos_token in the "
                "tokenizer_config.json of the base"
            )
        self.model, self.tokenizer, self.prepare = model, tokenizer, prepare
        self.vocabulary = read_vocabulary(tokenizer, spoken)
        self.pad_id: int = (
            tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        )
        ends = getattr(model.generation_config, "eos_token_id", None)
        self.stop_ids = frozenset({tokenizer.eos_token_id, *_as_list(ends)})

    def decode(
        self,
        prompts: Sequence[str],
        grammars: Sequence[Grammar | None],
        *,
        max_new_tokens: int,
        on_text: OnText = lambda row, text: None,
        cancelled: Cancelled = lambda: False,
    ) -> list[Decoded]:
        """The continuation of each prompt, in order. A grammar of None leaves decoding free.

        Raises CancelledError within one token of `cancelled()` turning true, and StudentError
        for prompts beyond the model's context. Near its end decoding stops by length.
        """
        if not prompts:
            return []
        rows = [self.tokenizer(p, add_special_tokens=False)["input_ids"] for p in prompts]
        room = self._check_room(max(map(len, rows)), max_new_tokens)
        shared = _count_shared(rows)
        input_ids, mask = self._pad_between(rows, shared)
        states = [GrammarState(g, self.vocabulary) if g else None for g in grammars]
        streamer = _RowStreamer(
            tokenizer=self.tokenizer,
            on_text=on_text,
            cancelled=cancelled,
            stop_ids=self.stop_ids | {self.pad_id},
        )
        self.prepare()
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=input_ids,
                attention_mask=mask,
                past_key_values=self._read_shared(rows[0][:shared], len(rows)),
                generation_config=self._configure(room),
                logits_processor=[_GroundedLogits(states, input_ids.shape[1])],
                streamer=streamer,
            )
        ended = torch.isin(
            output[:, input_ids.shape[1] :].cpu(), torch.tensor(sorted(self.stop_ids))
        ).any(dim=1)
        return [
            Decoded(
                text=streamer.text(row),
                tokens=len(streamer.rows[row]),
                prompt_tokens=len(rows[row]),
                stopped_by="end" if ended[row] else "length",
            )
            for row in range(len(rows))
        ]

    def _check_room(self, prompt_tokens: int, max_new_tokens: int) -> int:
        """How many tokens may be written before the context is full."""
        context = getattr(self.model.config, "max_position_embeddings", None)
        if context is None or prompt_tokens + max_new_tokens <= context:
            return max_new_tokens
        if prompt_tokens >= context:
            raise StudentError(
                f"expected a prompt of fewer than {context} tokens, got {prompt_tokens}; choose "
                "a smaller window or a smaller max_passage_tokens in profile.json"
            )
        return int(context) - prompt_tokens

    def _read_shared(self, shared: list[int], copies: int) -> DynamicCache | None:
        """The key/value cache of the common beginning, read once for all rows."""
        if not shared:
            return None
        cache = DynamicCache(config=self.model.config)
        ids = torch.tensor([shared], device=self.model.device)
        self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(copies)
        return cache

    def _pad_between(self, rows: list[list[int]], shared: int) -> tuple[torch.Tensor, torch.Tensor]:
        """[rows, longest] ids and mask: the shared beginning, then padding, then each rest, so
        that all rows end together."""
        width = max(map(len, rows))
        ids, mask = [], []
        for row in rows:
            gap = width - len(row)
            ids.append(row[:shared] + [self.pad_id] * gap + row[shared:])
            mask.append([1] * shared + [0] * gap + [1] * (len(row) - shared))
        device = self.model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _configure(self, max_new_tokens: int) -> GenerationConfig:
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            use_cache=True,
            eos_token_id=sorted(self.stop_ids),
            pad_token_id=self.pad_id,
        )


def _count_shared(rows: Iterable[list[int]]) -> int:
    """How many tokens all rows begin with, leaving each at least one of its own."""
    rows = list(rows)
    shortest = min(map(len, rows))
    return min(len(commonprefix(rows)), shortest - 1)


def _as_list(ids: int | list[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else ids
