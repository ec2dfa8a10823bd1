"""Corpora: names, files, folders, archives and pasted lists in, checked passages out.

Knows nothing of retrieval, models or the page. What cannot be used raises InputError naming
the file, the line and the mend.
"""

from reranker.corpora.catalogue import (
    CorpusInfo,
    list_corpora,
    load_corpus,
    load_qrels,
    load_queries,
)
from reranker.corpora.corpus import Corpus, make_corpus
from reranker.corpora.pasted import list_hits, parse_pasted

__all__ = [
    "Corpus",
    "CorpusInfo",
    "list_corpora",
    "list_hits",
    "load_corpus",
    "load_qrels",
    "load_queries",
    "make_corpus",
    "parse_pasted",
]
