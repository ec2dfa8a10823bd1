"""The bi-encoder form: query and passage are encoded apart, then compared.

Takes a query and passages, returns `PassageScore`s with sentence scores. The logit is
scale x (w x cosine of mean-pooled embeddings + (1 - w) x late interaction), where late
interaction is the mean over the query's tokens of the maximum cosine to a passage token
(ColBERT's MaxSim, arXiv 2004.12832, averaged). Special tokens take no part in it, so that every
match is one of words. After that the query is read once more, beside the passage that leads, and
compared with all passages again: pseudo-relevance feedback (`Feedback`), kept beside the logit.
Knows nothing of BM25 or stage 2.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reranker.config import Stage1Profile
from reranker.errors import CancelledError
from reranker.progress import Cancelled
from reranker.sentences import split_sentences
from reranker.stage1.batches import plan_batches
from reranker.stage1.nearness import find_leader, measure_nearness
from reranker.student.hardware import has_matrix_units
from reranker.types import Feedback, Passage, PassageScore, SentenceScore

# Tokens in a batch. On a CPU small batches stay in its caches: on two cores 1,536 was the fastest
# of 1,024 to 16,384, with matrix units, where calls weigh more, 2,048. A GPU wants large ones.
TOKEN_BUDGET = {"cpu": 2048 if has_matrix_units() else 1536, "cuda": 32_768}
CACHED_PASSAGES = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """One encoded text.

    tokens: [tokens, hidden] unit vectors, special tokens left out; pooled: [hidden] unit vector;
    sentences: for each sentence its character span (start, end) and the rows [first, last) of
    `tokens` that lie in it; length: tokens read, special ones included.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor
    sentences: tuple[tuple[int, int, int, int], ...]
    length: int
    truncated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadText:
    """A text as read: its token ids and their character spans; the passage's own text starts at
    text_start (a title may stand before it)."""

    text: str
    text_start: int
    ids: list[int]
    offsets: list[tuple[int, int]]

    def words(self) -> list[int]:
        """Positions of the tokens that stand for text; all of them where none does."""
        found = [place for place, (first, last) in enumerate(self.offsets) if first < last]
        return found or list(range(len(self.ids)))


