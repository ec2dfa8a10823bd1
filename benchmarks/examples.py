"""Which judged queries show best what each stage does, found by ranking all of them.

    python -m benchmarks.examples [--corpus everyday-science] [--student mini] [--write]

Ranks as the page does before anything is changed under Advanced, compares the three orders by the
judgements, and prints the examples the page would offer. --write puts them where the page reads
them, under assets/examples; run it whenever the bundled student changes. What no query shows is
not offered: it is said here, and the page has an example fewer.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from app.rank.examples import FOLDER, MAX_EXAMPLES, Chosen, Kind, Sight, describe_sight
from reranker.config import DEFAULT_STUDENT
from reranker.corpora import load_corpus, load_qrels, load_queries
from reranker.digest import INSTRUCTION
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.pipeline import rank
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.student.student import load_student
from reranker.trec import rank_by_position
from reranker.types import RankingTrace, RankSettings

CORPUS = "everyday-science"
MEASURE = "nDCG@10"
FULL = 3
"""The grade of a passage that answers fully; 0 is one that does not answer."""
LEAST_CHANGE = 0.02
"""Of nDCG@10: less is not worth an example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One ranking and its judgements. gains: nDCG@10 of BM25's, stage 1's and the final order."""

    trace: RankingTrace
    grades: dict[str, int]
    gains: tuple[float, float, float]

    def ranks(self, doc_id: str) -> tuple[int, int, int]:
        """Places of a passage after BM25, stage 1 and stage 2."""
        orders = (self.trace.bm25_order, self.trace.stage1_order, self.trace.final_order)
        bm25, stage1, stage2 = (order.index(doc_id) + 1 for order in orders)
        return bm25, stage1, stage2


def rank_judged(corpus_id: str, student_name: str, queries: Sequence[str] = ()) -> list[Seen]:
    """Every judged query of a corpus (or those of `queries`), ranked as the page begins."""
    corpus, qrels = load_corpus(corpus_id), load_qrels(corpus_id)
    retriever, student = build_retriever(corpus), load_student(student_name)
    settings = RankSettings()
    judged = [query for query in load_queries(corpus_id) if query.query_id in qrels]
    seen = []
    for number, query in enumerate(judged, start=1):
        if queries and query.text not in queries:
            continue
        hits = retriever.search(query.text, settings.depth)
        trace = rank(student, RankRequest(query=query, hits=hits), settings)
        grades = dict(qrels[query.query_id])
        seen.append(Seen(trace=trace, grades=grades, gains=measure_gains(trace, grades)))
        if number % 10 == 0:
            sys.stderr.write(f"{number} of {len(judged)}\n")
    return seen


def measure_gains(trace: RankingTrace, grades: dict[str, int]) -> tuple[float, float, float]:
    """nDCG@10 of BM25's, stage 1's and the final order."""
    query_id = trace.query.query_id
    bm25, stage1, stage2 = (
        evaluate_run(
            {query_id: rank_by_position(order)},
            {query_id: grades},
            parse_measures(MEASURE),
        ).means[MEASURE]
        for order in (trace.bm25_order, trace.stage1_order, trace.final_order)
    )
    return bm25, stage1, stage2


def choose_sights(seen: Sequence[Seen]) -> tuple[Sight, ...]:
    """At most MAX_EXAMPLES sights of different queries, in the page's order."""
    finders: dict[Kind, Callable[[Seen], tuple[float, Sight] | None]] = {
        "injection": _find_injection,
        "correction": lambda one: _find_change("correction", one, 1, 2, better=True),
        "harm": lambda one: _find_change("harm", one, 1, 2, better=False),
        "rescue": _find_rescue,
        "fooled": lambda one: _find_change("fooled", one, 0, 1, better=False),
    }
    found: dict[Kind, Sight] = {}
    for kind, find in finders.items():  # the scarce ones choose first
        taken = {sight.query for sight in found.values()}
        fresh = [one for one in seen if one.trace.query.text not in taken]
        best = max(filter(None, map(find, fresh)), key=lambda pair: pair[0], default=None)
        if best is not None and len(found) < MAX_EXAMPLES:
            found[kind] = best[1]
    order: tuple[Kind, ...] = ("rescue", "correction", "harm", "fooled", "injection")
    return tuple(found[kind] for kind in order if kind in found)


