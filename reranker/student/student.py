"""A student: its stage-1 scorer and stage-2 reader, loaded when first needed.

Takes a profile, returns the two stages behind their interfaces and says exactly which weights
they are. One base carries both adapters when the profile names the same base twice. Knows
nothing of retrieval or of the pipeline.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reranker.config import DEFAULT_STUDENT, Profile, load_profile
from reranker.errors import InputError, StudentError
from reranker.stage1.biencoder import CACHED_PASSAGES, BiEncoderScorer
from reranker.stage1.crossencoder import Classify, CrossEncoderScorer
from reranker.stage1.scorer import Scorer
from reranker.stage2.chat_reader import ChatReader
from reranker.stage2.decode import Decoder
from reranker.stage2.digest_reader import DigestReader
from reranker.stage2.reader import WindowReader
from reranker.student.load import add_adapter, choose_device, count_bytes, load_base, load_tokenizer
from reranker.student.locate import hash_adapter, resolve_weights
from reranker.types import Quantization, StudentInfo

STAGE1, STAGE2 = "stage1", "stage2"


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
        if self._shares_base:
            adapter = self.profile.stage1.adapter if stage == STAGE1 else self._stage2.adapter
            model = self._models["shared"]
            if adapter:
                model.set_adapter(stage)  # type: ignore[operator]

    def seed(self, seed: int) -> None:
        """Seeds the random numbers of decoding; greedy decoding draws none."""
        torch.manual_seed(seed)

    def info(self) -> StudentInfo:
        """Which weights these are; memory counts what has been loaded so far."""
        profile = self.profile
        stage2 = profile.stage2
        return StudentInfo(
            name=profile.name,
            quantization=self.quantization,
            device=self.device,
            stage1_base=profile.stage1.base,
            stage2_base=stage2.base if stage2 else "",
            stage1_adapter_sha256=self._hash(profile.stage1.adapter),
            stage2_adapter_sha256=self._hash(stage2.adapter if stage2 else ""),
            memory_bytes=sum(count_bytes(model) for model in self._models.values()),
        )

    @property
    def _stage2(self):  # type: ignore[no-untyped-def]
        if self.profile.stage2 is None:
            raise StudentError(
                f"expected student {self.profile.name!r} to have a stage 2, it has none; "
                "rank with stages=1, or choose another student"
            )
        return self.profile.stage2

    @property
    def _shares_base(self) -> bool:
        stage1, stage2 = self.profile.stage1, self.profile.stage2
        return bool(stage2 and stage1.form == "crossencoder" and stage1.base == stage2.base)

    def _resolve(self, name: str) -> str:
        return resolve_weights(name, self.profile.folder)

    def _hash(self, adapter: str) -> str:
        if not adapter:
            return ""
        folder = self._resolve(adapter)
        return hash_adapter(folder) if Path(folder).is_dir() else ""

    def _base(self, name: str, kind: str, key: str, **options: object) -> PreTrainedModel:
        if key not in self._models:
            self._models[key] = load_base(
                self._resolve(name),
                kind=kind,
                quantization=self.quantization,
                device=self.device,
                **options,
            )
        return self._models[key]

    def _adapt(self, key: str, adapter: str, stage: str) -> PreTrainedModel:
        if adapter:
            self._models[key] = add_adapter(self._models[key], self._resolve(adapter), stage)
        return self._models[key]

    def _load_scorer(self) -> Scorer:
        stage1 = self.profile.stage1
        tokenizer = load_tokenizer(self._resolve(stage1.base))
        if stage1.form == "biencoder":
            self._base(stage1.base, "encoder", STAGE1)
            model = self._adapt(STAGE1, stage1.adapter, STAGE1)
            return BiEncoderScorer(
                model, tokenizer, stage1, cached_passages=self._cached_passages
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if self._shares_base:
            return CrossEncoderScorer(self._classify_on_shared(tokenizer), tokenizer, stage1)
        self._base(stage1.base, "sequence", STAGE1, num_labels=1)
        model = self._adapt(STAGE1, stage1.adapter, STAGE1)
        model.config.pad_token_id = tokenizer.pad_token_id

        def classify(
            ids: torch.Tensor, mask: torch.Tensor, extra: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            moved = {name: tensor.to(model.device) for name, tensor in extra.items()}
            return model(
                input_ids=ids.to(model.device), attention_mask=mask.to(model.device), **moved
            ).logits

        return CrossEncoderScorer(classify, tokenizer, stage1)

    def _classify_on_shared(self, tokenizer: PreTrainedTokenizerBase) -> Classify:
        """Stage 1 on the causal base: the adapter's own head on the last token's state."""
        stage1 = self.profile.stage1
        self._base(stage1.base, "causal", "shared")
        self._adapt("shared", stage1.adapter, STAGE1)
        head = _read_head(Path(self._resolve(stage1.adapter)))

        def classify(
            ids: torch.Tensor, mask: torch.Tensor, extra: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            self.activate(STAGE1)
            model = self._models["shared"]
            hidden = model(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                output_hidden_states=True,
                logits_to_keep=1,
            ).hidden_states[-1]
            last = mask.sum(dim=1).to(hidden.device) - 1
            states = hidden[torch.arange(len(ids), device=hidden.device), last]
            return states.float() @ head.to(hidden.device).T

        return classify

    def _load_reader(self) -> WindowReader:
        stage2 = self._stage2
        key = "shared" if self._shares_base else STAGE2
        self._base(stage2.base, "causal", key)
        model = self._adapt(key, stage2.adapter, STAGE2)
        tokenizer = load_tokenizer(self._resolve(stage2.base))
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        decoder = Decoder(model, tokenizer)
        return (DigestReader if stage2.template == "digest" else ChatReader)(decoder, stage2)


def _read_head(adapter: Path) -> torch.Tensor:
    """The classification head saved with a sequence-classification adapter, [1, hidden]."""
    weights = load_file(adapter / "adapter_model.safetensors")
    heads = [tensor for name, tensor in weights.items() if "score" in name and tensor.dim() == 2]
    if not heads:
        raise StudentError(
            f"{adapter}: expected a saved classification head (score.weight), found none; "
            "train the adapter with task type SEQ_CLS"
        )
    return heads[0].float()


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
