"""Help, harm and fallback rules on traces whose measures are known by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reranker.config import load_profile
from reranker.errors import InputError
from reranker.explain.benefit import choose_rule, judge_benefit, report_rule, sum_by_kind
from reranker.types import (
    Defect,
    Hit,
    Passage,
    PassageScore,
    Query,
    RankingTrace,
    RankSettings,
    StageTiming,
    StudentInfo,
    Window,
    WindowReading,
)


def make_trace(name: str, permutation: tuple[int, ...], *, repaired: bool = False) -> RankingTrace:
    """Two passages, "good" first by stage 1."""
    ids = ("good", "bad")
    defect = Defect(kind="missing", detail="", window_index=0)
    reading = WindowReading(
        index=0,
        window=Window(start=0, end=2),
        doc_ids=ids,
        permutation=permutation,
        justifications=(),
        generations=(),
        defects=(defect,) if repaired else (),
    )
    return RankingTrace(
        query=Query(query_id=name, text="who made soap" if name < "c" else "why soap"),
        corpus_id="",
        corpus_sha256="",
        settings=RankSettings(),
        student=StudentInfo(name="x", quantization="nf4", device="cpu"),
        hits=tuple(
            Hit(passage=Passage(doc_id=d, text=d), rank=rank) for rank, d in enumerate(ids, start=1)
        ),
        stage1=tuple(
            PassageScore(doc_id=d, score=s, passage_tokens=1)
            for d, s in zip(ids, (2.0, 1.0), strict=True)
        ),
        readings=(reading,),
        timings=(StageTiming(stage="stage2", seconds=3.0),),
    )


MINI = load_profile("mini")
QRELS = {name: {"good": 1, "bad": 0} for name in "abcd"} | {"d": {"good": 0, "bad": 1}}
TRACES = [
    make_trace("a", (1, 0), repaired=True),
    make_trace("b", (0, 1)),
    make_trace("c", (1, 0), repaired=True),
    make_trace("d", (1, 0)),
]


def test_help_harm_and_no_change_are_told_by_kind() -> None:
    benefits = judge_benefit(TRACES, QRELS, MINI)
    assert [b.effect for b in benefits] == ["harm", "same", "harm", "help"]
    assert benefits[0].stage1 == 1.0 and benefits[0].stage2 == pytest.approx(0.63093, abs=1e-5)
    whole, *kinds = sum_by_kind(benefits)
    assert (whole.queries, whole.helped, whole.harmed, whole.seconds) == (4, 1, 2, 3.0)
    assert {k.asks: k.queries for k in kinds} == {"person": 2, "reason": 2}


def test_a_rule_that_separates_harm_from_help_is_found_and_reported_elsewhere() -> None:
    rule = choose_rule(judge_benefit(TRACES, QRELS, MINI))
    assert rule.signal == "defects" and rule.threshold == 0.0 and rule.chosen_on == 1.0
    report = report_rule(rule, judge_benefit(TRACES[:2], QRELS, MINI))
    assert report.ndcg.estimate == 1.0 and report.fallback == 0.5
    assert report.against_stage2.estimate > 0 and report.against_stage1.estimate == 0


def test_the_rule_leaves_stage_2_alone_where_it_only_helps() -> None:
    assert choose_rule(judge_benefit(TRACES[3:], QRELS, MINI)).signal == "never"
    assert choose_rule(judge_benefit(TRACES[:1], QRELS, MINI)).falls_back(
        judge_benefit(TRACES, QRELS, MINI)[0]
    )


def test_rankings_of_one_stage_are_refused() -> None:
    with pytest.raises(InputError, match="by both stages"):
        judge_benefit([TRACES[0].with_stage(readings=())], QRELS, MINI)


def make_long(name: str, permutation: tuple[int, ...], *, repaired: bool) -> RankingTrace:
    """Three passages, scored 3, 2.9 and 0 by stage 1."""
    ids, scores = ("a", "b", "c"), (3.0, 2.9, 0.0)
    short = make_trace(name, (0, 1), repaired=repaired)
    window = Window(start=0, end=3)
    reading = replace(short.readings[0], window=window, doc_ids=ids, permutation=permutation)
    return short.with_stage(
        hits=tuple(
            Hit(passage=Passage(doc_id=d, text=d), rank=rank) for rank, d in enumerate(ids, start=1)
        ),
        stage1=tuple(
            PassageScore(doc_id=d, score=s, passage_tokens=1)
            for d, s in zip(ids, scores, strict=True)
        ),
        readings=(reading,),
    )


def test_a_rule_falls_back_to_a_blend_where_that_is_best() -> None:
    # Stage 2 is right about the two that stage 1 holds for equal, and wrong about the third.
    traces = [
        make_long("x", (2, 1, 0), repaired=True),
        make_long("y", (1, 0, 2), repaired=False),
    ]
    qrels = {name: {"a": 0, "b": 1, "c": 0} for name in "xy"}
    profile = replace(MINI, stage2_weight=0.2)
    doubtful, sure = judge_benefit(traces, qrels, profile)
    assert doubtful.blend == sure.blend == sure.stage2 == 1.0
    assert doubtful.stage1 == doubtful.stage2 == pytest.approx(0.63093, abs=1e-5)
    rule = choose_rule((doubtful, sure))
    assert (rule.signal, rule.refuge, rule.chosen_on) == ("defects", "blend", 1.0)
    assert rule.describe() == "to a blend where repairs of the ranking text > 0.000"
    report = report_rule(rule, [doubtful])
    assert report.ndcg.estimate == 1.0 and report.against_stage1.estimate > 0.3
