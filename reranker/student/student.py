"""A student: its stage-1 scorer and stage-2 reader, loaded when first needed.

Takes a profile, returns the two stages behind their interfaces and says exactly which weights
they are. One base carries both adapters when the profile names the same base twice. Knows
nothing of retrieval or of the pipeline.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from reranker.config import DEFAULT_STUDENT, Profile, Stage2Profile, load_profile
from reranker.errors import InputError, StudentError
from reranker.prompts.digest import MARKERS
from reranker.stage1.biencoder import CACHED_PASSAGES, BiEncoderScorer
from reranker.stage1.crossencoder import Classify, CrossEncoderScorer
from reranker.stage1.scorer import Scorer
from reranker.stage2.chat_reader import ChatReader
from reranker.stage2.decode import Decoder
from reranker.stage2.digest_reader import DigestReader
from reranker.stage2.reader import WindowReader
from reranker.student.hardware import choose_device
from reranker.student.load import (
    add_adapter,
    load_base,
    load_tokenizer,
    merge_adapter,
    read_head,
    widen_head,
)
from reranker.student.locate import fetch_adapter, hash_adapter, resolve_weights
from reranker.student.quantize import NAMES, count_bytes, unpack_once
from reranker.types import Quantization, StudentInfo

STAGE1, STAGE2, SHARED = "stage1", "stage2", "shared"


class Student:
    """Both stages of one profile at one quantisation.

    `lock` is held while a ranking uses the weights: two rankings on one student take turns.
    """

    def __init__(
        self,
        profile: Profile,
        quantization: Quantization | None = None,
        *,
        device: str | None = None,
        cached_passages: int = CACHED_PASSAGES,
    ) -> None:
        self.profile = profile
        self.quantization: Quantization = quantization or profile.quantization
        self.device = device or choose_device()
        self.lock = threading.RLock()
        self._cached_passages = cached_passages
        self._models: dict[str, PreTrainedModel] = {}
        self._hashes: dict[str, str] = {}
        self._scorer: Scorer | None = None
        self._reader: WindowReader | None = None

    @property
    def scorer(self) -> Scorer:
        """Stage 1. Raises StudentError or QuantizationError when it cannot be loaded."""
        with self.lock:
            if self._scorer is None:
                self._scorer = self._load_scorer()
            return self._scorer

    @property
    def reader(self) -> WindowReader:
        """Stage 2. Raises StudentError or QuantizationError when it cannot be loaded."""
        with self.lock:
            if self._reader is None:
                self._reader = self._load_reader()
            return self._reader

    def activate(self, stage: str) -> None:
        """Makes a stage's adapter the active one where both stages share a base."""
        model = self._models.get(SHARED)
        if not isinstance(model, PeftModel):
            return
        if self._adapters[stage]:
            model.base_model.enable_adapter_layers()
            model.set_adapter(stage, inference_mode=True)
        else:
            model.base_model.disable_adapter_layers()

    def seed(self, seed: int) -> None:
        """Seeds the random numbers of decoding; greedy decoding draws none."""
        torch.manual_seed(seed)

    def info(self) -> StudentInfo:
        """Which weights these are; memory counts what has been loaded so far.

        The hash of an adapter on the hub is known once its stage has been loaded.
        """
        profile = self.profile
        stage2 = profile.stage2
        return StudentInfo(
            name=profile.name,
            quantization=self.quantization,
            device=self.device,
            stage1_base=profile.stage1.base,
            stage2_base=stage2.base if stage2 else "",
            stage1_adapter_sha256=self._hash(STAGE1),
            stage2_adapter_sha256=self._hash(STAGE2),
            memory_bytes=sum(map(count_bytes, self.models())),
        )

    def models(self) -> list[PreTrainedModel]:
        """What has been loaded so far."""
        return list(self._models.values())

    @property
    def _stage2(self) -> Stage2Profile:
        if self.profile.stage2 is None:
            raise StudentError(
                f"expected student {self.profile.name!r} to have a stage 2, it has none; "
                "rank with stages=1, or choose another student"
            )
        return self.profile.stage2

    @property
    def _adapters(self) -> dict[str, str]:
        stage2 = self.profile.stage2
        return {STAGE1: self.profile.stage1.adapter, STAGE2: stage2.adapter if stage2 else ""}

    @property
    def _shares_base(self) -> bool:
        stage1, stage2 = self.profile.stage1, self.profile.stage2
        return bool(stage2 and stage1.form == "crossencoder" and stage1.base == stage2.base)

    def _resolve(self, name: str) -> str:
        return resolve_weights(name, self.profile.folder)

    def _hash(self, stage: str) -> str:
        adapter = self._adapters[stage]
        if adapter and stage not in self._hashes:
            folder = Path(self._resolve(adapter))
            if folder.is_dir():
                self._hashes[stage] = hash_adapter(str(folder))
        return self._hashes.get(stage, "")

    def _load(
        self,
        key: str,
        base: str,
        kind: str,
        stages: tuple[str, ...],
        quantization: Quantization | None = None,
    ) -> PreTrainedModel:
        """A base with the adapters of `stages`, all added before it first runs (see load.py)."""
        if key not in self._models:
            options: dict[str, Any] = {}
            if kind == "sequence":
                brings_head = self._read_head() is not None
                options = {"num_labels": 1, "head_follows": brings_head}
            model = load_base(
                self._resolve(base),
                kind=kind,
                quantization=quantization or self.quantization,
                device=self.device,
                **options,
            )
            for stage in stages:
                if adapter := self._adapters[stage]:
                    weights = self._resolve(adapter)
                    model = add_adapter(model, weights, stage)
                    self._hashes[stage] = hash_adapter(str(fetch_adapter(weights)))
            self._models[key] = model
        return self._models[key]

    def _load_scorer(self) -> Scorer:
        stage1 = self.profile.stage1
        tokenizer = load_tokenizer(self._resolve(stage1.base))
        if stage1.form == "biencoder":
            # Nothing else uses this base, so its adapter can become part of it: a third faster.
            model = merge_adapter(self._load_plain(), self.quantization)
            self._models[STAGE1] = model
            return BiEncoderScorer(
                model,
                tokenizer,
                stage1,
                cached_passages=self._cached_passages,
                many_batches=partial(unpack_once, model),
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if self._shares_base:
            return CrossEncoderScorer(self._classify_on_shared(), tokenizer, stage1)
        model = self._load(STAGE1, stage1.base, "sequence", (STAGE1,))
        model.config.pad_token_id = tokenizer.pad_token_id
        widen_head(model)

        def classify(
            ids: torch.Tensor, mask: torch.Tensor, extra: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            moved = {name: tensor.to(model.device) for name, tensor in extra.items()}
            return model(
                input_ids=ids.to(model.device), attention_mask=mask.to(model.device), **moved
            ).logits

        return CrossEncoderScorer(classify, tokenizer, stage1)

    def _load_plain(self) -> PreTrainedModel:
        """Stage 1's base and adapter, not quantised yet."""
        stored: Quantization = "bf16" if self.quantization in NAMES else self.quantization
        return self._load(STAGE1, self.profile.stage1.base, "encoder", (STAGE1,), stored)

    def _read_head(self) -> torch.Tensor | None:
        """The head that stage 1's adapter carries."""
        adapter = self._adapters[STAGE1]
        return read_head(self._resolve(adapter)) if adapter else None

    def _load_shared(self) -> PreTrainedModel:
        return self._load(SHARED, self.profile.stage1.base, "causal", (STAGE1, STAGE2))

    def _classify_on_shared(self) -> Classify:
        """Stage 1 on the causal base: the adapter's own head on the last token's state."""
        head = self._read_head()
        if head is None:
            raise StudentError(
                f"expected stage 1's adapter to carry a classification head (score.weight), got "
                f"none in {self._adapters[STAGE1]!r}; train it with task type SEQ_CLS"
            )
        model = self._load_shared()
        head = head.to(model.device)
        decoder = (model.get_base_model() if isinstance(model, PeftModel) else model).base_model

        def classify(
            ids: torch.Tensor, mask: torch.Tensor, extra: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            self.activate(STAGE1)
            hidden = decoder(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                use_cache=False,
            ).last_hidden_state
            last = mask.sum(dim=1).to(hidden.device) - 1
            states = hidden[torch.arange(len(ids), device=hidden.device), last]
            return states.float() @ head.T

        return classify

    def _load_reader(self) -> WindowReader:
        stage2 = self._stage2
        tokenizer = load_tokenizer(self._resolve(stage2.base))
        if self._shares_base:
            model = self._load_shared()
        else:
            model = self._load(STAGE2, stage2.base, "causal", (STAGE2,))
        spoken = MARKERS if stage2.template == "digest" else ()
        decoder = Decoder(model, tokenizer, spoken=spoken, prepare=lambda: self.activate(STAGE2))
        return (DigestReader if stage2.template == "digest" else ChatReader)(decoder, stage2)


def load_student(
    name: str = DEFAULT_STUDENT,
    quantization: Quantization | None = None,
    *,
    stage1_adapter: str | None = None,
    stage2_adapter: str | None = None,
) -> Student:
    """A student by profile name or folder; adapters may be swapped for other folders or hub ids.

    Raises StudentError for unknown names and InputError for a stage-2 adapter where the
    profile has no stage 2.
    """
    profile = load_profile(name)
    if stage1_adapter is not None:
        profile = replace(profile, stage1=replace(profile.stage1, adapter=stage1_adapter))
    if stage2_adapter is not None:
        if profile.stage2 is None:
            raise InputError(f"expected a student with a stage 2 for its adapter, got {name!r}")
        profile = replace(profile, stage2=replace(profile.stage2, adapter=stage2_adapter))
    return Student(profile, quantization)
