"""One query, ranked as before a training job and with its adapter, side by side.

Takes a job's id and a query, returns HTML. Both rankings run through the library like any other
on the page, over the passages the job was measured on. Knows nothing of how a job trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from app.html import render_message
from app.library import Library, Source
from app.messages import Message, explain_error
from app.rank.history import Entry
from app.rank.ranking import RankJob, check_query, stream_views
from app.train.facts import describe_start
from app.train.html_trial import render_try
from reranker.corpora import make_corpus
from reranker.errors import DearError, InputError
from reranker.evaluation.agreement import compare_orders
from reranker.evaluation.measures import evaluate_run, parse_measures
from reranker.examples.load import RankingData, load_ranking_data
from reranker.examples.record import JudgedQuery, list_passages
from reranker.jobs.job import Job, read_job
from reranker.jobs.outcome import is_measured, measure_outcome
from reranker.jobs.trained import make_trained, name_start, require_adapter
from reranker.retrieval import build_retriever
from reranker.trec import rank_by_position
from reranker.types import RankingTrace, RankSettings

SUGGESTED = 40
STAGE2_DEPTH = 10
NDCG = "nDCG@10"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What the job's data say of a query. held_out: it was measured on and never trained on."""

    query: JudgedQuery
    held_out: bool

    @property
    def grades(self) -> dict[str, int]:
        return {p.passage.doc_id: p.grade for p in self.query.passages}


class TryEvents:
    """The events of the box with the query to try."""

    def __init__(self, library: Library, root: Path) -> None:
        self.library, self.root = library, root

    def try_both(self, chosen: str | None, query: str | None) -> Iterator[str]:
        """Ranks the query twice; the two orders side by side, or why that cannot be."""
        yield _tell("Ranks as before the job…")
        try:
            job = require_adapter(read_job(str(chosen or ""), self.root))
            check_query(query or "")
            source, data = self._open_source(job)
            before = self._rank(job, source, name_start(job), str(query))
            yield _tell("Ranks with the new adapter…")
            after = self._rank(job, source, make_trained(job).name, str(query))
            orders = [[hit.passage for hit in trace.ranked_hits()] for trace in (before, after)]
            agreement = compare_orders(*orders)
        except DearError as error:
            yield render_message(explain_error(error))
            return
        first, second = (
            Entry(number=number, trace=trace, size=0)
            for number, trace in enumerate((before, after), start=1)
        )
        judged = find_judged(data, str(query))
        yield render_try(
            first,
            second,
            agreement,
            heads=(f"Before: {describe_start(job)}", "After: the new adapter"),
            told=describe_judged(judged, before, after),
            grades=judged.grades if judged else {},
        )

    def _open_source(self, job: Job) -> tuple[Source, RankingData | None]:
        """What the job was measured over; for stage 2, whose data hold no corpus, the first
        corpus of this server. Raises InputError when the data are not there any more."""
        if job.settings.stage == "stage2":
            return self.library.open_source(self.library.corpora[0].corpus_id), None
        settings = job.settings.data
        settings = replace(settings, mining_depth=max(1, settings.mining_depth))
        data = load_ranking_data(settings, job.settings.seed)
        retriever = data.retriever
        if retriever is None:
            passages = list_passages([*data.train, *data.dev_judged])
            retriever = build_retriever(make_corpus(passages, corpus_id=job.job_id))
        corpus = retriever.corpus
        return Source(key=corpus.corpus_id, corpus=corpus, retriever=retriever), data

    def _rank(self, job: Job, source: Source, student: str, query: str) -> RankingTrace:
        """Raises InputError with what the page would say where the ranking fails."""
        whole = job.settings.stage == "stage2"
        asked = RankJob(
            query=query,
            source=source,
            student=student,
            quantization=self.library.find_profile(student).quantization,
            settings=RankSettings(
                depth=STAGE2_DEPTH if whole else job.settings.data.dev_depth,
                stages="both" if whole else "1",
                final="stage2" if whole else "stage1",
            ),
        )
        *_, last = stream_views(self.library, asked, lambda: False)
        if last.trace.error:
            raise InputError(last.trace.error)
        return last.trace


def find_judged(data: RankingData | None, query: str) -> Judged | None:
    """What the data say of a query of exactly this text."""
    if data is None:
        return None
    for queries, held_out in ((data.dev_judged, True), (data.train, False)):
        for judged in queries:
            if judged.query.text.strip() == query.strip():
                return Judged(query=judged, held_out=held_out)
    return None


def describe_judged(judged: Judged | None, before: RankingTrace, after: RankingTrace) -> str:
    """nDCG@10 of both orders, and whether the job had seen the query."""
    if judged is None:
        return "The job's data do not judge this query: which order is better is for you to say."
    old, new = (_measure(trace, judged) for trace in (before, after))
    seen = (
        "It was held out: the job never trained on it."
        if judged.held_out
        else "The job trained on this query, so it may do too well on it."
    )
    return f"{NDCG} {old:.4f} before, {new:.4f} after ({new - old:+.4f}). {seen}"


def _measure(trace: RankingTrace, judged: Judged) -> float:
    run = {"q": rank_by_position(trace.final_order)}
    return evaluate_run(run, {"q": judged.grades}, parse_measures(NDCG)).means[NDCG]


def list_queries(job: Job) -> list[str]:
    """The texts of the dev queries, the largest change first; [] for stage 2, whose dev data are
    prompts. Raises InputError when a file of the job is damaged."""
    if job.settings.stage == "stage2" or not is_measured(job):
        return []
    changes = sorted(measure_outcome(job).changes, key=lambda change: -abs(change.gain))
    return list(dict.fromkeys(change.text for change in changes if change.text))[:SUGGESTED]


def _tell(text: str) -> str:
    return render_message(Message(text=text, tone="busy"))
