"""What is to be ranked: a query and its candidates.

`check_request` says whether a ranking can begin with it. Knows no student and no stage.
"""

from __future__ import annotations

from dataclasses import dataclass

from reranker.errors import InputError
from reranker.ordering import check_shuffles
from reranker.types import Hit, Query, RankSettings

MAX_QUERY_CHARS = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RankRequest:
    """What is to be ranked. `bm25_seconds` is what retrieval took, for the trace's timings."""

    query: Query
    hits: tuple[Hit, ...]
    corpus_id: str = ""
    corpus_sha256: str = ""
    bm25_seconds: float = 0.0


def check_request(request: RankRequest, settings: RankSettings) -> None:
    """Raises InputError where the query, the candidates or the settings cannot be used."""
    text = request.query.text.strip()
    if not text:
        raise InputError("expected a query, got empty text; type what you are looking for")
    if len(text) > MAX_QUERY_CHARS:
        raise InputError(
            f"expected a query of at most {MAX_QUERY_CHARS} characters, got {len(text)}; shorten it"
        )
    for name, value in (("depth", settings.depth), ("stage2_depth", settings.stage2_depth)):
        if value is not None and value < 1:
            raise InputError(f"expected a {name} of at least 1, got {value}; raise it")
    if settings.final == "agreed":
        read = min(len(request.hits), settings.depth, settings.stage2_depth or settings.depth)
        check_shuffles(settings.shuffles, read)
    seen: set[str] = set()
    for hit in request.hits:
        if hit.passage.doc_id in seen:
            raise InputError(
                f"expected each doc_id once, got {hit.passage.doc_id!r} twice; remove one"
            )
        seen.add(hit.passage.doc_id)
