"""Tiny random students in exactly the layout of the published ones, built offline.

Takes a folder, returns the folder of a student: profile.json, base models and LoRA adapters as
their libraries save them. Two layers and 64 dimensions, so that everything real runs (NF4, PEFT,
chat template, grammar) in fractions of a second. Same seed, same weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from reranker.prompts.digest import LABELS, MARKERS
from reranker.training.tokenizer import train_tokenizer

HIDDEN = 64
LLAMA_TARGETS = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj"]
BOS, END, EOT = "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
SENTENCES = (
    "The tide rises and falls twice a day because of the moon.",
    "Granite forms when magma cools slowly under the ground.",
    'A "blue moon" is the second full moon of a month; naïve café owners say 🌙.',
    "query: document: verdict answers partial related off_topic evidence: reason",
    "### Final Reranking: [1] > [2] > [3] > [10]",
)


def train_llama_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with Llama 3's special tokens, template and pair form; no pad token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=[BOS, END, "<|start_header_id|>", "<|end_header_id|>", EOT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1", special_tokens=[bos]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOT,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=True,  # as Llama 3 ships it
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def _llama_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )


def save_llama(folder: Path, seed: int) -> Path:
    """A causal base with its tokenizer, as a hub repository holds it."""
    tokenizer = train_llama_tokenizer()
    torch.manual_seed(seed)
    LlamaForCausalLM(_llama_config(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _save_adapter(
    model: PreTrainedModel, base: Path, folder: Path, seed: int, **options: Any
) -> Path:
    """A LoRA adapter as PEFT writes it, its B matrices random instead of zero."""
    model.name_or_path = model.config.name_or_path = str(base)
    torch.manual_seed(seed)
    adapted = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, inference_mode=True, **options)
    )
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(folder)
    return folder


def save_pointwise_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A SEQ_CLS adapter with its head (modules_to_save score)."""
    model = LlamaForSequenceClassification.from_pretrained(base, num_labels=1)
    return _save_adapter(
        model,
        base,
        folder,
        seed,
        task_type=TaskType.SEQ_CLS,
        target_modules=LLAMA_TARGETS,
        modules_to_save=["score"],
    )


def save_listwise_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A CAUSAL_LM adapter."""
    model = LlamaForCausalLM.from_pretrained(base)
    return _save_adapter(
        model, base, folder, seed, task_type=TaskType.CAUSAL_LM, target_modules=LLAMA_TARGETS
    )


def write_profile(folder: Path, *, stage1: dict[str, Any], stage2: dict[str, Any] | None) -> Path:
    """profile.json in `folder`; fp32 unless a test asks for another quantisation."""
    profile: dict[str, Any] = {
        "name": folder.name,
        "title": "Replica",
        "description": "Tiny and random.",
        "licence": "Apache-2.0",
        "quantization": "fp32",
        "stage1": stage1,
    }
    if stage2 is not None:
        profile["stage2"] = stage2
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.json").write_text(json.dumps(profile, indent=1), encoding="utf-8")
    return folder


LLAMA_STAGE1 = {
    "form": "crossencoder",
    "base": "base",
    "adapter": "stage1",
    "query_template": "query: {query}",
    "passage_template": "document: {title} {text}",
}
LLAMA_STAGE2 = {
    "template": "chat",
    "base": "base",
    "adapter": "stage2",
    "window_size": 3,
    "stride": 2,
    "max_passage_tokens": 60,
    "max_new_tokens": 140,
}


def build_shared_student(folder: Path) -> Path:
    """Both adapters on one Llama base."""
    base = save_llama(folder / "base", seed=1)
    save_pointwise_adapter(base, folder / "stage1", seed=2)
    save_listwise_adapter(base, folder / "stage2", seed=3)
    return write_profile(folder, stage1=LLAMA_STAGE1, stage2=LLAMA_STAGE2)


def build_two_base_student(folder: Path) -> Path:
    """The published layout: each adapter on a Llama base of its own."""
    base = save_llama(folder / "base", seed=1)
    instruct = save_llama(folder / "instruct", seed=4)
    save_pointwise_adapter(base, folder / "stage1", seed=2)
    save_listwise_adapter(instruct, folder / "stage2", seed=3)
    return write_profile(folder, stage1=LLAMA_STAGE1, stage2={**LLAMA_STAGE2, "base": "instruct"})


def _save_bert(folder: Path, model: type[PreTrainedModel], seed: int) -> Path:
    words = sorted({c for text in SENTENCES for c in text.lower() if c.isascii() and c != " "})
    pieces = [*words, *(f"##{word}" for word in words), "tide", "moon", "the", "##ite", "gran"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]))
    tokenizer = BertTokenizerFast(str(vocabulary))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=256,
        initializer_range=0.2,
        num_labels=1,
    )
    model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_biencoder_student(folder: Path) -> Path:
    """A BERT encoder with a LoRA adapter on its attention, as `mini` has; no stage 2."""
    base = _save_bert(folder / "base", BertModel, seed=1)
    _save_adapter(
        BertModel.from_pretrained(base),
        base,
        folder / "stage1",
        2,
        task_type=TaskType.FEATURE_EXTRACTION,
        target_modules=["query", "value"],
    )
    stage1 = {"form": "biencoder", "base": "base", "adapter": "stage1", "max_passage_tokens": 40}
    return write_profile(folder, stage1=stage1, stage2=None)


def build_digest_student(folder: Path) -> Path:
    """`mini`'s layout: a bi-encoder, and a small Llama of our own that reads digests."""
    build_biencoder_student(folder)
    tokenizer = train_tokenizer(iter(SENTENCES), 256 + len(MARKERS) + len(LABELS) + 40)
    torch.manual_seed(5)
    LlamaForCausalLM(_llama_config(tokenizer)).save_pretrained(folder / "reader")
    tokenizer.save_pretrained(folder / "reader")
    save_listwise_adapter(folder / "reader", folder / "stage2", seed=6)
    stage1 = {"form": "biencoder", "base": "base", "adapter": "stage1"}
    stage2 = {
        "template": "digest",
        "base": "reader",
        "adapter": "stage2",
        "window_size": 3,
        "stride": 2,
        "max_new_tokens": 40,
        "max_ranking_tokens": 60,
    }
    return write_profile(folder, stage1=stage1, stage2=stage2)


def build_bert_crossencoder(folder: Path) -> Path:
    """A BERT cross-encoder saved whole: its head is in the base and there is no adapter."""
    _save_bert(folder / "base", BertForSequenceClassification, seed=3)
    return write_profile(folder, stage1={"form": "crossencoder", "base": "base"}, stage2=None)
