"""A ranking for scripts (a contract: names may be added, never changed) and for a terminal."""

from __future__ import annotations

import json
from dataclasses import replace

from reranker.results import WIDTH, describe_ranking, describe_scores, format_ranking
from reranker.types import (
    Defect,
    Evidence,
    Feedback,
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

TEXT = "The moon pulls the sea. It does so twice a day."
HIT_FIELDS = {
    "doc_id",
    "text",
    "bm25_score",
    "score",
    "rank_bm25",
    "rank_stage1",
    "rank",
    "verdict",
    "justification",
    "evidence",
}


def make_trace(*, title: str = "", text: str = TEXT, note: str = "It says so.") -> RankingTrace:
    passages = (Passage(doc_id="a", text="Echoes."), Passage(doc_id="b", text=text, title=title))
    notes = (
        Justification(
            doc_id="b",
            verdict="off_topic",
            text=note,
            evidence=(Evidence(start=0, end=8, text=text[:8]),),
        ),
        Justification(doc_id="a", verdict=None, text="None written.", source="fallback"),
    )
    reading = WindowReading(
        index=3,
        window=Window(start=0, end=2),
        doc_ids=("b", "a"),
        permutation=(0, 1),
        justifications=notes,
        generations=(),
        defects=(Defect(kind="missing", detail="[2] was not ranked", window_index=3, doc_id="a"),),
    )
    return RankingTrace(
        query=Query(query_id="q7", text="why do tides rise"),
        corpus_id="demo",
        corpus_sha256="",
        settings=RankSettings(),
        student=StudentInfo(name="mini", quantization="nf4", device="cpu"),
        hits=tuple(
            Hit(passage=p, rank=rank, bm25_score=s)
            for rank, (p, s) in enumerate(zip(passages, (2.5, None), strict=True), start=1)
        ),
        stage1=(
            PassageScore(doc_id="a", score=-1.256, passage_tokens=3),
            PassageScore(
                doc_id="b",
                score=8.5,
                passage_tokens=9,
                truncated=True,
                nearness=(0.25, 0.5),
                feedback=Feedback(score=9.5, nearness=0.75),
            ),
        ),
        readings=(reading,),
        final_order=("b", "a"),
        final_source="stage2",
        timings=(
            StageTiming(stage="bm25", seconds=0.00123),
            StageTiming(stage="stage2", seconds=2),
        ),
    )


def test_the_scores_alone_come_in_the_order_sent() -> None:
    described = json.loads(json.dumps(describe_scores(make_trace(title="Tides"))))
    assert described["scores"] == [
        {"doc_id": "a", "score": -1.256, "rank": 2, "truncated": False, "passage_tokens": 3,
         "nearness": None, "feedback_score": None, "feedback_nearness": None},
        {"doc_id": "b", "score": 8.5, "rank": 1, "truncated": True, "passage_tokens": 9,
         "nearness": 0.25, "feedback_score": 9.5, "feedback_nearness": 0.75},
    ]  # fmt: skip


def test_the_contract_for_scripts() -> None:
    described = json.loads(json.dumps(describe_ranking(make_trace(title="Tides"))))
    assert described["query"] == "why do tides rise"
    assert described["student"] == "mini"
    assert described["quantization"] == "nf4"
    assert described["defects"] == [
        {"kind": "missing", "detail": "[2] was not ranked", "window": 3, "doc_id": "a"}
    ]
    assert described["timings"] == {"bm25": 0.0012, "stage2": 2}
    first, second = described["hits"]
    assert set(first) >= HIT_FIELDS
    assert {name: first[name] for name in HIT_FIELDS} == {
        "doc_id": "b",
        "text": TEXT,
        "bm25_score": None,
        "score": 8.5,
        "rank_bm25": 2,
        "rank_stage1": 1,
        "rank": 1,
        "verdict": "off_topic",
        "justification": "It says so.",
        "evidence": [{"start": 0, "end": 8, "text": "The moon"}],
    }
    assert (first["title"], first["truncated"]) == ("Tides", True)
    assert (second["verdict"], second["justification_source"]) == (None, "fallback")


def test_what_has_not_run_is_null_not_absent() -> None:
    trace = replace(make_trace(), stage1=(), readings=(), final_order=("a", "b"))
    hit = describe_ranking(trace)["hits"][0]
    assert set(hit) >= HIT_FIELDS
    assert [hit[name] for name in ("score", "rank_stage1", "verdict", "justification")] == [
        None
    ] * 4
    assert hit["evidence"] == []


def test_text_shows_history_verdict_reason_and_quote() -> None:
    text = format_ranking(make_trace(title="Tides"))
    assert text.splitlines() == [
        "why do tides rise",
        "mini, nf4; bm25 0.00 s, stage2 2.00 s; stage 2 changed 0 of 2 places",
        "",
        "  1. Tides (b)  ranks 2 > 1 > 1  logit 8.50",
        "     off topic: It says so.",
        "   | “The moon”",
        "  2. Echoes. (a)  ranks 1 > 2 > 2  logit -1.26",
        "     [not the student's words] no verdict: None written.",
        "defect: missing a [2] was not ranked",
    ]


def test_text_says_when_stage_2_did_not_run_or_nothing_was_found() -> None:
    trace = replace(make_trace(), readings=())
    assert "stage 2 did not run" in format_ranking(trace)
    empty = replace(trace, hits=(), stage1=(), final_order=())
    assert "No passage" in format_ranking(empty)


def test_long_and_hostile_text_stays_in_its_lines() -> None:
    hostile = "\x1b[2Jclear\nscreen \u202e" + "word " * 200
    text = format_ranking(make_trace(text=hostile, note=hostile))
    assert text.replace("\n", "").isprintable()
    assert max(map(len, text.splitlines())) <= WIDTH + 10
