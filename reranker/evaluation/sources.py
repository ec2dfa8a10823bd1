"""Whatever names a collection: a published name, a corpus, a folder, a zip, a candidate file.

Takes what was typed, returns a `Collection`. Decides only which loader is meant.
"""

from __future__ import annotations

from pathlib import Path

from reranker.corpora import list_corpora
from reranker.errors import InputError
from reranker.evaluation.collection import (
    DEFAULT_DEPTH,
    Collection,
    is_candidate_file,
    load_beir,
    load_candidates,
    load_trec,
)
from reranker.evaluation.questions import is_question_file, is_squad, load_questions
from reranker.evaluation.remote import NAMED, load_named


def load_collection(
    name: str,
    *,
    depth: int = DEFAULT_DEPTH,
    qrels: Path | None = None,
    corpus: str | None = None,
    queries: Path | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> Collection:
    """The collection that `name` stands for, or its first `limit` queries (None: all).

    A name of `NAMED` or a bundled corpus goes before a path that is spelled alike. A file of
    candidates wants qrels unless it has answers; a TREC run wants corpus, queries and qrels; a
    file of questions with answers wants a corpus. Raises InputError.
    """
    found = _load(name, depth, qrels, corpus, queries, split, limit)
    return found if limit is None else found.trim()


def _load(
    name: str,
    depth: int,
    qrels: Path | None,
    corpus: str | None,
    queries: Path | None,
    split: str | None,
    limit: int | None,
) -> Collection:
    path = Path(name).expanduser()
    if name in NAMED:
        return load_named(name, depth=depth, limit=limit)
    if name not in {info.corpus_id for info in list_corpora()} and path.is_file():
        if corpus and queries and qrels:
            return load_trec(path, qrels, corpus=corpus, queries=queries, depth=depth).cut(
                depth, limit
            )
        if is_question_file(path) and (corpus or is_squad(path)):
            return load_questions(path, corpus=corpus or "", depth=depth, qrels=qrels, limit=limit)
        if is_candidate_file(path):
            return load_candidates(path, qrels).cut(depth, limit)
        if path.suffix.lower() != ".zip":
            raise InputError(
                "expected a collection: a candidate file (.json, .jsonl), or a TREC run with "
                f"--corpus, --queries and --qrels, got {path.name!r} alone; add what is missing",
                where=path.name,
            )
    return load_beir(
        corpus or name, depth=depth, split=split, qrels=qrels, queries=queries, limit=limit
    )
