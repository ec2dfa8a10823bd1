"""The bundled stage-2 base: a small Llama trained from scratch.

Takes a tokenizer, reasoning examples and wiki text; writes checkpoints and a base folder.
Copying comes first (repeated random spans, which a small model must learn before it can use
what it reads), then notes and rankings, with wiki text mixed in throughout.

    python -m reranker.training.base pack  --data DIR --examples FILE --tokenizer DIR --out DIR
    python -m reranker.training.base train --rows DIR --tokenizer DIR --out DIR [--minutes M]

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

from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from reranker.student.load import load_tokenizer
from reranker.training.packing import (
    PackedRows,
    TokenizedExample,
    pack_rows,
    save_rows,
    tokenize_example,
)
from reranker.training.schedule import StopAfter
from reranker.training.sources import read_wiki

logger = logging.getLogger(__name__)

ROW_TOKENS = 384
COPY_EXAMPLES = 12_000
WIKI_SHARE = 0.15
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


def copy_examples(vocabulary: range, count: int, random_: random.Random) -> Iterator[TokenizedExample]:
    """Random spans and their repetition; the loss counts on the repetition."""
    for _ in range(count):
        length = random_.randint(12, 90)
        span = random_.choices(vocabulary, k=length)
        start = random_.randrange(length // 2)
        copied = span[start : start + random_.randint(6, 40)]
        # The first tokens of the copy say where it starts; they cannot be foretold.
        yield TokenizedExample(ids=span + copied, learn_from=length + 2)


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
    """Writes the rows of the whole curriculum in training order."""
    tokenizer = load_tokenizer(str(options.tokenizer))
    random_ = random.Random(options.seed)
    plain = range(300, len(tokenizer) - 64)
    copies = copy_examples(plain, COPY_EXAMPLES, random_)
    wiki = wiki_examples(tokenizer, options.data)
    lines = options.examples.read_text(encoding="utf-8").splitlines()
    random_.shuffle(lines)

    def curriculum() -> Iterator[TokenizedExample]:
        for number, example in enumerate(reasoning_examples(tokenizer, lines, random_)):
            # The copies lead: three for each note at first, fading out.
            copied = 3 if number < COPY_EXAMPLES / 6 else 1
            yield from itertools.islice(copies, copied)
            if random_.random() < WIKI_SHARE:
                yield from itertools.islice(wiki, 1)
            yield example

    rows = list(pack_rows(curriculum(), ROW_TOKENS, tokenizer.pad_token_id))
    save_rows(rows, options.out)
    logger.info("%d rows of %d tokens in %s", len(rows), ROW_TOKENS, options.out)


def train(options: argparse.Namespace) -> None:
    """Trains, or goes on training, and saves the base as it stands."""
    tokenizer = load_tokenizer(str(options.tokenizer))
    arguments = TrainingArguments(
        output_dir=str(options.out / "checkpoints"),
        per_device_train_batch_size=options.batch,
        max_steps=options.steps,
        learning_rate=options.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": options.decay_steps, "min_lr_ratio": 0.05},
        warmup_steps=200,
        weight_decay=0.05,
        max_grad_norm=1.0,
        adam_beta2=0.98,
        bf16=True,
        torch_compile=options.compile,
        train_sampling_strategy="sequential",
        logging_steps=50,
        save_steps=options.save_steps,
        save_total_limit=2,
        report_to=[],
        seed=options.seed,
        dataloader_num_workers=0,
        use_cpu=options.cpu,
    )
    model = LlamaForCausalLM(build_config(tokenizer, options.hidden, options.layers))
    logger.info("%.2fM parameters", sum(p.numel() for p in model.parameters()) / 1e6)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=PackedRows(options.rows),
        callbacks=[StopAfter(options.minutes)],
    )
    checkpoints = options.out / "checkpoints"
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    trainer.model.save_pretrained(options.out / "base")
    tokenizer.save_pretrained(options.out / "base")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("--data", type=Path, required=True)
    packing.add_argument("--examples", type=Path, required=True)
    training = commands.add_parser("train")
    training.add_argument("--rows", type=Path, required=True)
    training.add_argument("--minutes", type=float, default=120)
    training.add_argument("--steps", type=int, default=9_000)
    training.add_argument("--decay-steps", type=int, default=1_500)
    training.add_argument("--save-steps", type=int, default=250)
    training.add_argument("--batch", type=int, default=16)
    training.add_argument("--hidden", type=int, default=256)
    training.add_argument("--layers", type=int, default=6)
    training.add_argument("--learning-rate", type=float, default=1.5e-3)
    training.add_argument("--compile", action="store_true", help="needs a C++ compiler")
    training.add_argument("--cpu", action="store_true")
    for command in (packing, training):
        command.add_argument("--tokenizer", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    (pack if options.command == "pack" else train)(options)


if __name__ == "__main__":
    main()
