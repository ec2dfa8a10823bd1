"""A student: its profile, its stage-1 scorer and its stage-2 reader, loaded when first needed."""

from __future__ import annotations

from reranker.config import Profile
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.student.load import add_adapter, choose_device, load_base, load_tokenizer
from reranker.student.locate import resolve_weights
from reranker.types import Quantization


def load_scorer(
    profile: Profile, quantization: Quantization, *, cached_passages: int = 2048
) -> BiEncoderScorer:
    base = resolve_weights(profile.stage1.base, profile.folder)
    model = load_base(base, kind="encoder", quantization=quantization, device=choose_device())
    if profile.stage1.adapter:
        model = add_adapter(model, resolve_weights(profile.stage1.adapter, profile.folder), "stage1")
    return BiEncoderScorer(
        model, load_tokenizer(base), profile.stage1, cached_passages=cached_passages
    )
