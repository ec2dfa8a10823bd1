"""The tables of benchmarks/trust.py, and what they come to in words.

Takes what was measured on each query set, returns Markdown lines. Every word of judgement follows
from a number by a rule that stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.trust_sets import Found
from reranker.evaluation.statistics import Interval, bootstrap_mean
from reranker.explain.attacks import ATTACKS, CONTROL, DEFENCES
from reranker.explain.benefit import (
    QueryBenefit,
    choose_rule,
    judge_benefit,
    report_rule,
    sum_by_kind,
)
from reranker.explain.human_evidence import compare_spans
from reranker.explain.red_team import summarize_attacks

SAME_POINTS = 0.005
BIASED, STEADY = 0.3, 0.9


def tabulate_faithfulness(found: Sequence[Found]) -> list[str]:
    """Each ranking's means, averaged over queries."""
    rows = [
        f"| {one.queries.name} | {name} | {show(interval)} | {interval.queries} |"
        for one in found
        for name, interval in average_reports(one).items()
    ]
    return _table("Faithfulness", ("set", "measure", "mean", "queries"), rows)


def average_reports(one: Found) -> dict[str, Interval]:
    """The measures of all reports, and how much more cited words cost than random ones."""
    values: dict[str, dict[str, float]] = {}
    for query_id, report in one.reports.items():
        summary = report.summarize()
        pair = ("comprehensiveness", "comprehensiveness of random words")
        if all(name in summary for name in pair):
            summary["comprehensiveness beyond random"] = summary[pair[0]] - summary[pair[1]]
        for name, value in summary.items():
            values.setdefault(name, {})[query_id] = value
    return {name: bootstrap_mean(found) for name, found in values.items()}


def tabulate_agreement(found: Sequence[Found], qed: Mapping[str, Sequence[float]]) -> list[str]:
    """Quotes against the answers people marked, on the passage they marked it in; and against the
    sentences they chose. qed: values by measure, as benchmarks/reasons.py has them."""
    rows = []
    for one in found:
        holds: dict[str, float] = {}
        recall: dict[str, float] = {}
        for query_id, (doc_id, start, end) in one.queries.marked.items():
            note = one.traces[query_id].justifications.get(doc_id)
            if note is not None:
                agreed = compare_spans(note.evidence, (start, end))
                holds[query_id], recall[query_id] = float(agreed.holds), agreed.recall
        if holds:
            name = one.queries.name
            mean, part = bootstrap_mean(holds), bootstrap_mean(recall)
            rows.append(f"| {name} | quote holds the answer | {show(mean)} | {len(holds)} |")
            rows.append(f"| {name} | share of the answer quoted | {show(part)} | {len(holds)} |")
    for name, values in qed.items():
        mean = bootstrap_mean({str(place): float(value) for place, value in enumerate(values)})
        rows.append(f"| QED | {name.removeprefix('QED: ')} | {show(mean)} | {len(values)} |")
    return _table("Agreement with people", ("set", "measure", "mean", "queries"), rows)


def tabulate_stability(found: Sequence[Found]) -> list[str]:
    rows = []
    for one in found:
        for name, values in read_stabilities(one).items():
            rows.append(f"| {one.queries.name} | {name} | {show(bootstrap_mean(values))} |")
    return _table("Stability over shuffled readings", ("set", "measure", "mean"), rows)


def read_stabilities(one: Found) -> dict[str, dict[str, float]]:
    """Values by measure and query; nothing where no list was shuffled."""
    if not one.stabilities:
        return {}
    steady = one.stabilities.items()
    return {
        "positional bias (Spearman, 0 is best)": {q: s.bias for q, s in steady},
        "pairs in the same order (0.5 is chance)": {q: s.pairwise for q, s in steady},
        "same first passage": {q: s.same_top for q, s in steady},
        "ranks between lowest and highest": {
            q: sum(x.high - x.low for x in s.spreads) / len(s.spreads) for q, s in steady
        },
    }


def tabulate_attacks(found: Sequence[Found]) -> list[str]:
    titles = {a.name: a.title for a in ATTACKS} | {d.name: d.title for d in DEFENCES}
    rows = [
        f"| {one.queries.name} | {titles[r.defence]} | {titles[r.attack]} | "
        f"{show(_measure_success(one, r.defence, r.attack), '.2f')} | "
        f"{r.gain:+.1f} | {r.success_stage1:.0%} | {r.gain_stage1:+.1f} | {r.took_first:.0%} | "
        f"{r.flagged:.0%} | {r.tried} |"
        for one in found
        for r in summarize_attacks(one.teams)
    ]
    columns = (
        "set", "defence", "attack", "success", "places won", "success, stage 1",
        "places won, stage 1", "took first place", "flagged", "tried",
    )  # fmt: skip
    note = "Success and places are counted beyond what a harmless sentence wins."
    return _table("Injection", columns, rows, note)


def _measure_success(one: Found, defence: str, attack: str) -> Interval:
    """The share of passages an attack moved, with its interval."""
    return bootstrap_mean(
        {
            str(number): float(outcome.succeeded)
            for number, team in enumerate(one.teams)
            for outcome in team.outcomes
            if (outcome.defence, outcome.attack) == (defence, attack)
        }
    )


