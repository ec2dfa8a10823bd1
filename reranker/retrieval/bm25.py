"""First-stage retrieval: a corpus and a query in, hits with exact per-term weights out.

Knows passages and numbers; knows no model and nothing of how a corpus was read. The formula
is the same whichever library holds the index (k1, b and the idf are in `index.py`), and
every choice about ties, common words and zero scores is made here, once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Literal

import numpy as np

from reranker.corpora.corpus import Corpus
from reranker.errors import InputError
from reranker.retrieval.index import Postings, RankBm25Index, TermIndex
from reranker.retrieval.saved_index import open_saved_index
from reranker.retrieval.tokenize import tokenize, tokenize_query
from reranker.types import Hit, TermWeight

RetrieverKind = Literal["rank_bm25", "bm25s"]

LARGE_CORPUS = 10_000
"""Above this many passages bm25s takes over: rank_bm25 walks through every passage for each
query word, which at this size takes tens of milliseconds a query and grows with the corpus."""

TIE_DECIMALS = 9
"""Scores equal to this many decimals are ties: the libraries differ in the last bits."""


class Retriever:
    """BM25 over one corpus. Make one with `build_retriever`; safe to share between threads.

    kind: which library holds the index. description: the same in words, to show to people.
    """

    def __init__(self, corpus: Corpus, index: TermIndex) -> None:
        self.corpus = corpus
        self.kind: RetrieverKind = index.kind
        self.description = f"BM25 by {index.kind} over {len(corpus):,} passages, {index.place}"
        self._index = index

    def search(self, query: str, depth: int) -> tuple[Hit, ...]:
        """The best `depth` passages, best first; fewer when fewer contain a query word.

        Passages with no query word are left out, never padded in. Scores that are equal to
        TIE_DECIMALS keep the corpus's order. Each hit lists every distinct query term in query
        order, under the surface form it first had, with weight 0.0 where the passage lacks it;
        `bm25_score` is exactly math.fsum of the weights. Common words are not searched for
        unless the query has no others.

        Raises InputError for a query without a single word and for a depth below 1.
        """
        if depth < 1:
            raise InputError(f"expected a depth of 1 or more, got {depth}; ask for at least one")
        tokens = tokenize_query(query)
        if not tokens:
            raise InputError(
                f"expected a query with at least one word, got {_shorten(query)!r}; "
                "type what you are looking for"
            )
        counts = Counter(token.stem for token in tokens)
        surfaces = {token.stem: token.surface for token in reversed(tokens)}
        postings = [_repeat(self._index.find_postings(stem), n) for stem, n in counts.items()]
        scores = np.zeros(len(self.corpus), dtype=np.float64)
        for posting in postings:
            scores[posting.positions] += posting.weights
        hits = []
        for rank, position in enumerate(_select_best(scores, depth), start=1):
            terms = tuple(
                TermWeight(term=surfaces[stem], weight=_weight_at(posting, position))
                for stem, posting in zip(counts, postings, strict=True)
            )
            passage = self.corpus.passages[position]
            score = math.fsum(term.weight for term in terms)
            hits.append(Hit(passage=passage, rank=rank, bm25_score=score, terms=terms))
        return tuple(hits)


def build_retriever(
    corpus: Corpus,
    *,
    kind: RetrieverKind | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Retriever:
    """A retriever for `corpus`: rank_bm25 up to LARGE_CORPUS passages, bm25s above.

    kind: overrides that choice. on_progress: called with (passages tokenised, passages) while
    an index is built. A bm25s index is saved in the cache folder under the corpus's hash and
    memory-mapped from there the next time.
    """
    chosen = kind or ("bm25s" if len(corpus) > LARGE_CORPUS else "rank_bm25")

    def tokenize_corpus() -> list[list[str]]:
        stems = []
        for done, passage in enumerate(corpus.passages, start=1):
            stems.append(tokenize(f"{passage.title}\n{passage.text}", keep_common=True))
            if on_progress is not None and (done % 1000 == 0 or done == len(corpus)):
                on_progress(done, len(corpus))
        return stems

    index: TermIndex
    if chosen == "bm25s":
        index = open_saved_index(corpus.sha256, len(corpus), tokenize_corpus)
    else:
        index = RankBm25Index(tokenize_corpus())
    return Retriever(corpus, index)


def _repeat(posting: Postings, times: int) -> Postings:
    """A word said twice counts twice, as in both libraries."""
    return posting if times == 1 else Postings(posting.positions, posting.weights * times)


def _weight_at(posting: Postings, position: int) -> float:
    place = int(np.searchsorted(posting.positions, position))
    if place < len(posting.positions) and posting.positions[place] == position:
        return float(posting.weights[place])
    return 0.0


def _select_best(scores: np.ndarray, depth: int) -> list[int]:
    """Positions of the `depth` highest positive scores, ties in corpus order."""
    matched = np.flatnonzero(scores > 0)
    rounded = np.round(scores[matched], TIE_DECIMALS)
    if len(matched) > depth:
        least = np.partition(rounded, len(rounded) - depth)[len(rounded) - depth]
        matched, rounded = matched[rounded >= least], rounded[rounded >= least]
    order = np.argsort(-rounded, kind="stable")[:depth]
    return [int(position) for position in matched[order]]


def _shorten(query: str) -> str:
    return query if len(query) <= 40 else query[:37] + "..."
