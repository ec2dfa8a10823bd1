"""BM25 retrieval: a corpus in, hits with exact per-term weights out. Knows no model."""

from reranker.retrieval.bm25 import Retriever, build_retriever
from reranker.retrieval.tokenize import Token, tokenize, tokenize_query, tokenize_with_offsets

__all__ = [
    "Retriever",
    "Token",
    "build_retriever",
    "tokenize",
    "tokenize_query",
    "tokenize_with_offsets",
]
