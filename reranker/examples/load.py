"""Everything a job trains and is measured on, read and checked as its settings say.

Takes `DataSettings`, returns training queries with mined negatives and dev queries with
candidates (stage 1), or texts (stage 2), with the hashes of all of it. Knows no model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from reranker.corpora import load_corpus, load_qrels, load_queries
from reranker.corpora.corpus import Corpus, make_corpus
from reranker.errors import InputError
from reranker.examples.lists import Reading, parse_annotation, parse_tevatron, read_items
from reranker.examples.record import (
    DevQuery,
    JudgedPassage,
    JudgedQuery,
    TextExample,
    list_passages,
)
from reranker.examples.texts import parse_annotated_text, parse_dear_cot, parse_prompt
from reranker.jobs.settings import DataSettings
from reranker.retrieval import Retriever, build_retriever
from reranker.types import Passage

T = TypeVar("T")
_LIST_PARSERS: dict[str, Callable[[dict[str, object], str], JudgedQuery]] = {
    "tevatron": parse_tevatron,
    "annotations": parse_annotation,
}
_TEXT_PARSERS: dict[str, Callable[[dict[str, object], str], TextExample]] = {
    "dear-cot": parse_dear_cot,
    "prompts": parse_prompt,
    "annotations": parse_annotated_text,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RankingData:
    """Stage 1. retriever is None where there is no corpus to mine; hashes: name -> SHA-256."""

    train: tuple[JudgedQuery, ...]
    dev: tuple[DevQuery, ...]
    dev_judged: tuple[JudgedQuery, ...]
    retriever: Retriever | None
    hashes: dict[str, str]
    problems: tuple[str, ...] = ()
    problem_count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TextData:
    """Stage 2."""

    train: tuple[TextExample, ...]
    dev: tuple[TextExample, ...]
    hashes: dict[str, str]
    problems: tuple[str, ...] = ()
    problem_count: int = 0


def load_ranking_data(settings: DataSettings, seed: int) -> RankingData:
    """Queries to train on and to measure on; the same settings and seed give the same.

    Raises InputError for what cannot be read at all, and for data without a positive.
    """
    train, corpus = _read_judged(settings, settings.train, settings.split)
    problems, count = list(train.problems), train.problem_count
    kept = [q for q in train.items if q.positives]
    if settings.dev:
        dev, dev_corpus = _read_judged(settings, settings.dev, settings.dev_split)
        problems, count = problems + list(dev.problems), count + dev.problem_count
        dev_kept: Sequence[JudgedQuery] = [q for q in dev.items if q.positives]
    else:
        kept, dev_kept = hold_out(kept, settings.dev_share, seed, lambda q: q.query.query_id)
        dev_corpus = corpus
    kept, dev_kept = _cap(kept, settings.max_queries), _cap(dev_kept, settings.max_dev_queries)
    if not kept and not problems:
        raise InputError(
            "expected at least one training query with a relevant passage, got none; add some, or "
            "hold out fewer",
            where=settings.train,
        )
    retriever = build_retriever(corpus) if corpus else None
    dev_retriever = retriever if dev_corpus is corpus else None
    if dev_corpus is not None and dev_retriever is None:
        dev_retriever = build_retriever(dev_corpus)
    hashes = {"train": hash_records(kept), "dev": hash_records(dev_kept)}
    if corpus:
        hashes["corpus"] = corpus.sha256
    return RankingData(
        train=tuple(kept),
        dev=tuple(_make_dev(q, dev_retriever, settings.dev_depth) for q in dev_kept),
        dev_judged=tuple(dev_kept),
        retriever=retriever if settings.mining_depth else None,
        hashes=hashes,
        problems=tuple(problems),
        problem_count=count,
    )


def load_text_data(settings: DataSettings, seed: int) -> TextData:
    """Texts to train on and to measure the loss on. Raises InputError."""
    parse = _TEXT_PARSERS[settings.format]
    train = read_items(Path(settings.train).expanduser(), parse)
    problems, count = list(train.problems), train.problem_count
    kept: Sequence[TextExample] = train.items
    if settings.dev:
        dev = read_items(Path(settings.dev).expanduser(), parse)
        problems, count = problems + list(dev.problems), count + dev.problem_count
        dev_kept: Sequence[TextExample] = dev.items
    else:
        kept, dev_kept = hold_out(kept, settings.dev_share, seed, lambda e: e.prompt_text)
    kept, dev_kept = _cap(kept, settings.max_queries), _cap(dev_kept, settings.max_dev_queries)
    if not kept and not problems:
        raise InputError("expected at least one example, got none", where=settings.train)
    return TextData(
        train=tuple(kept),
        dev=tuple(dev_kept),
        hashes={"train": hash_records(kept), "dev": hash_records(dev_kept)},
        problems=tuple(problems),
        problem_count=count,
    )


def hold_out(
    items: Sequence[T], share: float, seed: int, key: Callable[[T], str]
) -> tuple[list[T], list[T]]:
    """(kept, held out) by the hash of each item's key: what is held out stays so when others are
    added. Items with the same key stay together; the counts are as near to `share` as that
    allows, with at least one item kept and, for a share above 0 and two keys, one held out."""
    keys = sorted({key(item) for item in items}, key=lambda k: _order(k, seed))
    count = min(round(len(keys) * share), len(keys) - 1)
    if share > 0 and len(keys) > 1:
        count = max(1, count)
    held = set(keys[: max(0, count)])
    return (
        [item for item in items if key(item) not in held],
        [item for item in items if key(item) in held],
    )


def hash_records(records: Iterable[JudgedQuery | TextExample]) -> str:
    """SHA-256 over everything that is learnt from, in order; not over where it was read."""
    digest = hashlib.sha256()
    for record in records:
        if isinstance(record, TextExample):
            row: list[Any] = [record.prompt_text, record.answer]
        else:
            row = [record.query.query_id, record.query.text]
            row += [
                [p.passage.doc_id, p.passage.title, p.passage.text, p.grade, p.teacher_score]
                for p in record.passages
            ]
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def mine_negatives(
    judged: JudgedQuery, retriever: Retriever, depth: int
) -> tuple[JudgedPassage, ...]:
    """BM25's best passages that nobody judged for the query, as grade 0 (hard negatives).

    Passages with the text of a judged one are left out: a copy of the answer is no negative.
    """
    known = {p.passage.doc_id for p in judged.passages}
    texts = {_normalize(p.passage.text) for p in judged.passages}
    return tuple(
        JudgedPassage(passage=hit.passage, grade=0)
        for hit in retriever.search(judged.query.text, depth)
        if hit.passage.doc_id not in known and _normalize(hit.passage.text) not in texts
    )


def _read_judged(
    settings: DataSettings, name: str, split: str
) -> tuple[Reading[JudgedQuery], Corpus | None]:
    if settings.format == "beir":
        return _read_beir(name, split)
    reading = read_items(Path(name).expanduser(), _LIST_PARSERS[settings.format])
    items = _merge(reading.items)
    if settings.corpus:
        return replace(reading, items=items), load_corpus(settings.corpus)
    return replace(reading, items=items), None


def _read_beir(name: str, split: str) -> tuple[Reading[JudgedQuery], Corpus]:
    corpus = load_corpus(name)
    qrels = load_qrels(name, split or None)
    texts = {q.query_id: q for q in load_queries(name)}
    if not qrels or not texts:
        raise InputError(
            "expected a corpus with queries.jsonl and qrels, got one without; choose another, or "
            "give judged lists as a .jsonl file",
            where=name,
        )
    items, problems = [], []
    for query_id, grades in qrels.items():
        if query_id not in texts:
            problems.append(
                f"{name}: expected a text for query {query_id!r} of the qrels, got none"
            )
            continue
        lost = next((doc_id for doc_id in grades if doc_id not in corpus), None)
        if lost is not None:
            problems.append(
                f"{name}: expected passage {lost!r} of query {query_id!r} in the corpus"
            )
            continue
        passages = tuple(
            JudgedPassage(passage=corpus.get_passage(doc_id), grade=max(0, grade))
            for doc_id, grade in grades.items()
        )
        items.append(JudgedQuery(query=texts[query_id], passages=passages, where=name))
    return Reading(
        items=tuple(items), problems=tuple(problems), problem_count=len(problems)
    ), corpus


def _merge(items: Sequence[JudgedQuery]) -> tuple[JudgedQuery, ...]:
    """Lines of one query become one list; a passage judged twice keeps its higher grade."""
    merged: dict[str, JudgedQuery] = {}
    for item in items:
        present = merged.setdefault(item.query.query_id, item)
        if present is item:
            continue
        if present.query.text != item.query.text:
            raise InputError(
                f"expected one text for query {item.query.query_id!r}, got another in "
                f"{present.where}; give them different ids",
                where=item.where,
            )
        passages = {p.passage.doc_id: p for p in present.passages}
        for p in item.passages:
            known = passages.get(p.passage.doc_id)
            if known is None or known.grade < p.grade:
                passages[p.passage.doc_id] = p
        merged[item.query.query_id] = replace(present, passages=tuple(passages.values()))
    return tuple(merged.values())


def _make_dev(judged: JudgedQuery, retriever: Retriever | None, depth: int) -> DevQuery:
    """BM25's candidates for a query, from the corpus or, without one, from its own list."""
    if retriever is None:
        passages: list[Passage] = list_passages([judged])
        retriever = build_retriever(make_corpus(passages, corpus_id=judged.query.query_id))
        found = [hit.passage for hit in retriever.search(judged.query.text, depth)]
        known = {p.doc_id for p in found}
        candidates = [*found, *(p for p in passages if p.doc_id not in known)][:depth]
    else:
        candidates = [hit.passage for hit in retriever.search(judged.query.text, depth)]
    return DevQuery(
        query=judged.query,
        candidates=tuple(candidates),
        grades={p.passage.doc_id: p.grade for p in judged.passages},
    )


def _cap(items: Sequence[T], limit: int) -> list[T]:
    return list(items[:limit] if limit else items)


def _order(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\n{key}".encode()).digest()


def _normalize(text: str) -> str:
    return " ".join(text.lower().split())