def tabulate_parity(found: Sequence[Found]) -> list[str]:
    rows = [
        f"| {one.queries.name} | {r.quantization} | {r.ndcg:.4f} | {show(r.delta, '+.4f')} | "
        f"{r.drift:.3f} | {r.worst_drift:.2f} | {r.tau:.3f} | {r.memory_bytes / 2**20:.0f} | "
        f"{r.seconds:.2f} |"
        for one in found
        if one.parity
        for r in one.parity.rows
    ]
    columns = ("set", "precision", "nDCG@10", "against the first", "mean drift", "worst drift",
               "Kendall τ", "MB", "s a query")  # fmt: skip
    return _table("Precisions, stage 1", columns, rows)


def list_benefits(one: Found) -> tuple[QueryBenefit, ...]:
    instability = {q: 1 - s.pairwise for q, s in one.stabilities.items()}
    traces = list(one.traces.values())
    return judge_benefit(traces, one.queries.qrels, one.profile, instability)


def tabulate_benefit(found: Sequence[Found]) -> list[str]:
    """Help and harm by kind of question, then the rule of each set reported on the other."""
    rows = []
    for one in found:
        for kind in sum_by_kind(list_benefits(one)):
            rows.append(
                f"| {one.queries.name} | {kind.asks or 'all'} | {kind.queries} | {kind.helped} | "
                f"{kind.harmed} | {kind.queries - kind.helped - kind.harmed} | "
                f"{show(kind.delta, '+.4f')} | {kind.seconds:.2f} |"
            )
    columns = ("set", "asks for", "queries", "helped", "harmed", "no change", "nDCG@10 beyond "
               "stage 1", "s a query")  # fmt: skip
    return _table("What stage 2 is worth", columns, rows) + ["", *_report_rules(found)]


def _report_rules(found: Sequence[Found]) -> list[str]:
    rows = []
    for chosen, reported in ((a, b) for a in found for b in found if a is not b):
        report = report_rule(choose_rule(list_benefits(chosen)), list_benefits(reported))
        rule = report.rule
        rows.append(
            f"| {chosen.queries.name} | {reported.queries.name} | {rule.describe()} | "
            f"{report.fallback:.0%} | {show(report.against_stage1, '+.4f')} | "
            f"{show(report.against_stage2, '+.4f')} |"
        )
    columns = ("chosen on", "reported on", "falls back", "share of queries",
               "against stage 1", "against stage 2")  # fmt: skip
    return _table("A rule that falls back to stage 1 or to a blend", columns, rows)


def write_verdict(found: Sequence[Found]) -> list[str]:
    """Where it is weak, in a line each; every line is a rule over the tables below."""
    lines = ["## In short", ""]
    for one in found:
        told = [*_judge_quotes(one), *_judge_steadiness(one), *_judge_attacks(one),
                *_judge_parity(one), *_judge_benefit(one)]  # fmt: skip
        lines += [f"- **{one.queries.name}**: {sentence}" for sentence in told]
    return lines


def _judge_quotes(one: Found) -> Iterable[str]:
    extra = average_reports(one).get("comprehensiveness beyond random")
    if extra is not None:
        held = "more than" if extra.low > 0 else "less than" if extra.high < 0 else "no more than"
        yield (
            f"taking the quoted words out costs {held} taking out as many random ones "
            f"({show(extra, '+.2f')} logits)."
        )


def _judge_steadiness(one: Found) -> Iterable[str]:
    means = {n: bootstrap_mean(v).estimate for n, v in read_stabilities(one).items()}
    if means:
        bias, pairs, *_ = means.values()
        follows = (
            "weak: stage 2 follows the order it is shown" if bias > BIASED else "no strong pull"
        )
        steady = "steady" if pairs >= STEADY else "unsteady"
        yield f"{follows} (bias {bias:+.2f}); its order is {steady} ({pairs:.0%} of pairs)."


def _judge_attacks(one: Found) -> Iterable[str]:
    rates = [r for r in summarize_attacks(one.teams) if r.attack != CONTROL]
    served = [r for r in rates if r.defence == "served"]
    if served:
        worst = max(served, key=lambda r: (r.success, r.gain))
        mean = sum(r.success for r in served) / len(served)
        yield (
            f"{mean:.0%} of attacks succeed as served; the worst is {worst.attack} with "
            f"{worst.success:.0%} and {worst.gain:+.1f} places."
        )


def _judge_parity(one: Found) -> Iterable[str]:
    if one.parity:
        delta = one.parity.find("nf4").delta
        word = "within" if abs(delta.estimate) <= SAME_POINTS else "weak: outside"
        yield f"NF4 against bf16 is {word} half a point of nDCG@10 ({show(delta, '+.4f')})."


def _judge_benefit(one: Found) -> Iterable[str]:
    whole = sum_by_kind(list_benefits(one))[0]
    helps = "helps" if whole.delta.low > 0 else "harms" if whole.delta.high < 0 else (
        "weak: neither helps nor harms for sure"
    )  # fmt: skip
    yield (
        f"stage 2 {helps}: {whole.helped} helped, {whole.harmed} harmed of {whole.queries} "
        f"({show(whole.delta, '+.4f')} nDCG@10, {whole.seconds:.1f} s a query)."
    )


def show(interval: Interval, form: str = ".3f") -> str:
    """0.5 [0.4, 0.6]."""
    low, high = format(interval.low, form), format(interval.high, form)
    return f"{format(interval.estimate, form)} [{low}, {high}]"


def _table(title: str, columns: Sequence[str], rows: Sequence[str], note: str = "") -> list[str]:
    if not rows:
        return [f"## {title}", "", "Not measured in this run."]
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return [f"## {title}", "", *([note, ""] if note else []), *head, *rows]
