"""The named endpoints `/rank`, `/rerank` and `/score`, which are the MCP tools as well.

Takes what a program sends, checks all of it, returns the documented JSON (docs/api.md). They wait
in the page's queue, open no path of this machine and keep nothing of one call for the next.

Clients and models read the endpoints' types and docstrings. Gradio takes an argument's text from
its own line only, and types from where they stand, so annotations are not postponed in this file.
"""

import json
import time
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import gradio as gr

from app.library import Library
from app.messages import explain_error
from reranker.corpora import list_hits
from reranker.corpora.limits import MAX_PASTED_CHARS, MAX_PASTED_PASSAGES
from reranker.corpora.rows import Row, collect_passages
from reranker.errors import InputError
from reranker.progress import TraceUpdate
from reranker.request import MAX_QUERY_CHARS, RankRequest
from reranker.results import describe_ranking, describe_scores
from reranker.types import FinalOrder, Hit, Mode, Query, RankingTrace, RankSettings

RANK_QUEUE: dict[str, Any] = {"concurrency_id": "rank", "concurrency_limit": 1}
"""The one queue of everything that ranks, on the page and here."""
MAX_DEPTH = 100
"""Passages stage 2 may read in one call; more would hold up every other visitor."""

Stages = Literal["none", "1", "2", "both"]
Final = Literal["profile", "stage2", "blend", "stage1"]

P = ParamSpec("P")
R = TypeVar("R")


def add_api(library: Library) -> None:
    """Adds the three endpoints to the Blocks that is being built."""
    api = Api(library)
    for endpoint in (api.rank, api.rerank, api.score):
        gr.api(endpoint, api_name=endpoint.__name__, **RANK_QUEUE)


def answer_in_json(page: gr.Blocks) -> None:
    """Makes the tools of a served page answer in JSON, where Gradio writes a dict as Python does
    (None, single quotes)."""
    server = page.mcp_server_obj

    def write(outputs: list[Any], root_url: str) -> list[Any]:
        texts = [json.dumps(output, ensure_ascii=False) for output in outputs]
        return [server.types.TextContent(type="text", text=text) for text in texts]

    server.postprocess_output_data = write


def tell_errors(endpoint: Callable[P, R]) -> Callable[P, R]:
    """The endpoint with its errors worded as on the page, and nothing of the inside in them."""

    @wraps(endpoint)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return endpoint(*args, **kwargs)
        except Exception as error:  # explain_error logs what was not raised on purpose
            raise gr.Error(explain_error(error).text, print_exception=False) from error

    return run


class Api:
    """The endpoints over one library."""

    def __init__(self, library: Library) -> None:
        self._library = library

    @tell_errors
    def rank(
        self,
        query: str,
        corpus: str = "everyday-science",
        depth: int = 20,
        stages: Stages = "both",
        mode: Mode = "reason_first",
        final: Final = "profile",
    ) -> dict[str, Any]:
        """Search a corpus with BM25, rerank what it found in two stages, and say why.

        Stage 1 scores each passage against the query. Stage 2 reads them together, writes a
        verdict, a reason and verbatim evidence for each, and orders them.

        Args:
            query: What to look for, at most 2,000 characters.
            corpus: The corpus to search, everyday-science or python-docs.
            depth: How many of the passages that BM25 finds are reranked, 1 to 100.
            stages: Which stages run: both, only 1, only 2, or none for the order of BM25.
            mode: Whether stage 2 gives its reasons before it orders (reason_first) or after.
            final: Whose order is returned; profile leaves it to the student.

        Returns:
            An object with query, student, timings and defects
            and with hits in final order: doc_id, text, ranks, score, verdict, justification
        """
        text = _check_query(query)
        settings = _make_settings(_check_depth(depth), stages, mode, final)
        known = [info.corpus_id for info in self._library.corpora]
        source = self._library.open_source(_check_choice("corpus", corpus, known))
        assert source.retriever is not None  # only a pasted list has none
        started = time.perf_counter()
        hits = source.retriever.search(text, settings.depth)
        seconds = time.perf_counter() - started
        origin = {"corpus_id": source.corpus.corpus_id, "corpus_sha256": source.corpus.sha256}
        return describe_ranking(self._run(text, hits, settings, bm25_seconds=seconds, **origin))

    @tell_errors
    def rerank(
        self,
        query: str,
        passages: list[str],
        doc_ids: list[str] | None = None,
        stages: Stages = "both",
        mode: Mode = "reason_first",
        final: Final = "profile",
    ) -> dict[str, Any]:
        """Rerank passages of your own for a query in two stages, and say why.

        Nothing is searched. The reasons and evidence are those of rank.

        Args:
            query: What to look for, at most 2,000 characters.
            passages: The texts to rerank, 1 to 100, in the order of your own first stage.
            doc_ids: Their ids in the same order, no two alike. Left out: c1, c2, c3 and so on.
            stages: Which stages run: both, only 1, only 2, or none for the order given.
            mode: Whether stage 2 gives its reasons before it orders (reason_first) or after.
            final: Whose order is returned; profile leaves it to the student.

        Returns:
            The same object as rank returns
            without bm25_score, and with the place a passage was given at as rank_bm25
        """
        text, hits = _check_query(query), _make_hits(passages, doc_ids, MAX_DEPTH)
        settings = _make_settings(len(hits), stages, mode, final)
        return describe_ranking(self._run(text, hits, settings))

    @tell_errors
    def score(
        self, query: str, passages: list[str], doc_ids: list[str] | None = None
    ) -> dict[str, Any]:
        """Score passages of your own against a query with stage 1 alone: logits, no reasons.

        Args:
            query: What to look for, at most 2,000 characters.
            passages: The texts to score, 1 to 1,000.
            doc_ids: Their ids in the same order, no two alike. Left out: c1, c2, c3 and so on.

        Returns:
            An object with query, student, timings
            and with scores in the order given: doc_id, score, rank, truncated
        """
        text, hits = _check_query(query), _make_hits(passages, doc_ids, MAX_PASTED_PASSAGES)
        settings = RankSettings(depth=len(hits), stages="1")
        return describe_scores(self._run(text, hits, settings))

    def _run(
        self, text: str, hits: tuple[Hit, ...], settings: RankSettings, **origin: Any
    ) -> RankingTrace:
        """The complete trace. origin: where the hits are from, in the pipeline's words."""
        library = self._library
        request = RankRequest(query=Query(query_id="q1", text=text), hits=hits, **origin)
        events = library.stream_rank(
            library.student, library.quantization, request, settings, lambda: False
        )
        return [event.trace for event in events if isinstance(event, TraceUpdate)][-1]


