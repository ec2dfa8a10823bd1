"""Decoding on a tiny real Llama: the batch, the cache and the grammar against a plain loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from reranker.errors import CancelledError, StudentError
from reranker.grounding import Choice, Grammar, GrammarState, Permutation, Prose, Quote, SpanRule
from reranker.stage2.decode import Decoder, read_vocabulary
from reranker.student.load import load_tokenizer

SHARED = "The tide rises and falls twice a day. "
PROMPTS = [
    SHARED + "Granite",
    SHARED,
    SHARED + "The moon 🌙 is full, and granite forms when magma cools slowly under the ground.",
    SHARED + "The m",
]
SOURCE = "A naïve café owner saw the 🌙 rise over “granite” at 5."
QUOTING: Grammar = (Quote(source=SOURCE, close="|", max_bytes=60), Choice(options=("yes", "no")))


@pytest.fixture(scope="module")
def decoder(shared_student: Path) -> Decoder:
    base = shared_student / "base"
    return Decoder(AutoModelForCausalLM.from_pretrained(base).eval(), load_tokenizer(str(base)))


@contextmanager
def count_passes(decoder: Decoder) -> Iterator[list[int]]:
    """Tokens read in each forward pass."""
    passes: list[int] = []
    handle = decoder.model.register_forward_hook(
        lambda module, args, kwargs, output: passes.append(kwargs["input_ids"].shape[1]),
        with_kwargs=True,
    )
    yield passes
    handle.remove()


def decode_plainly(decoder: Decoder, prompt: str, grammar: Grammar | None, limit: int) -> list[int]:
    """Greedy decoding as one would write it down: no cache, no padding, no batch."""
    ids = decoder.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    state = GrammarState(grammar, decoder.vocabulary) if grammar else None
    written: list[int] = []
    while len(written) < limit:
        with torch.no_grad():
            logits = decoder.model(torch.tensor([ids + written])).logits[0, -1]
        if state is not None:
            allowed = state.allowed()
            keep = torch.zeros(len(logits), dtype=torch.bool)
            keep[torch.tensor(allowed if isinstance(allowed, list) else allowed.nonzero()[0])] = (
                True
            )
            logits = logits.masked_fill(~keep, float("-inf"))
        token = int(logits.argmax())
        if token == decoder.tokenizer.eos_token_id:
            break
        if state is not None:
            state.advance(token)
        written.append(token)
    return written


@pytest.mark.parametrize(
    "grammars",
    [
        [None] * 4,
        [None, (Permutation(count=4),), QUOTING, (Prose(until=". END", max_tokens=9),)],
    ],
)
def test_a_batch_with_cache_and_padding_equals_each_prompt_alone(
    decoder: Decoder, grammars: list[Grammar | None]
) -> None:
    batch = decoder.decode(PROMPTS, grammars, max_new_tokens=24)
    for prompt, grammar, decoded in zip(PROMPTS, grammars, batch, strict=True):
        expected = decode_plainly(decoder, prompt, grammar, 24)
        assert decoded.text == decoder.tokenizer.decode(expected)
        assert decoded.tokens == len(expected)
        assert decoded.prompt_tokens == len(
            decoder.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        )


@pytest.mark.parametrize(
    "prompts",
    [
        ["Granite"],
        ["T"],
        ["Granite", "The tide rises"],
        ["The tide"] * 3,
        ["The", "The tide falls"],
    ],
)
def test_prompts_with_and_without_a_common_beginning(decoder: Decoder, prompts: list[str]) -> None:
    batch = decoder.decode(prompts, [None] * len(prompts), max_new_tokens=6)
    for prompt, decoded in zip(prompts, batch, strict=True):
        assert decoded.text == decoder.tokenizer.decode(decode_plainly(decoder, prompt, None, 6))


def test_the_common_beginning_is_read_once(decoder: Decoder) -> None:
    length = len(decoder.tokenizer(SHARED, add_special_tokens=False)["input_ids"])
    with count_passes(decoder) as passes:
        decoder.decode(PROMPTS[:1] + PROMPTS[2:], [None] * 3, max_new_tokens=3)
    shared, rest, *steps = passes
    assert length - 1 <= shared <= length + 2
    assert rest < 60 and set(steps) == {1}


def test_no_prompts_give_nothing(decoder: Decoder) -> None:
    assert decoder.decode([], [], max_new_tokens=5) == []


def test_grammars_are_respected(decoder: Decoder) -> None:
    permutation, quote = decoder.decode(
        [SHARED, SHARED + "moon"],
        [(Permutation(count=12, lead=" "), Choice(options=(" END",))), QUOTING],
        max_new_tokens=120,
    )
    labels = permutation.text.removesuffix(" END").removeprefix(" ").split(" > ")
    assert sorted(labels) == sorted(f"[{label}]" for label in range(1, 13))
    copied, _, answer = quote.text.partition("|")
    assert copied and copied in SOURCE and answer in ("yes", "no")
    assert permutation.stopped_by == quote.stopped_by == "end"


def test_every_span_inside_prose_is_verbatim(decoder: Decoder) -> None:
    rule = SpanRule(open="e", close="|", default=SOURCE, max_bytes=30)
    grammar = (Prose(until="###", max_tokens=60, spans=(rule,)), Choice(options=("stop",)))
    (decoded,) = decoder.decode([SHARED], [grammar], max_new_tokens=120)
    rest, spans = decoded.text, []
    while "e" in rest:
        span, close, rest = rest.partition("e")[2].partition("|")
        assert close and span in SOURCE
        spans.append(span)
    assert spans and decoded.text.endswith("###stop") and decoded.stopped_by == "end"


def test_what_stopped_a_text_is_told(decoder: Decoder) -> None:
    first, second = decoder.decode(
        PROMPTS[:2], [(Choice(options=("yes",)),), (Permutation(count=9),)], max_new_tokens=8
    )
    assert (first.stopped_by, second.stopped_by) == ("end", "length")
    assert first.text == "yes" and second.tokens == 8


def test_the_end_tokens_of_the_models_own_configuration_count(
    decoder: Decoder, shared_student: Path
) -> None:
    """Llama 3.1 Instruct names three, its tokenizer one."""
    tokens = decode_plainly(decoder, SHARED, None, 6)
    end = tokens[3]
    model = AutoModelForCausalLM.from_pretrained(shared_student / "base").eval()
    model.generation_config.eos_token_id = [decoder.tokenizer.eos_token_id, end]
    (decoded,) = Decoder(model, decoder.tokenizer).decode([SHARED], [None], max_new_tokens=6)
    assert decoded.stopped_by == "end" and decoded.tokens == tokens.index(end)


@pytest.mark.parametrize("grammars", [[None, None], [QUOTING, QUOTING]])
def test_streamed_pieces_make_up_the_text(decoder: Decoder, grammars: list[Grammar | None]) -> None:
    pieces: list[list[str]] = [[], []]
    batch = decoder.decode(
        PROMPTS[:2],
        grammars,
        max_new_tokens=40,
        on_text=lambda row, text: pieces[row].append(text),
    )
    for row, decoded in enumerate(batch):
        assert "".join(pieces[row]) == decoded.text
        assert all(pieces[row]) and len(pieces[row]) > 2
        if grammars[row]:
            assert "�" not in decoded.text


def test_characters_of_several_tokens_are_streamed_whole(decoder: Decoder) -> None:
    pieces: list[str] = []
    text = "🦀 日本 é ☃"
    (decoded,) = decoder.decode(
        [SHARED],
        [(Choice(options=(text,)),)],
        max_new_tokens=60,
        on_text=lambda row, piece: pieces.append(piece),
    )
    assert decoded.text == text == "".join(pieces)
    assert decoded.tokens > len(text) and not any("�" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_not_lost(decoder: Decoder) -> None:
    pieces: list[str] = []
    (decoded,) = decoder.decode(
        [SHARED],
        [(Choice(options=("ab🦀",)),)],
        max_new_tokens=4,
        on_text=lambda row, piece: pieces.append(piece),
    )
    assert decoded.text == "ab�" == "".join(pieces)


@pytest.mark.parametrize("after", [0, 3])
def test_stopping_takes_at_most_one_token(decoder: Decoder, after: int) -> None:
    pieces: list[str] = []
    with count_passes(decoder) as passes, pytest.raises(CancelledError):
        decoder.decode(
            [SHARED],
            [(Permutation(count=9),)],
            max_new_tokens=30,
            on_text=lambda row, text: pieces.append(text),
            cancelled=lambda: len(pieces) >= after,
        )
    assert len(pieces) == after
    assert len(passes) <= after + 2  # the shared beginning, and one token too many


def test_a_prompt_beyond_the_context_is_refused_and_near_its_end_decoding_stops(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = len(decoder.tokenizer(SHARED, add_special_tokens=False)["input_ids"])
    monkeypatch.setattr(decoder.model.config, "max_position_embeddings", length + 5)
    (decoded,) = decoder.decode([SHARED], [(Permutation(count=9),)], max_new_tokens=30)
    assert decoded.tokens == 5 and decoded.stopped_by == "length"
    monkeypatch.setattr(decoder.model.config, "max_position_embeddings", length)
    with pytest.raises(StudentError, match="smaller window"):
        decoder.decode([SHARED], [None], max_new_tokens=30)


def test_special_tokens_are_text_only_where_the_template_says_so(decoder: Decoder) -> None:
    tokenizer = decoder.tokenizer
    header = tokenizer.convert_tokens_to_ids("<|start_header_id|>")
    assert decoder.vocabulary.pieces[header] is None
    spoken = read_vocabulary(tokenizer, spoken={"<|start_header_id|>"})
    assert spoken.pieces[header] == b"<|start_header_id|>"
    assert decoder.vocabulary.pieces[tokenizer.eos_token_id] is None


@pytest.mark.parametrize("text", ["The tide", " naïve 🌙", "a\n\tb", "5 % “x”"])
def test_byte_level_tokens_are_read_as_their_bytes(decoder: Decoder, text: str) -> None:
    ids = decoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert b"".join(decoder.vocabulary.pieces[i] or b"" for i in ids) == text.encode()


@pytest.mark.parametrize("text", ["the tide", "naïve 🌙 tide", "<b> tide"])
def test_sentencepiece_tokens_are_read_as_their_bytes(text: str) -> None:
    scores = [("<unk>", 0.0), ("</s>", 0.0), *((f"<0x{byte:02X}>", -9.0) for byte in range(256))]
    scores += [("▁", -3.0), ("▁the", -1.0), ("▁tide", -1.0), *((c, -4.0) for c in "abdehinotv")]
    inner = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    inner.add_tokens([AddedToken("<b>", normalized=False)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")
    pieces = read_vocabulary(tokenizer).pieces
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert b"".join(pieces[i] or b"" for i in ids).strip() == text.encode()


def test_a_tokenizer_without_an_end_is_refused(decoder: Decoder) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(StudentError, match="end token"):
        Decoder(decoder.model, tokenizer)
