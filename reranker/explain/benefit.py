"""Whether stage 2 earns its place: where it helps, where it harms, and when not to listen to it.

Takes traces of both stages and qrels, returns a line per query, sums by the kind of question, and
a rule that falls back to stage 1, or to a blend, where stage 2 gives reason for doubt. A rule is
chosen on one set of queries and must be reported on another. Knows no model: everything is in the
traces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Literal

from reranker.config import Profile
from reranker.digest import AnswerKind, classify_question
from reranker.errors import InputError
from reranker.evaluation.statistics import Interval, bootstrap_difference, bootstrap_mean
from reranker.explain.faithfulness import find_contradictions
from reranker.explain.ndcg import measure_ndcg
from reranker.ordering import blend_trace
from reranker.trec import Qrels
from reranker.types import RankingTrace

Signal = Literal["never", "contradictions", "defects", "moved", "instability", "always"]
Effect = Literal["help", "harm", "same"]
Refuge = Literal["stage1", "blend"]
REFUGES: tuple[Refuge, ...] = ("stage1", "blend")

SIGNAL_WORDS: dict[Signal, str] = {
    "never": "never falls back",
    "contradictions": "share of verdict pairs that contradict the order",
    "defects": "repairs of the ranking text",
    "moved": "share of places that stage 2 changed",
    "instability": "1 - pairwise agreement over shuffled readings",
    "always": "always falls back",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryBenefit:
    """One query. stage1, stage2, blend: nDCG@10 of these orders, blended with the profile's
    weights; seconds: what stage 2 took."""

    query_id: str
    text: str
    asks: AnswerKind
    stage1: float
    stage2: float
    blend: float
    seconds: float
    signals: Mapping[Signal, float]

    @property
    def effect(self) -> Effect:
        if self.stage2 == self.stage1:
            return "same"
        return "help" if self.stage2 > self.stage1 else "harm"


@dataclass(frozen=True, kw_only=True, slots=True)
class KindBenefit:
    """All queries of one kind ("" for all of them): counts, mean change, seconds of stage 2."""

    asks: AnswerKind | Literal[""]
    queries: int
    helped: int
    harmed: int
    delta: Interval
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FallbackRule:
    """Falls back to `refuge` where `signal` is greater than `threshold`. chosen_on: mean nDCG@10 it
    had where it was chosen."""

    signal: Signal
    threshold: float
    chosen_on: float
    refuge: Refuge = "stage1"

    def falls_back(self, benefit: QueryBenefit) -> bool:
        if self.signal in ("never", "always"):
            return self.signal == "always"
        return benefit.signals.get(self.signal, 0.0) > self.threshold

    def describe(self) -> str:
        """In words, for a report."""
        words = SIGNAL_WORDS[self.signal]
        if self.signal == "never":
            return words
        to = "stage 1" if self.refuge == "stage1" else "a blend"
        if self.signal == "always":
            return f"{words}, to {to}"
        return f"to {to} where {words} > {self.threshold:.3f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleReport:
    """A rule on a set it was not chosen on. fallback: share of queries it fell back on; ndcg with
    the rule; against_stage1, against_stage2: differences in nDCG@10."""

    rule: FallbackRule
    queries: int
    fallback: float
    ndcg: Interval
    against_stage1: Interval
    against_stage2: Interval


def judge_benefit(
    traces: Sequence[RankingTrace],
    qrels: Qrels,
    profile: Profile,
    instability: Mapping[str, float] | None = None,
) -> tuple[QueryBenefit, ...]:
    """A line for every judged query that both stages ranked.

    profile: whose weights a blend takes. instability: 1 - pairwise agreement by query_id, where it
    was measured. Raises InputError when
    no trace has both stages.
    """
    both = [t for t in traces if t.stage1 and t.readings and t.query.query_id in qrels]
    if not both:
        raise InputError("expected judged rankings by both stages, got none; rank with both")
    first = measure_ndcg(both, qrels, lambda t: t.stage1_order)
    second = measure_ndcg(both, qrels, lambda t: t.stage2_order)
    mixed = measure_ndcg(both, qrels, lambda t: blend_trace(t, t.stage2_order, profile))
    return tuple(
        QueryBenefit(
            query_id=t.query.query_id,
            text=t.query.text,
            asks=classify_question(t.query.text),
            stage1=first[t.query.query_id],
            stage2=second[t.query.query_id],
            blend=mixed[t.query.query_id],
            seconds=sum(timing.seconds for timing in t.timings if timing.stage == "stage2"),
            signals=read_signals(t, (instability or {}).get(t.query.query_id)),
        )
        for t in both
    )


def read_signals(trace: RankingTrace, instability: float | None = None) -> dict[Signal, float]:
    """Reasons to doubt stage 2, each 0 where there is none."""
    order = trace.stage2_order
    hits = {hit.passage.doc_id: hit for hit in trace.ranked_hits()}
    pairs, wrong = find_contradictions([hits[doc_id] for doc_id in order])
    start = trace.stage1_order or trace.bm25_order
    repairs = ("wrong_format", "repetition", "missing", "out_of_range")
    signals: dict[Signal, float] = {
        "contradictions": len(wrong) / pairs if pairs else 0.0,
        "defects": float(sum(d.kind in repairs for d in trace.defects)),
        "moved": mean(a != b for a, b in zip(start, order, strict=True)),
    }
    return signals if instability is None else {**signals, "instability": instability}


def sum_by_kind(benefits: Sequence[QueryBenefit]) -> tuple[KindBenefit, ...]:
    """All queries first, then every kind of question, the commonest first."""
    kinds: dict[AnswerKind, list[QueryBenefit]] = {}
    for benefit in benefits:
        kinds.setdefault(benefit.asks, []).append(benefit)
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    return (_sum("", benefits), *(_sum(kind, found) for kind, found in ordered))


def _sum(asks: AnswerKind | Literal[""], found: Sequence[QueryBenefit]) -> KindBenefit:
    return KindBenefit(
        asks=asks,
        queries=len(found),
        helped=sum(b.effect == "help" for b in found),
        harmed=sum(b.effect == "harm" for b in found),
        delta=bootstrap_difference(
            {b.query_id: b.stage2 for b in found}, {b.query_id: b.stage1 for b in found}
        ),
        seconds=mean(b.seconds for b in found),
    )


def choose_rule(benefits: Sequence[QueryBenefit]) -> FallbackRule:
    """The rule with the best mean nDCG@10; of equals the one that falls back least, and to stage 1
    rather than to a blend. Every value a signal takes is tried as its threshold."""
    rules = [FallbackRule(signal="never", threshold=0.0, chosen_on=0.0)]
    signals: tuple[Signal, ...] = ("contradictions", "defects", "moved", "instability")
    for signal in signals:
        values = {b.signals[signal] for b in benefits if signal in b.signals}
        rules += [
            FallbackRule(signal=signal, threshold=value, chosen_on=0.0, refuge=refuge)
            for value in sorted(values, reverse=True)
            for refuge in REFUGES
        ]
    rules += [
        FallbackRule(signal="always", threshold=0.0, chosen_on=0.0, refuge=r) for r in REFUGES
    ]
    scored = [(mean(_apply(rule, b) for b in benefits), rule) for rule in rules]
    best = max(score for score, _ in scored)
    rule = next(rule for score, rule in scored if score >= best - 1e-9)
    return replace(rule, chosen_on=best)


def _apply(rule: FallbackRule, benefit: QueryBenefit) -> float:
    if not rule.falls_back(benefit):
        return benefit.stage2
    return benefit.stage1 if rule.refuge == "stage1" else benefit.blend


def report_rule(rule: FallbackRule, benefits: Sequence[QueryBenefit]) -> RuleReport:
    """The rule on queries it was not chosen on."""
    values = {b.query_id: _apply(rule, b) for b in benefits}
    return RuleReport(
        rule=rule,
        queries=len(benefits),
        fallback=mean(rule.falls_back(b) for b in benefits),
        ndcg=bootstrap_mean(values),
        against_stage1=bootstrap_difference(values, {b.query_id: b.stage1 for b in benefits}),
        against_stage2=bootstrap_difference(values, {b.query_id: b.stage2 for b in benefits}),
    )