def _make_settings(depth: int, stages: Any, mode: Any, final: Any) -> RankSettings:
    _check_choice("final", final, get_args(Final))
    return RankSettings(
        depth=depth,
        stages=_check_choice("stages", stages, get_args(Stages)),
        mode=_check_choice("mode", mode, get_args(Mode)),
        final=final if final in get_args(FinalOrder) else None,
    )


def _make_hits(passages: Any, doc_ids: Any, most: int) -> tuple[Hit, ...]:
    """Passages in the order given; an unusable one is named by its place, counted from 1."""
    texts = _check_texts("passages", passages)
    if not 1 <= len(texts) <= most:
        raise InputError(f"expected 1 to {most:,} passages, got {len(texts):,}; split the list")
    chars = sum(map(len, texts))
    if chars > MAX_PASTED_CHARS:
        raise InputError(
            f"expected passages of {MAX_PASTED_CHARS:,} characters together at most, got "
            f"{chars:,}; split the list"
        )
    ids = [f"c{n}" for n in range(1, len(texts) + 1)]
    if doc_ids is not None:
        ids = _check_texts("doc_ids", doc_ids)
    if len(ids) != len(texts):
        raise InputError(
            f"expected as many doc_ids as passages, {len(texts):,}, got {len(ids):,}; "
            "give one for each, or none at all"
        )
    rows = [
        Row(line=place, doc_id=doc_id, text=text)
        for place, (doc_id, text) in enumerate(zip(ids, texts, strict=True), start=1)
    ]
    return list_hits(collect_passages(rows, "passages"))


def _check_query(query: Any) -> str:
    if not isinstance(query, str) or not query.strip():
        raise InputError(f"expected a query, got {_name(query)}; send what to look for as text")
    if len(query) > MAX_QUERY_CHARS:
        raise InputError(
            f"expected a query of at most {MAX_QUERY_CHARS:,} characters, got {len(query):,}; "
            "shorten it"
        )
    return query.strip()


def _check_depth(depth: Any) -> int:
    if not isinstance(depth, int) or isinstance(depth, bool) or not 1 <= depth <= MAX_DEPTH:
        raise InputError(
            f"expected a depth from 1 to {MAX_DEPTH}, got {_name(depth)}; send a whole number"
        )
    return depth


def _check_choice(name: str, value: Any, choices: Collection[str]) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise InputError(
            f"expected {name} to be one of {', '.join(choices)}, got {_name(value)}; "
            "choose one of these"
        )
    return value


def _check_texts(name: str, values: Any) -> list[str]:
    if not isinstance(values, list):
        raise InputError(f"expected {name} as a list of texts, got {_name(values)}; send a list")
    for place, value in enumerate(values, start=1):
        if not isinstance(value, str):
            raise InputError(
                f"expected text, got {_name(value)}; send a list of texts", where=f"{name}:{place}"
            )
    return values


def _name(value: Any) -> str:
    """What came, short: long or nested values by their kind alone."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)[:40]
    if isinstance(value, str):
        return repr(value[:40]) if value.strip() else "empty text"
    return "a list" if isinstance(value, list) else "an object"
