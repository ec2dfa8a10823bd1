"""Rankings to question in tests: a scorer that only counts one word, and a small trace over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reranker.corpora import list_hits
from reranker.explain.workbench import Workbench
from reranker.pipeline import rank
from reranker.progress import Cancelled
from reranker.request import RankRequest
from reranker.types import Passage, PassageScore, Query, RankingTrace, RankSettings
from tests.fake_student import FakeScorer, FakeStudent

WORD = "soap"
TEXTS = {
    "first": "Water alone slides off. With soap and more soap the grease lifts. Then rinse twice.",
    "second": "A cake of soap lasts for weeks. It smells of roses in 1998.",
    "third": "Iron rusts in damp air because oxygen reaches it. Paint keeps it dry.",
}


@dataclass(kw_only=True)
class WordScorer(FakeScorer):
    """The logit is how often WORD stands in the passage, and nothing else."""

    def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Cancelled = lambda: False,
    ) -> list[PassageScore]:
        return [
            PassageScore(
                doc_id=p.doc_id,
                score=float(p.text.lower().split().count(WORD)) if WORD in query else 0.0,
                passage_tokens=len(p.text.split()),
            )
            for p in passages
        ]


def make_student(**parts: Any) -> Any:
    """FakeStudent with parts replaced, typed as what the workbench takes."""
    return FakeStudent(**parts)


def make_trace(
    student: Any,
    texts: dict[str, str] | None = None,
    query: str = "what does soap do",
    **settings: Any,
) -> RankingTrace:
    """A finished ranking of `texts` in their order."""
    passages = tuple(Passage(doc_id=k, text=v) for k, v in (texts or TEXTS).items())
    request = RankRequest(query=Query(query_id="q", text=query), hits=list_hits(passages))
    return rank(student, request, RankSettings(depth=len(passages), **settings))


def make_bench(student: Any, trace: RankingTrace, **options: Any) -> Workbench:
    return Workbench(student, trace, **options)
