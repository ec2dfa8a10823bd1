"""Which tokens carried a bi-encoder's score: exact shares, and integrated gradients.

Takes a `BiEncoderScorer`, a query and a passage, returns numbers per token of the text that was
read. Late interaction is a mean of maxima, so every query token's share belongs to one passage
token; the pooled cosine is linear in the token states. Both parts are therefore split exactly.
Integrated gradients (Sundararajan, Taly and Yan, arXiv 1703.01365, by captum) instead ask what
the passage's input embeddings did, through all layers. Knows no ranking.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients
from torch.nn.functional import normalize

from reranker.stage1.biencoder import BiEncoderScorer, ReadText
from reranker.types import Passage

ROWS_AT_ONCE = 8
"""Interpolated passages in one forward and backward pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShares:
    """Every token's part in one score.

    text: the passage as read, its title before it; text_start: where passage.text begins there.
    query_spans, spans: characters of the query as read and of `text`, for each token that stands
    for text. similarity: cosines, [query tokens][passage tokens]. shares: what each passage token
    adds to `score`, query_shares each query token; the pooled part counts for both, and what it
    owes to special tokens is `special`. gradients: integrated gradients of the passage's tokens;
    `gradient_gap` is what they miss of score - `blank_score`, the score of a passage of as many
    [PAD].
    """

    text: str
    text_start: int
    query_text: str
    query_spans: tuple[tuple[int, int], ...]
    spans: tuple[tuple[int, int], ...]
    similarity: tuple[tuple[float, ...], ...]
    query_shares: tuple[float, ...]
    shares: tuple[float, ...]
    special: float
    score: float
    gradients: tuple[float, ...]
    gradient_gap: float
    blank_score: float


def share_score(
    scorer: BiEncoderScorer, query: str, passage: Passage, *, steps: int = 32
) -> TokenShares:
    """The parts of one score. steps: points of the integral; the gap says whether they suffice."""
    asked, read = scorer.read_query(query), scorer.read_passage(passage)
    with torch.no_grad():
        query_states = _encode(scorer, _embed(scorer, asked))[0]
        states = _encode(scorer, _embed(scorer, read))[0]
    q_words, words = asked.words(), read.words()
    weight, scale = scorer.profile.pooled_weight, scorer.profile.scale
    similarity = normalize(query_states[q_words], dim=-1) @ normalize(states[words], dim=-1).T
    best = similarity.max(dim=1)
    late = scale * (1 - weight) / len(q_words) * best.values
    shares = torch.zeros(len(words)).index_add_(0, best.indices, late)
    pooled = scale * weight * _split_pooled(query_states, states)
    asking = scale * weight * _split_pooled(states, query_states)
    gradients, gap, blank = _integrate(scorer, query_states, q_words, read, steps)
    special = float(pooled.sum() - pooled[words].sum())
    score = float(late.sum() + pooled.sum())
    return TokenShares(
        text=read.text,
        text_start=read.text_start,
        query_text=asked.text,
        query_spans=tuple(asked.offsets[place] for place in q_words),
        spans=tuple(read.offsets[place] for place in words),
        similarity=tuple(tuple(row) for row in similarity.tolist()),
        query_shares=tuple((late + asking[q_words]).tolist()),
        shares=tuple((shares + pooled[words]).tolist()),
        special=special,
        score=score,
        gradients=gradients,
        gradient_gap=gap,
        blank_score=blank,
    )


def _split_pooled(other: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """What each row of `states` adds to the cosine of the two means, [tokens]."""
    towards = normalize(other.mean(0), dim=-1)
    mean = states.mean(0)
    return states @ towards / (len(states) * mean.norm().clamp_min(1e-12))


def _embed(scorer: BiEncoderScorer, read: ReadText) -> torch.Tensor:
    ids = torch.tensor([read.ids], device=scorer.model.device)
    return scorer.model.get_input_embeddings()(ids).float()


def _encode(scorer: BiEncoderScorer, embedded: torch.Tensor) -> torch.Tensor:
    """Last states of [rows, tokens, hidden] input embeddings, in fp32 on the CPU."""
    model = scorer.model
    mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=embedded.device)
    output = model(inputs_embeds=embedded.to(model.dtype), attention_mask=mask)
    states: torch.Tensor = output.last_hidden_state.float().cpu()
    return states


def _integrate(
    scorer: BiEncoderScorer,
    query_states: torch.Tensor,
    q_words: list[int],
    read: ReadText,
    steps: int,
) -> tuple[tuple[float, ...], float, float]:
    """Integrated gradients per word token, what they miss, and the score of the blank passage."""
    words = torch.tensor(read.words())
    weight, scale = scorer.profile.pooled_weight, scorer.profile.scale
    unit_query = normalize(query_states[q_words], dim=-1)
    unit_pooled = normalize(query_states.mean(0), dim=-1)

    def score(embedded: torch.Tensor) -> torch.Tensor:
        states = _encode(scorer, embedded)
        tokens = normalize(states[:, words], dim=-1)
        late = torch.einsum("qd,rwd->rqw", unit_query, tokens).amax(2).mean(1)
        pooled = normalize(states.mean(1), dim=-1) @ unit_pooled
        return scale * (weight * pooled + (1 - weight) * late)

    embedded = _embed(scorer, read).detach()
    blank_ids = list(read.ids)
    for place in read.words():
        blank_ids[place] = scorer.tokenizer.pad_token_id
    blank = _embed(scorer, ReadText(text="", text_start=0, ids=blank_ids, offsets=[])).detach()
    found, gap = IntegratedGradients(score).attribute(
        embedded,
        blank,
        n_steps=steps,
        internal_batch_size=ROWS_AT_ONCE,
        return_convergence_delta=True,
    )
    per_token = found[0].sum(dim=-1).cpu()[words]
    with torch.no_grad():
        blank_score = float(score(blank)[0])
    return tuple(per_token.tolist()), float(gap[0]), blank_score
