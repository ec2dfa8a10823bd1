"""A collection to evaluate on: queries with their candidates, and what is known to be relevant.

Takes files or corpora, returns a `Collection`. Knows formats only by the readers it calls, and
knows no system and no measure. Every loader here works without a network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reranker.candidates import CandidateList, read_candidates
from reranker.corpora import Corpus, load_corpus, load_qrels, load_queries
from reranker.errors import InputError
from reranker.evaluation.topics import read_topics
from reranker.retrieval import Retriever, build_retriever
from reranker.trec import Qrels, read_qrels, read_run
from reranker.types import Hit, Query

DEFAULT_DEPTH = 100
CANDIDATE_SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """Queries with first-stage candidates, and relevance or answers to measure by.

    lists: in file order; a query for which the first stage found nothing has no hits.
    first_stage: what made the candidates, in words. sha256: over queries and candidates, so that
    two experiments can be told to be over the same. Either qrels or answers may be empty.
    """

    name: str
    lists: tuple[CandidateList, ...]
    qrels: Qrels
    first_stage: str
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    licence: str = "not stated"
    note: str = ""

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) over query_ids, query texts and the doc_ids and texts of candidates."""
        digest = hashlib.sha256()
        for candidates in self.lists:
            rows = [candidates.query.query_id, candidates.query.text]
            for hit in candidates.hits:
                rows += [hit.passage.doc_id, hit.passage.title, hit.passage.text]
            digest.update("\x1f".join(rows).encode("utf-8") + b"\x1e")
        return digest.hexdigest()

    def cut(self, depth: int, queries: int | None = None) -> Collection:
        """The first `queries` queries (None: all), each with its first `depth` candidates."""
        kept = tuple(replace(c, hits=c.hits[:depth]) for c in self.lists[:queries])
        return replace(self, lists=kept)

    def trim(self) -> Collection:
        """Qrels and answers of the queries there are: those of a part are not missed elsewhere."""
        asked = {candidates.query.query_id for candidates in self.lists}
        return replace(
            self,
            qrels={
                query_id: grades for query_id, grades in self.qrels.items() if query_id in asked
            },
            answers={query_id: a for query_id, a in self.answers.items() if query_id in asked},
        )


def load_candidates(path: Path, qrels: Path | None = None, *, name: str = "") -> Collection:
    """A candidate file (own jsonl, RankGPT, RankLLM, DPR), with TREC or BEIR qrels beside it.

    Raises InputError naming file and line, and when there is nothing to measure by: neither
    qrels nor answers.
    """
    lists = tuple(read_candidates(path))
    answers = {c.query.query_id: c.answers for c in lists if c.answers}
    if qrels is None and not answers:
        raise InputError(
            "expected qrels for these candidates, got none; give --qrels FILE", where=path.name
        )
    return Collection(
        name=name or path.name.split(".")[0],
        lists=lists,
        qrels=read_qrels(qrels) if qrels else {},
        answers=answers,
        first_stage=f"the candidates in {path.name}",
    )


def load_beir(
    name_or_path: str | Path,
    *,
    depth: int = DEFAULT_DEPTH,
    split: str | None = None,
    qrels: Path | None = None,
    queries: Path | None = None,
    limit: int | None = None,
) -> Collection:
    """A corpus with queries and qrels (BEIR layout, bundled, zip), first ranked by BM25.

    qrels, queries: files to use instead of the corpus's own. limit: only the first so many
    queries (None: all). Queries without a judgement are
    left out, as in BEIR. Raises InputError where either is missing.
    """
    judged = read_qrels(qrels) if qrels else load_qrels(name_or_path, split)
    asked = read_topics(queries) if queries else load_queries(name_or_path)
    if not judged or not asked:
        missing = " and ".join(
            name for name, held in (("queries", asked), ("qrels", judged)) if not held
        )
        raise InputError(
            f"expected a corpus with queries and qrels, got one without {missing}; give "
            f"{' and '.join(f'--{name} FILE' for name in missing.split(' and '))}, or choose "
            "another corpus",
            where=str(name_or_path),
        )
    corpus = load_corpus(name_or_path)  # last: one from a hub is downloaded, and brings neither
    kept = [query for query in asked if query.query_id in judged]
    return retrieve_collection(corpus, kept[:limit], judged, depth=depth)


def retrieve_collection(
    corpus: Corpus,
    queries: Sequence[Query],
    qrels: Qrels,
    *,
    depth: int = DEFAULT_DEPTH,
    answers: Mapping[str, tuple[str, ...]] | None = None,
    retriever: Retriever | None = None,
) -> Collection:
    """`queries` with BM25's first `depth` passages of `corpus` as candidates.

    retriever: over `corpus`, where there is one already.
    """
    retriever = retriever or build_retriever(corpus)
    lists = tuple(CandidateList(query=q, hits=retriever.search(q.text, depth)) for q in queries)
    return Collection(
        name=corpus.corpus_id,
        lists=lists,
        qrels=qrels,
        answers=answers or {},
        first_stage=retriever.description,
        licence=corpus.licence,
    )


def load_trec(
    run: Path, qrels: Path, *, corpus: str | Path, queries: Path, depth: int = DEFAULT_DEPTH
) -> Collection:
    """TREC's own form: a first-stage run, qrels, topics, and a corpus that has the texts.

    Raises InputError for a query of the run without a topic, and for a doc_id the corpus lacks.
    """
    texts = load_corpus(corpus)
    topics = {query.query_id: query for query in read_topics(queries)}
    lists = []
    for query_id, ranking in read_run(run).items():
        if query_id not in topics:
            raise InputError(
                f"expected a topic for every query of the run, got none for {query_id!r}; add it",
                where=queries.name,
            )
        hits = tuple(
            Hit(passage=texts.get_passage(doc_id), rank=rank, bm25_score=score)
            for rank, (doc_id, score) in enumerate(ranking[:depth], start=1)
        )
        lists.append(CandidateList(query=topics[query_id], hits=hits))
    return Collection(
        name=run.name.split(".")[0],
        lists=tuple(lists),
        qrels=read_qrels(qrels),
        first_stage=f"the run {run.name}",
        licence=texts.licence,
    )


def is_candidate_file(path: Path) -> bool:
    """Whether a file's name says that it holds candidates (.json or .jsonl, perhaps .gz)."""
    name = path.name.lower().removesuffix(".gz")
    return path.is_file() and name.endswith(CANDIDATE_SUFFIXES)
