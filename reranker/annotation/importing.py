"""Items from what the program already knows: traces, runs, corpora with queries, and files.

Takes traces, paths or names, returns `Item` records. Knows no store and no project. Several
rankings of one query become one item whose passages are those of all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reranker.annotation.item import Item, Reasoning, SystemOrder, make_item
from reranker.corpora import load_corpus, load_queries
from reranker.errors import InputError
from reranker.retrieval import build_retriever
from reranker.trace import load_trace
from reranker.trec import read_run
from reranker.types import Passage, Query, RankingTrace

MAX_PASSAGES = 100
"""In one item; nobody judges more in one sitting."""
DEFAULT_DEPTH = 10
_NO_ID = "q1"
"""What queries are called that were typed and have no id."""


@dataclass
class _Draft:
    query: Query
    passages: dict[str, Passage] = field(default_factory=dict)
    reasonings: dict[tuple[str, str], Reasoning] = field(default_factory=dict)
    orders: dict[str, SystemOrder] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)


def import_traces(
    traces: Iterable[tuple[str, RankingTrace]], depth: int = DEFAULT_DEPTH
) -> tuple[Item, ...]:
    """(name, trace) pairs to items: each trace's `depth` best passages, all its orders, and what
    its student said. Texts a program put in where the student wrote none are not its reasoning.

    Raises InputError where two traces have different texts for one doc_id.
    """
    drafts: dict[str, _Draft] = {}
    for name, trace in traces:
        draft = drafts.setdefault(trace.query.text, _Draft(query=name_query(trace.query)))
        system = _name_system(draft, trace)
        best = [hit for hit in trace.ranked_hits() if hit.rank <= _check_depth(depth)]
        for hit in best:
            _add_passage(draft, hit.passage, name)
        _add_orders(draft, trace, system)
        for hit in best:
            said = hit.justification
            if said is not None and said.source == "model" and said.text.strip():
                draft.reasonings[hit.passage.doc_id, system] = Reasoning(
                    doc_id=hit.passage.doc_id,
                    system=system,
                    text=said.text,
                    verdict=said.verdict,
                    evidence=said.evidence,
                )
        draft.sources[f"trace of {trace.corpus_id or 'a list'}"] = None
    return tuple(_finish(draft) for draft in drafts.values())


def import_trace_files(paths: Sequence[Path], depth: int = DEFAULT_DEPTH) -> tuple[Item, ...]:
    """The same from saved traces. Raises TraceError or InputError."""
    return import_traces([(path.name, load_trace(path)) for path in paths], depth)


def import_runs(paths: Sequence[Path], corpus: str, depth: int = DEFAULT_DEPTH) -> tuple[Item, ...]:
    """TREC runs over a corpus with queries: each query's pool of the runs' `depth` best.

    Raises InputError for a passage the corpus lacks, or where no query is in it.
    """
    known, texts = load_corpus(corpus), {q.query_id: q for q in load_queries(corpus)}
    runs = {path.name: read_run(path) for path in paths}
    drafts: dict[str, _Draft] = {}
    for name, run in runs.items():
        for query_id, ranking in run.items():
            if query_id not in texts:
                continue
            draft = drafts.setdefault(query_id, _Draft(query=texts[query_id]))
            best = ranking[: _check_depth(depth)]
            for doc_id, _ in best:
                if doc_id not in known:
                    raise InputError(
                        f"expected passages of {corpus}, got {doc_id!r}; name the run's own corpus",
                        where=name,
                    )
                _add_passage(draft, known.get_passage(doc_id), name)
            draft.orders[name] = SystemOrder(
                system=name,
                doc_ids=tuple(doc_id for doc_id, _ in best),
                scores=tuple(score for _, score in best),
            )
            draft.sources[f"runs over {corpus}"] = None
    if not drafts:
        raise InputError(
            f"expected runs about the queries of {corpus}, got none; name the run's own corpus"
        )
    return tuple(_finish(draft) for draft in drafts.values())


def import_corpus(
    corpus: str, depth: int = DEFAULT_DEPTH, queries: Sequence[Query] = ()
) -> tuple[Item, ...]:
    """BM25's `depth` best passages for each query, the corpus's own queries by default."""
    asked = tuple(queries) or load_queries(corpus)
    if not asked:
        raise InputError("expected a corpus with queries, got one without; give some", where=corpus)
    retriever = build_retriever(load_corpus(corpus))
    items = []
    for query in asked:
        hits = retriever.search(query.text, _check_depth(depth))
        order = SystemOrder(
            system="BM25",
            doc_ids=tuple(hit.passage.doc_id for hit in hits),
            scores=tuple(hit.bm25_score or 0.0 for hit in hits),
        )
        if hits:
            passages = [hit.passage for hit in hits]
            items.append(make_item(query, passages, orders=[order], source=f"BM25 over {corpus}"))
    return tuple(items)


def name_query(query: Query) -> Query:
    """The query under an id that tells it from others: one made of its text where it has none."""
    if query.query_id != _NO_ID:
        return query
    digest = hashlib.sha256(query.text.encode()).hexdigest()[:10]
    return replace(query, query_id=f"q-{digest}")


def _check_depth(depth: int) -> int:
    if not 1 <= depth <= MAX_PASSAGES:
        raise InputError(f"expected 1 to {MAX_PASSAGES} passages an item, got {depth}; change it")
    return depth


def _name_system(draft: _Draft, trace: RankingTrace) -> str:
    name, number = trace.student.name, 1
    taken = {order.removesuffix(", final") for order in draft.orders}
    while (name if number == 1 else f"{name} {number}") in taken:
        number += 1
    return name if number == 1 else f"{name} {number}"


def _add_passage(draft: _Draft, passage: Passage, where: str) -> None:
    known = draft.passages.setdefault(passage.doc_id, passage)
    if known.text != passage.text:
        raise InputError(
            f"expected one text for passage {passage.doc_id!r}, got another than before; import "
            "rankings of one corpus together",
            where=where,
        )


def _add_orders(draft: _Draft, trace: RankingTrace, system: str) -> None:
    bm25 = {hit.passage.doc_id: hit.bm25_score for hit in trace.hits}
    logits = {score.doc_id: score.score for score in trace.stage1}
    wanted: list[tuple[str, tuple[str, ...], Mapping[str, float | None]]] = [
        ("BM25", trace.bm25_order, bm25),
        (f"{system}, stage 1", trace.stage1_order, logits),
        (f"{system}, final", trace.final_order or trace.bm25_order, {}),
    ]
    for name, order, scores in wanted:
        doc_ids = tuple(doc_id for doc_id in order if doc_id in draft.passages)
        known = [scores[d] for d in doc_ids if scores.get(d) is not None]
        if doc_ids:
            draft.orders[name] = SystemOrder(
                system=name,
                doc_ids=doc_ids,
                scores=tuple(float(s or 0.0) for s in known) if len(known) == len(doc_ids) else (),
            )


def _finish(draft: _Draft) -> Item:
    return make_item(
        draft.query,
        draft.passages.values(),
        reasonings=draft.reasonings.values(),
        orders=draft.orders.values(),
        source=", ".join(draft.sources),
    )
