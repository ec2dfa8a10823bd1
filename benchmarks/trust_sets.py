"""The query sets of benchmarks/trust.py, and what is found on each.

Takes collections on disk, returns judged lists and what people marked as evidence.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reasons import WINDOW
from reranker.config import Profile
from reranker.corpora import list_hits, load_corpus, load_qrels, load_queries
from reranker.corpora.corpus import make_corpus
from reranker.explain.faithfulness import FaithfulnessReport
from reranker.explain.parity import Parity
from reranker.explain.red_team import RedTeam
from reranker.explain.stability import Stability
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.training.sources import read_squad
from reranker.trec import Qrels
from reranker.types import Query, RankingTrace

DEEP = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class QuerySet:
    """requests: ten passages a query; deep_requests: a hundred. marked: for a query the doc_id and
    span of what a person took the answer from."""

    name: str
    requests: tuple[RankRequest, ...]
    deep_requests: tuple[RankRequest, ...]
    qrels: Qrels
    marked: dict[str, tuple[str, int, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Everything measured on one query set, by query_id."""

    queries: QuerySet
    traces: dict[str, RankingTrace]
    reports: dict[str, FaithfulnessReport]
    stabilities: dict[str, Stability]
    teams: tuple[RedTeam, ...]
    parity: Parity | None
    profile: Profile


def load_everyday(limit: int) -> QuerySet:
    """Every query has judged passages; no span is marked in them."""
    name = "everyday-science"
    qrels = load_qrels(name)
    retriever = build_retriever(load_corpus(name))
    queries = [query for query in load_queries(name) if query.query_id in qrels][:limit]
    return QuerySet(
        name=name,
        requests=tuple(
            RankRequest(query=q, hits=retriever.search(q.text, WINDOW)) for q in queries
        ),
        deep_requests=tuple(
            RankRequest(query=q, hits=retriever.search(q.text, DEEP)) for q in queries
        ),
        qrels=qrels,
    )


def load_squad_set(data: Path, limit: int, seed: int) -> QuerySet | None:
    """Windows as benchmarks/reasons.py makes them: the passage the question was asked about is
    always among the ten. None where the files are absent."""
    if not (data / "squad").is_dir():
        return None
    passages, questions = read_squad(data, "dev")
    gold = {passage.doc_id: passage for passage in passages}
    retriever = build_retriever(make_corpus(passages, corpus_id="squad-dev"))
    requests, deep, marked, qrels = [], [], {}, {}
    for question in random.Random(seed).sample(questions, limit):
        query = Query(query_id=question.query_id, text=question.text)
        found = retriever.search(question.text, DEEP)
        hits = [hit.passage for hit in found[:WINDOW]]
        if question.doc_id not in [passage.doc_id for passage in hits]:
            hits = [*hits[: WINDOW - 1], gold[question.doc_id]]
        requests.append(RankRequest(query=query, hits=list_hits(tuple(hits))))
        deep.append(RankRequest(query=query, hits=found))
        end = question.answer_start + len(question.answer)
        marked[query.query_id] = (question.doc_id, question.answer_start, end)
        qrels[query.query_id] = {question.doc_id: 1}
    return QuerySet(
        name="SQuAD dev",
        requests=tuple(requests),
        deep_requests=tuple(deep),
        qrels=qrels,
        marked=marked,
    )