class BiEncoderScorer:
    """Scores passages against a query; passages already seen are not encoded again.

    model: what is called and has a device is enough. many_batches: entered while several batches
    are encoded, for what the model can prepare once for all of them.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        profile: Stage1Profile,
        *,
        cached_passages: int = CACHED_PASSAGES,
        many_batches: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.model, self.tokenizer, self.profile = model, tokenizer, profile
        self._many_batches = many_batches
        self._cached_passages = cached_passages
        self._cache: OrderedDict[Passage, Encoding] = OrderedDict()
        self._token_budget = TOKEN_BUDGET.get(model.device.type, TOKEN_BUDGET["cpu"])

    def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Cancelled = lambda: False,
    ) -> list[PassageScore]:
        """Raw logits in input order. Raises CancelledError between batches."""
        asked = self.read_query(query)
        encoded = self._encode([asked])[0]
        encodings = self.encode_passages(passages, progress=progress, cancelled=cancelled)
        scores = list(self._compare(encoded, passages, encodings))
        if len(scores) < 2:
            return scores
        pooled = [encoding.pooled for encoding in encodings]
        logits = [score.score for score in scores]
        nearness = measure_nearness(logits, pooled)
        leader = self.read_passage(passages[find_leader(logits, nearness)])
        beside = self._read_beside(asked, encoded, leader)
        again = [logit for logit, _ in self._match(beside, encodings)]
        near_again = measure_nearness(again, pooled)
        return [
            replace(score, nearness=near, feedback=Feedback(score=logit, nearness=cosines[0]))
            for score, near, logit, cosines in zip(scores, nearness, again, near_again, strict=True)
        ]

    def encode_passages(
        self,
        passages: Sequence[Passage],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Cancelled = lambda: False,
    ) -> list[Encoding]:
        """Encodings in input order, from the cache where it has them."""
        found = {p: self._cache[p] for p in passages if p in self._cache}
        missing = [p for p in dict.fromkeys(passages) if p not in found]
        texts = self._tokenize([self._format(p) for p in missing], self.profile.max_passage_tokens)
        done = len(passages) - len(missing)
        progress(done, len(passages))
        batches = plan_batches([len(text.ids) for text in texts], self._token_budget)
        with self._many_batches() if len(batches) > 1 else nullcontext():
            for batch in batches:
                if cancelled():
                    raise CancelledError("stage 1 was stopped")
                encoded = self._encode([texts[p] for p in batch])
                found.update((missing[p], e) for p, e in zip(batch, encoded, strict=True))
                done += len(batch)
                progress(done, len(passages))
        self._remember(found)
        return [found[passage] for passage in passages]

    def read_query(self, query: str) -> ReadText:
        """The query as it is read."""
        text = self.profile.query_template.format(query=query)
        return self._tokenize([(text, 0)], self.profile.max_query_tokens)[0]

    def read_passage(self, passage: Passage) -> ReadText:
        """The passage as it is read, title and all."""
        return self._tokenize([self._format(passage)], self.profile.max_passage_tokens)[0]

    def forget(self) -> None:
        """Empties the cache of encoded passages."""
        self._cache.clear()

    def _format(self, passage: Passage) -> tuple[str, int]:
        """The text read for a passage and the position in it where passage.text starts."""
        template = self.profile.passage_template if passage.title else "{text}"
        head, _, _ = template.partition("{text}")
        prefix = head.format(title=passage.title)
        return template.format(title=passage.title, text=passage.text), len(prefix)

    def _tokenize(self, texts: Sequence[tuple[str, int]], max_tokens: int) -> list[ReadText]:
        """texts: each with the position where the passage's own text starts."""
        if not texts:
            return []
        encoded = self.tokenizer(
            [text for text, _ in texts],
            truncation=True,
            max_length=max_tokens,
            return_offsets_mapping=True,
        )
        rows = zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
        return [
            ReadText(text=text, text_start=start, ids=ids, offsets=offsets)
            for (text, start), ids, offsets in rows
        ]

    def _encode(self, texts: list[ReadText]) -> list[Encoding]:
        lengths = torch.tensor([len(text.ids) for text in texts])
        ids = pad_sequence(
            [torch.tensor(text.ids) for text in texts],
            batch_first=True,
            padding_value=self.tokenizer.pad_token_id or 0,  # whatever it is, it is masked
        )
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        device = self.model.device
        with torch.inference_mode():
            hidden = self.model(
                input_ids=ids.to(device), attention_mask=mask.to(device)
            ).last_hidden_state
        hidden = hidden.float().cpu()
        pooled = (hidden * mask[..., None]).sum(1) / lengths[:, None]
        unit_tokens = torch.nn.functional.normalize(hidden, dim=-1).to(torch.bfloat16)
        unit_pooled = torch.nn.functional.normalize(pooled, dim=-1)
        return [
            Encoding(
                tokens=unit_tokens[row, text.words()],
                pooled=unit_pooled[row],
                sentences=_locate_sentences(text),
                length=len(text.ids),
                truncated=bool(text.text[max(end for _, end in text.offsets) :].strip()),
            )
            for row, text in enumerate(texts)
        ]

    def _read_beside(self, asked: ReadText, alone: Encoding, passage: ReadText) -> Encoding:
        """The query as it reads alone and before a passage, halfway between the two.

        alone: its encoding. Words of many senses take the passage's; averaged over both readings,
        a passage that misleads does less harm.
        """
        words = asked.words()
        ids = asked.ids[: words[-1] + 1] + passage.ids[passage.words()[0] :]
        ids = ids[: self.profile.max_passage_tokens]
        # Offsets of the query's own tokens alone: the rest is context and is not compared.
        offsets = [*asked.offsets[: words[-1] + 1], *[(0, 0)] * len(ids)][: len(ids)]
        beside = self._encode([replace(asked, ids=ids, offsets=offsets)])[0]
        count = min(len(alone.tokens), len(beside.tokens))
        tokens = alone.tokens[:count].float() + beside.tokens[:count].float()
        return replace(
            alone,
            tokens=torch.nn.functional.normalize(tokens, dim=-1),
            pooled=torch.nn.functional.normalize(alone.pooled + beside.pooled, dim=-1),
        )

    def _match(
        self, query: Encoding, encodings: Sequence[Encoding]
    ) -> Iterator[tuple[float, np.ndarray[tuple[int, int], np.dtype[np.float32]]]]:
        """Each passage's logit and cosines [query tokens, its tokens]; one product for all."""
        if not encodings:
            return
        tokens = torch.cat([encoding.tokens for encoding in encodings]).float()
        ends = np.cumsum([len(encoding.tokens) for encoding in encodings])
        similarities = np.split((query.tokens.float() @ tokens.T).numpy(), ends[:-1], axis=1)
        weight, scale = self.profile.pooled_weight, self.profile.scale
        for encoding, similarity in zip(encodings, similarities, strict=True):
            late = float(similarity.max(axis=1).mean())
            pooled = float(query.pooled @ encoding.pooled)
            yield scale * (weight * pooled + (1 - weight) * late), similarity

    def _compare(
        self, query: Encoding, passages: Sequence[Passage], encodings: Sequence[Encoding]
    ) -> Iterator[PassageScore]:
        scale = self.profile.scale
        rows = zip(passages, encodings, self._match(query, encodings), strict=True)
        for passage, encoding, (logit, similarity) in rows:
            yield PassageScore(
                doc_id=passage.doc_id,
                score=logit,
                passage_tokens=encoding.length,
                truncated=encoding.truncated,
                sentences=tuple(
                    SentenceScore(
                        start=start,
                        end=end,
                        score=scale * float(similarity[:, first:last].max(axis=1).mean()),
                    )
                    for start, end, first, last in encoding.sentences
                ),
            )

    def _remember(self, encodings: dict[Passage, Encoding]) -> None:
        for passage, encoding in encodings.items():
            self._cache[passage] = encoding
            self._cache.move_to_end(passage)
        while len(self._cache) > self._cached_passages:
            self._cache.popitem(last=False)


def _locate_sentences(text: ReadText) -> tuple[tuple[int, int, int, int], ...]:
    """The passage's sentences, spans counted in its own text, with their rows of word tokens.

    Sentences that lie wholly beyond the tokens read are left out.
    """
    located = []
    shift = text.text_start
    spans = [text.offsets[place] for place in text.words()]
    firsts, lasts = [first for first, _ in spans], [last for _, last in spans]
    if firsts == lasts:
        return ()  # no token stands for text, as where there is none that can be seen
    for start, end in split_sentences(text.text[shift:]):
        first, last = bisect_left(firsts, start + shift), bisect_right(lasts, end + shift)
        if first < last:
            located.append((start, end, first, last))
    return tuple(located)
