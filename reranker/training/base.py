"""The bundled stage-2 base: a small Llama trained from scratch.

Takes a tokenizer, reasoning examples and wiki text; writes checkpoints and a base folder. Notes and
rankings make up most of what it reads, with wiki text mixed in throughout.

    python -m reranker.training.base pack  --data DIR --examples FILE --tokenizer DIR --out DIR
    python -m reranker.training.base train --rows DIR --tokenizer DIR --out DIR [--minutes M]
    python -m reranker.training.base export --tokenizer DIR --out DIR

Training resumes from the last checkpoint in --out when there is one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, Trainer
from transformers.trainer_utils import get_last_checkpoint

from reranker.errors import InputError
from reranker.student.load import load_tokenizer
from reranker.training.packing import (
    PackedRows,
    TokenizedExample,
    pack_rows,
    save_rows,
    tokenize_example,
)
from reranker.training.schedule import add_schedule_options, make_arguments, run_training
from reranker.training.sources import read_wiki

logger = logging.getLogger(__name__)

ROW_TOKENS = 384
WIKI_SHARE = 0.1
PROMPT_LEARNING_SHARE = 0.1


def build_config(tokenizer: PreTrainedTokenizerBase, hidden: int, layers: int) -> LlamaConfig:
    """A Llama with tied embeddings, heads of 32 and an inner width of 8/3 hidden."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=-(-8 * hidden // 3 // 64) * 64,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def reasoning_examples(
    tokenizer: PreTrainedTokenizerBase, lines: Iterable[str], random_: random.Random
) -> Iterator[TokenizedExample]:
    """Notes and rankings with the loss on the answer, now and then on the prompt as well."""
    for line in lines:
        record = json.loads(line)
        learn_prompt = random_.random() < PROMPT_LEARNING_SHARE
        yield tokenize_example(
            tokenizer, record["prompt"], record["answer"], learn_prompt=learn_prompt
        )


def wiki_examples(tokenizer: PreTrainedTokenizerBase, data: Path) -> Iterator[TokenizedExample]:
    for passage in read_wiki(data):
        ids = tokenizer(passage.text, add_special_tokens=False)["input_ids"][: ROW_TOKENS // 2]
        yield TokenizedExample(ids=ids, learn_from=0)


def pack(options: argparse.Namespace) -> None:
    """Writes the rows in training order."""
    tokenizer = load_tokenizer(str(options.tokenizer))
    random_ = random.Random(options.seed)
    wiki = wiki_examples(tokenizer, options.data)
    lines = options.examples.read_text(encoding="utf-8").splitlines()
    random_.shuffle(lines)

    def mixture() -> Iterator[TokenizedExample]:
        for example in reasoning_examples(tokenizer, lines, random_):
            if random_.random() < WIKI_SHARE:
                yield from itertools.islice(wiki, 1)
            yield example

    rows = list(pack_rows(mixture(), ROW_TOKENS, tokenizer.pad_token_id))
    save_rows(rows, options.out)
    logger.info("%d rows of %d tokens in %s", len(rows), ROW_TOKENS, options.out)


def train(options: argparse.Namespace) -> None:
    """Trains, or goes on training, and saves the base as it stands, in bf16."""
    tokenizer = load_tokenizer(str(options.tokenizer))
    arguments = make_arguments(
        options,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": options.decay_steps, "min_lr_ratio": 0.05},
        warmup_steps=200,
        weight_decay=0.05,
        max_grad_norm=1.0,
        adam_beta2=0.98,
        logging_steps=50,
    )
    if options.init:
        model = LlamaForCausalLM.from_pretrained(options.init, dtype=torch.float32)
    else:
        model = LlamaForCausalLM(build_config(tokenizer, options.hidden, options.layers))
    logger.info("%.2fM parameters", sum(p.numel() for p in model.parameters()) / 1e6)
    trainer = Trainer(model=model, args=arguments, train_dataset=PackedRows(options.rows))
    run_training(trainer, options)
    save_base(model, tokenizer, options.out / "base")


def save_base(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Weights in bf16 as safetensors, with their tokenizer."""
    model.config.use_cache = True  # the Trainer switches it off
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def export(options: argparse.Namespace) -> None:
    """Saves a checkpoint as a base, while training goes on or after it was cut off."""
    last = get_last_checkpoint(str(options.out / "checkpoints"))
    if last is None:
        raise InputError("expected a checkpoint, found none; train first", where=str(options.out))
    model = LlamaForCausalLM.from_pretrained(last)
    save_base(model, load_tokenizer(str(options.tokenizer)), options.out / "base")
    logger.info("%s saved in %s", last, options.out / "base")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="examples and wiki text into training rows")
    packing.add_argument("--data", type=Path, required=True)
    packing.add_argument("--examples", type=Path, required=True)
    packing.add_argument("--out", type=Path, required=True)
    packing.add_argument("--seed", type=int, default=0)
    packing.set_defaults(run=pack)
    training = commands.add_parser("train", help="from scratch, or on from the last checkpoint")
    training.add_argument("--rows", type=Path, required=True)
    training.add_argument("--init", type=Path, help="a base to begin with, same tokenizer")
    training.add_argument("--decay-steps", type=int, default=1_000)
    training.add_argument("--hidden", type=int, default=256)
    training.add_argument("--layers", type=int, default=6)
    add_schedule_options(training, steps=5_000, learning_rate=1.2e-3, batch=8)
    training.set_defaults(run=train)
    exporting = commands.add_parser("export", help="the last checkpoint as a base")
    exporting.add_argument("--out", type=Path, required=True)
    exporting.set_defaults(run=export)
    for command in (packing, training, exporting):
        command.add_argument("--tokenizer", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.run(options)


if __name__ == "__main__":
    main()
