"""The tokenizer of the bundled stage-2 base: byte-level BPE with one token for each marker.

Takes wiki text and reasoning examples, writes a tokenizer folder. Knows no model.

    python -m reranker.training.tokenizer --data DIR --examples FILE --out DIR [--vocabulary N]
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from reranker.prompts.digest import LABELS, MARKERS
from reranker.training.sources import read_squad, read_wiki

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
SEPARATOR = " > "
EXAMPLES = 5_000


def train_tokenizer(texts: Iterator[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of `vocabulary` tokens; any text survives a round trip."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(LABELS) - 1,
        special_tokens=[PAD, BOS, EOS, *MARKERS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*LABELS, SEPARATOR)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains on wiki and SQuAD passages, questions and some examples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--examples", type=Path, required=True, help="from training.reasoning")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--passages", type=int, default=30_000)
    options = parser.parse_args(arguments)
    squad, questions = read_squad(options.data)
    with options.examples.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in itertools.islice(lines, EXAMPLES)]
    texts = itertools.chain(
        (p.text for p in itertools.islice(read_wiki(options.data), options.passages)),
        (p.text for p in squad),
        (q.text for q in questions),
        (record["prompt"] + record["answer"] for record in records),
    )
    train_tokenizer(texts, options.vocabulary).save_pretrained(options.out)


if __name__ == "__main__":
    main()
