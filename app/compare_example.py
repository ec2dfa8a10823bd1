"""The bundled example of a comparison: BM25 and the student's stage 1 over everyday-science.

Takes the library, yields how far it is and at last the material. Ranks through the library like
every visitor's ranking does. Knows no component and no session.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from app.compare_sources import gather_traces
from app.comparison import Material
from app.library import Library
from reranker.corpora import load_qrels, load_queries
from reranker.errors import CancelledError
from reranker.types import Cancelled, Query, RankingTrace, RankSettings, TraceUpdate

CORPUS_ID = "everyday-science"
DEPTH = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleProgress:
    """done of total queries are ranked."""

    done: int
    total: int


def stream_example(
    library: Library, cancelled: Cancelled, *, limit: int | None = None
) -> Iterator[ExampleProgress | Material]:
    """Progress after every query, then the material. limit: only the first so many queries.

    Raises CancelledError when stopped, and what ranking raises.
    """
    qrels = load_qrels(CORPUS_ID, allow_paths=False)
    queries = [q for q in load_queries(CORPUS_ID, allow_paths=False) if q.query_id in qrels][:limit]
    traces = []
    yield ExampleProgress(done=0, total=len(queries))
    for number, query in enumerate(queries, start=1):
        if cancelled():
            raise CancelledError(f"the example was stopped after {number - 1} queries")
        traces.append(_rank(library, query, cancelled))
        yield ExampleProgress(done=number, total=len(queries))
    yield gather_traces(traces)


def _rank(library: Library, query: Query, cancelled: Cancelled) -> RankingTrace:
    source = library.open_source(CORPUS_ID)
    started = time.perf_counter()
    hits = source.retriever.search(query.text, DEPTH) if source.retriever else ()
    request = library.import_pipeline().RankRequest(
        query=query,
        hits=hits,
        corpus_id=source.corpus.corpus_id,
        corpus_sha256=source.corpus.sha256,
        bm25_seconds=time.perf_counter() - started,
    )
    settings = RankSettings(depth=DEPTH, stages="1")
    events = library.stream_rank(
        library.student, library.quantization, request, settings, cancelled
    )
    traces = [event.trace for event in events if isinstance(event, TraceUpdate)]
    return traces[-1]
