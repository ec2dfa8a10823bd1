"""Stage-2 training: a LoRA adapter on the quantised base by supervised fine-tuning.

Takes reasoning examples ({"prompt", "answer"} a line), writes an adapter folder. The loss
counts on the answers only, and more on the verdicts than on the wording around them. Knows nothing
of how the examples were made.

    python -m reranker.training.stage2 --examples FILE --base DIR --out DIR [--steps N]

Training resumes from the last checkpoint in --out when there is one; with --init it begins with
another run's adapter.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedTokenizerBase, Trainer

from reranker.prompts.digest import VERDICT_MARKERS
from reranker.student.hardware import choose_device, choose_dtype
from reranker.student.load import load_base, load_tokenizer
from reranker.student.quantize import keep_unpacked
from reranker.training.packing import (
    IGNORED,
    PackedRows,
    TokenizedExample,
    pack_rows,
    save_rows,
    tokenize_example,
)
from reranker.training.schedule import (
    add_schedule_options,
    make_arguments,
    run_training,
    save_adapter,
)

logger = logging.getLogger(__name__)

ROW_TOKENS = 384
VERDICT_WEIGHT = 8.0
"""Of a verdict in the loss. It is one token among forty, and the one that has to be judged: at a
weight of one a student learns the wording and hardly heeds what the verdict rests on."""
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def read_examples(
    tokenizer: PreTrainedTokenizerBase, path: Path, seed: int
) -> Iterator[TokenizedExample]:
    """The examples in a seeded order, with the loss on their answers."""
    lines = path.read_text(encoding="utf-8").splitlines()
    random.Random(seed).shuffle(lines)
    for line in lines:
        record = json.loads(line)
        yield tokenize_example(tokenizer, record["prompt"], record["answer"])


def train(options: argparse.Namespace) -> None:
    """Trains, or goes on training, and saves the adapter as it stands."""
    tokenizer = load_tokenizer(str(options.base))
    rows_folder = options.out / "rows"
    if not rows_folder.is_dir():
        examples = read_examples(tokenizer, options.examples, options.seed)
        save_rows(list(pack_rows(examples, ROW_TOKENS, tokenizer.pad_token_id)), rows_folder)
    device = choose_device()
    base = load_base(
        str(options.base),
        kind="causal",
        quantization=options.quantization,
        device=device,
        dtype=choose_dtype(device),
    )
    keep_unpacked(base)
    if options.init:
        model = PeftModel.from_pretrained(base, str(options.init), is_trainable=True)
    else:
        model = get_peft_model(base, _describe_adapter(options.rank))
    model.print_trainable_parameters()
    trainer = Trainer(
        model=model,
        args=make_arguments(options, lr_scheduler_type="cosine", warmup_steps=30, logging_steps=10),
        train_dataset=PackedRows(rows_folder),
        compute_loss_func=weigh_verdicts(tokenizer),
    )
    run_training(trainer, options)
    save_adapter(trainer, options, options.base.name)


def weigh_verdicts(tokenizer: PreTrainedTokenizerBase) -> Callable[..., torch.Tensor]:
    """The loss as transformers.Trainer asks for it: the mean cross-entropy over the tokens to
    learn, [rows, length], in which a verdict counts VERDICT_WEIGHT times."""
    verdicts = torch.tensor(tokenizer.convert_tokens_to_ids(list(VERDICT_MARKERS.values())))

    def compute_loss(outputs: Any, labels: torch.Tensor, **_: Any) -> torch.Tensor:
        wanted = labels[:, 1:]
        losses = torch.nn.functional.cross_entropy(
            outputs.logits[:, :-1].float().transpose(1, 2),
            wanted,
            ignore_index=IGNORED,
            reduction="none",
        )
        is_verdict = torch.isin(wanted, verdicts.to(wanted.device))
        weights = (wanted != IGNORED) * torch.where(is_verdict, VERDICT_WEIGHT, 1.0)
        return (losses * weights).sum() / weights.sum().clamp(min=1.0)

    return compute_loss


def _describe_adapter(rank: int) -> LoraConfig:
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.05,
        target_modules=TARGETS,
        task_type="CAUSAL_LM",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=Path, required=True, help="from training.reasoning")
    parser.add_argument("--base", type=Path, required=True, help="from training.base")
    parser.add_argument("--init", type=Path, metavar="ADAPTER", help="an adapter to go on from")
    parser.add_argument("--quantization", choices=("nf4", "bf16", "fp32"), default="nf4")
    parser.add_argument("--rank", type=int, default=16, help="of a fresh adapter")
    add_schedule_options(parser, steps=600, learning_rate=4e-4, batch=8)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(options)


if __name__ == "__main__":
    main()
