"""What a trace says of itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from reranker.types import (
    Defect,
    Hit,
    Justification,
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


def make_trace(doc_ids: str = "abcd", scores: tuple[float, ...] = ()) -> RankingTrace:
    hits = tuple(
        Hit(passage=Passage(doc_id=d, text=f"text of {d}"), rank=rank, bm25_score=10.0 - rank)
        for rank, d in enumerate(doc_ids, start=1)
    )
    return RankingTrace(
        query=Query(query_id="q", text="query"),
        corpus_id="",
        corpus_sha256="",
        settings=RankSettings(),
        student=StudentInfo(name="s", quantization="fp32", device="cpu"),
        hits=hits,
        stage1=tuple(
            PassageScore(doc_id=d, score=score, passage_tokens=3, truncated=d == "b")
            for d, score in zip(doc_ids, scores, strict=bool(scores))
        ),
    )


def read(*notes: Justification, defects: tuple[Defect, ...] = ()) -> WindowReading:
    return WindowReading(
        index=0,
        window=Window(start=0, end=4),
        doc_ids=("a", "b", "c", "d"),
        permutation=(3, 0, 1, 2),
        justifications=notes,
        generations=(),
        defects=defects,
    )


def test_records_are_frozen_and_named_by_keyword() -> None:
    with pytest.raises(FrozenInstanceError):
        make_trace().complete = True  # type: ignore[misc]
    with pytest.raises(TypeError):
        Passage("a", "text")  # type: ignore[misc]


def test_a_window_knows_its_size_and_a_reading_its_order() -> None:
    assert Window(start=5, end=25).size == 20
    assert read().ranked_doc_ids == ("d", "a", "b", "c")


def test_the_stage_1_order_falls_by_score() -> None:
    assert make_trace(scores=(0.5, 2.0, -1.0, 1.0)).stage1_order == tuple("bdac")


def test_ties_keep_the_order_of_the_first_stage() -> None:
    assert make_trace("dbca", (1.0, 1.0, 2.0, 1.0)).stage1_order == tuple("cdba")
    trace = make_trace("dbca", (1.0, 1.0, 1.0, 1.0))
    shuffled = replace(trace, stage1=trace.stage1[::-1])
    assert shuffled.stage1_order == tuple("dbca")


def test_before_stage_1_there_is_no_stage_1_order() -> None:
    trace = make_trace()
    assert trace.stage1_order == ()
    assert [hit.rank_stage1 for hit in trace.ranked_hits()] == [None] * 4
    assert [hit.score for hit in trace.ranked_hits()] == [None] * 4


def test_ranked_hits_join_all_that_is_known() -> None:
    note = Justification(doc_id="d", verdict="answers", text="It does.")
    trace = make_trace(scores=(0.5, 2.0, -1.0, 1.0)).with_stage(
        readings=(read(note),), final_order=("d", "b", "a", "c"), final_source="stage2"
    )
    first, second, third, fourth = trace.ranked_hits()
    assert (first.passage.doc_id, first.rank, first.rank_stage1, first.rank_bm25) == ("d", 1, 2, 4)
    assert (first.score, first.bm25_score, first.justification) == (1.0, 6.0, note)
    assert (second.passage.doc_id, second.rank_stage1, second.truncated) == ("b", 1, True)
    assert (third.passage.doc_id, third.rank_stage1, third.truncated) == ("a", 3, False)
    assert (fourth.rank, fourth.rank_stage1, fourth.justification) == (4, 4, None)


def test_without_a_final_order_hits_stand_as_they_were_found() -> None:
    assert [hit.passage.doc_id for hit in make_trace().ranked_hits()] == list("abcd")


def test_stage_2_changes_count_places_that_differ_from_stage_1() -> None:
    trace = make_trace(scores=(4.0, 3.0, 2.0, 1.0)).with_stage(readings=(read(),))
    assert trace.with_stage(final_order=tuple("abcd")).stage2_changes == 0
    assert trace.with_stage(final_order=tuple("abdc")).stage2_changes == 2
    assert trace.with_stage(final_order=tuple("dabc")).stage2_changes == 4


def test_stage_2_changes_are_counted_from_bm25_where_stage_1_did_not_run() -> None:
    trace = make_trace().with_stage(readings=(read(),), final_order=tuple("bacd"))
    assert trace.stage2_changes == 2


def test_without_a_reading_stage_2_changed_nothing() -> None:
    trace = make_trace(scores=(1.0, 2.0, 3.0, 4.0)).with_stage(final_order=tuple("abcd"))
    assert trace.stage2_changes == 0


def test_the_latest_justification_of_a_passage_counts() -> None:
    early = Justification(doc_id="a", verdict="related", text="At first.")
    late = Justification(doc_id="a", verdict="answers", text="On second reading.")
    other = Justification(doc_id="b", verdict=None, text="Once.")
    trace = make_trace().with_stage(readings=(read(early, other), read(late)))
    assert trace.justifications == {"a": late, "b": other}


def test_defects_of_all_windows_are_listed_in_order() -> None:
    first = Defect(kind="missing", detail="1", window_index=0)
    second = Defect(kind="repetition", detail="2", window_index=1)
    trace = make_trace().with_stage(readings=(read(defects=(first,)), read(defects=(second,))))
    assert trace.defects == (first, second)


def test_a_stage_adds_and_leaves_the_earlier_trace_alone() -> None:
    before = make_trace()
    timing = StageTiming(stage="stage1", seconds=1.0)
    after = before.with_stage(timings=(*before.timings, timing), complete=True)
    assert (before.timings, before.complete) == ((), False)
    assert (after.timings, after.complete) == ((timing,), True)
    assert after.hits is before.hits