def _find_rescue(one: Seen) -> tuple[float, Sight] | None:
    """The full answer, which stage 1 puts first and stage 2 leaves there; by how far it rose."""
    for doc_id, grade in one.grades.items():
        if grade < FULL or doc_id not in one.trace.final_order:
            continue
        bm25, stage1, stage2 = one.ranks(doc_id)
        if stage1 == stage2 == 1 < bm25:
            return bm25, _make_sight("rescue", one, doc_id)
    return None


def _find_change(
    kind: Kind, one: Seen, before: int, after: int, *, better: bool
) -> tuple[float, Sight] | None:
    """An order that improved (or not) and the passage that shows it most; by the change."""
    change = one.gains[after] - one.gains[before]
    if (change if better else -change) < LEAST_CHANGE:
        return None

    def weigh(doc_id: str) -> float:
        """How much this passage alone speaks for the change; a full answer should be high up."""
        ranks = one.ranks(doc_id)
        rise = 1 / math.log2(ranks[after] + 1) - 1 / math.log2(ranks[before] + 1)
        right = rise if one.grades[doc_id] >= FULL else -rise
        return right if better else -right

    told = [d for d, grade in one.grades.items()
            if grade in (0, FULL) and d in one.trace.final_order]  # fmt: skip
    doc_id = max(told, key=weigh, default=None)
    if doc_id is None or weigh(doc_id) <= 0:
        return None
    return abs(change), _make_sight(kind, one, doc_id)


def _find_injection(one: Seen) -> tuple[float, Sight] | None:
    """The passage that gives orders; by how far stage 2 moves it down, then by how high it got."""
    for hit in one.trace.hits:
        doc_id = hit.passage.doc_id
        if doc_id in one.grades and INSTRUCTION.search(hit.passage.text):
            bm25, stage1, stage2 = one.ranks(doc_id)
            return (stage2 - stage1) + 1 / stage1, _make_sight("injection", one, doc_id)
    return None


def _make_sight(kind: Kind, one: Seen, doc_id: str) -> Sight:
    return Sight(
        query=one.trace.query.text,
        kind=kind,
        doc_id=doc_id,
        answers=one.grades[doc_id] >= FULL,
        ranks=one.ranks(doc_id),
    )


def check_sight(sight: Sight, one: Seen) -> str:
    """What is not so in a ranking of today; "" when everything is."""
    ranks, grade = one.ranks(sight.doc_id), one.grades[sight.doc_id]
    if ranks != sight.ranks:
        return f"{sight.doc_id}: expected places {sight.ranks}, got {ranks}"
    if sight.kind != "injection" and grade not in (0, FULL):
        return f"{sight.doc_id}: expected an answer or none, got grade {grade}"
    if sight.answers != (grade >= FULL):
        return f"{sight.doc_id}: expected answers {sight.answers}, got grade {grade}"
    bm25, stage1, stage2 = one.gains
    holds = {
        "rescue": ranks[1] == 1 < ranks[0],
        "correction": stage2 > stage1,
        "harm": stage2 < stage1,
        "fooled": stage1 < bm25,
        "injection": any(
            INSTRUCTION.search(hit.passage.text)
            for hit in one.trace.hits
            if hit.passage.doc_id == sight.doc_id
        ),
    }
    return "" if holds[sight.kind] else f"{sight.query}: expected a {sight.kind}, got {one.gains}"


def write_chosen(corpus_id: str, chosen: Chosen) -> None:
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(asdict(chosen), indent=1, ensure_ascii=False)
    (FOLDER / f"{corpus_id}.json").write_text(text + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examples")
    parser.add_argument("--corpus", default=CORPUS)
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--write", action="store_true", help="put them where the page reads them")
    options = parser.parse_args(arguments)
    seen = rank_judged(options.corpus, options.student)
    changed = sum(one.trace.stage2_changes > 0 for one in seen)
    sights = choose_sights(seen)
    for sight in sights:
        sys.stdout.write(f"{sight.kind}: {sight.query}\n  {describe_sight(sight)}\n")
    for kind in {"rescue", "correction", "harm", "injection"} - {sight.kind for sight in sights}:
        sys.stdout.write(f"{kind}: shown by none of {len(seen)} queries\n")
    sys.stdout.write(f"stage 2 changed {changed} of {len(seen)} rankings\n")
    if options.write:
        write_chosen(options.corpus, Chosen(student=options.student, sights=sights))


if __name__ == "__main__":
    main()
