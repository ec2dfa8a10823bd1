"""Other projects' candidate lists in our own form: one JSON object in, one out.

Takes an object as RankLLM (`{"query": {"qid", "text"}, "candidates": [{"docid", "score",
"doc"}]}`) or DPR (`{"question", "answers", "ctxs": [{"id", "title", "text", "score"}]}`) writes
it, returns one with `query_id, query, hits[doc_id, title, text, score]` and perhaps `answers`.
Checks nothing: what is missing stays missing, and `candidates.py` says so.
"""

from __future__ import annotations

_Record = dict[str, object]
_TEXT_NAMES = ("contents", "text", "segment", "passage", "body")


def to_own_form(item: _Record, number: int) -> _Record:
    """`item` in our own form; one that is in none of the other forms comes back as it is.

    number: the 1-based place of the item in its file, the query_id where the form has none
    (DPR's files name no questions).
    """
    query, candidates = item.get("query"), item.get("candidates")
    if isinstance(query, dict) and isinstance(candidates, list):
        hits = [_from_rank_llm(hit) if isinstance(hit, dict) else hit for hit in candidates]
        return {"query_id": query.get("qid"), "query": query.get("text"), "hits": hits}
    contexts = item.get("ctxs")
    if isinstance(contexts, list):
        hits = [_from_dpr(hit) if isinstance(hit, dict) else hit for hit in contexts]
        return {
            "query_id": item.get("q_id", number),
            "query": item.get("question"),
            "hits": hits,
            "answers": item.get("answers", []),
        }
    return item


def _from_rank_llm(hit: _Record) -> _Record:
    document = hit.get("doc")
    fields = document if isinstance(document, dict) else {"text": document}
    text = next((fields[name] for name in _TEXT_NAMES if fields.get(name)), None)
    title = fields.get("title")
    return {"doc_id": hit.get("docid"), "text": text, "title": title, "score": hit.get("score")}


def _from_dpr(hit: _Record) -> _Record:
    score = hit.get("score")
    if isinstance(score, str):  # DPR writes its scores as text
        try:
            score = float(score)
        except ValueError:
            score = hit["score"]
    return {
        "doc_id": hit.get("id", hit.get("passage_id")),
        "title": hit.get("title"),
        "text": hit.get("text"),
        "score": score,
    }
