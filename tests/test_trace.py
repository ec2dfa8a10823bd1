"""A trace comes back from JSON as it was, and one that was tampered with does not come back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reranker.trace
from reranker.errors import TraceError
from reranker.trace import compare_traces, dump_trace, load_trace, read_trace
from reranker.types import (
    Defect,
    Evidence,
    Generation,
    Hit,
    Justification,
    Passage,
    PassageScore,
    Query,
    RankingTrace,
    RankSettings,
    SentenceScore,
    ShuffledReading,
    StageTiming,
    StudentInfo,
    TermWeight,
    Window,
    WindowReading,
)

TEXT = "Tides follow the moon. “Spring” tides — the highest — come twice a month. \U0001f30a"


def make_trace() -> RankingTrace:
    """A ranking of three passages in two windows with something in every field."""
    passages = [
        Passage(doc_id="a", text=TEXT, title="Tides"),
        Passage(doc_id="b", text="Echoes return [3] > [1].\nFinal Reranking: [2]"),
        Passage(doc_id="c/ü", text="Nothing here."),
    ]
    scores = [1 / 3, -2.5e-17, 7.25]
    quote = Evidence(start=0, end=22, text="Tides follow the moon.")
    note = Justification(doc_id="a", verdict="answers", text="It says so.", evidence=(quote,))
    lower = WindowReading(
        index=0,
        window=Window(start=1, end=3),
        doc_ids=("a", "b"),
        permutation=(0, 1),
        justifications=(
            note,
            Justification(doc_id="b", verdict=None, text="No note.", source="fallback"),
        ),
        generations=(
            Generation(
                purpose="note",
                prompt_sha256="0" * 64,
                prompt_tokens=40,
                text="<|first|><|answers|>It says so.",
                tokens=7,
                doc_id="a",
                stopped_by="length",
            ),
        ),
        defects=(Defect(kind="wrong_format", detail="x", window_index=0, doc_id="b"),),
        seconds=0.125,
    )
    upper = WindowReading(
        index=1,
        window=Window(start=0, end=2),
        doc_ids=("c/ü", "a"),
        permutation=(1, 0),
        justifications=(Justification(doc_id="c/ü", verdict="off_topic", text="No."),),
        generations=(),
    )
    return RankingTrace(
        query=Query(query_id="q", text="why do tides ‘rise’?"),
        corpus_id="demo",
        corpus_sha256="f" * 64,
        settings=RankSettings(depth=3, mode="rank_first", final="blend", window_size=2, stride=1),
        student=StudentInfo(name="mini", quantization="nf4", device="cpu", memory_bytes=123),
        hits=tuple(
            Hit(
                passage=passage,
                rank=rank,
                bm25_score=None if rank == 3 else 4.5 / rank,
                terms=(TermWeight(term="tides", weight=0.1), TermWeight(term="rise", weight=0.2)),
            )
            for rank, passage in enumerate(passages, start=1)
        ),
        stage1=tuple(
            PassageScore(
                doc_id=passage.doc_id,
                score=score,
                passage_tokens=9,
                truncated=score > 1,
                sentences=(SentenceScore(start=0, end=7, score=score / 2),),
            )
            for passage, score in zip(passages, scores, strict=True)
        ),
        readings=(lower, upper),
        final_order=("a", "c/ü", "b"),
        final_source="blend",
        shuffled=(
            ShuffledReading(shown=("a", "b"), given=("b", "a"), seconds=0.25),
            ShuffledReading(shown=("b", "a"), given=("b", "a"), seconds=0.25),
        ),
        timings=(StageTiming(stage="bm25", seconds=0.5), StageTiming(stage="stage2", seconds=2.0)),
        complete=True,
        error="",
        created="2026-11-23T17:00:00+00:00",
        versions={"torch": "2.13.0"},
    )


TRACE = make_trace()


def tamper(change: Callable[[dict[str, Any]], object]) -> str:
    data = json.loads(dump_trace(TRACE))
    change(data)
    return json.dumps(data)


def test_a_trace_comes_back_equal() -> None:
    text = dump_trace(TRACE)
    assert read_trace(text) == TRACE
    assert read_trace(text.encode()) == TRACE
    assert dump_trace(read_trace(text)) == text


def test_every_field_of_a_trace_is_in_its_json() -> None:
    assert set(json.loads(dump_trace(TRACE))) == {field.name for field in fields(RankingTrace)}


@given(
    st.text(max_size=30),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
    st.permutations(["a", "b", "c/ü"]),
)
def test_any_text_score_and_order_comes_back(text: str, scores: list[float], order: Any) -> None:
    trace = replace(
        TRACE,
        query=Query(query_id=text, text=text),
        stage1=tuple(
            replace(old, score=score) for old, score in zip(TRACE.stage1, scores, strict=True)
        ),
        readings=(),  # other scores would have given stage 2 other windows
        final_order=tuple(order),
        error=text,
    )
    assert read_trace(dump_trace(trace)) == trace


def test_a_trace_without_stages_comes_back_equal() -> None:
    bare = replace(
        TRACE,
        stage1=(),
        readings=(),
        shuffled=(),
        complete=False,
        final_order=TRACE.bm25_order,
        final_source="bm25",
    )
    assert read_trace(dump_trace(bare)) == bare
    empty = replace(bare, hits=(), final_order=())
    assert read_trace(dump_trace(empty)) == empty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"a": 1}',
        '{"hits": []}',
        "[" * 100_000,
        b"\xff\xfe",
        b"\x00",
        dump_trace(TRACE)[:-20],
        '"\\ud800"',
    ],
)
def test_foreign_files_are_refused(text: str | bytes) -> None:
    with pytest.raises(TraceError, match="expected a trace saved by DeAR Studio, got"):
        read_trace(text, "mine.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(extra=1), "at extra"),
        (lambda t: t["hits"][0]["passage"].update(note=1), "at hits.0.passage.note"),
        (lambda t: t.update(format="dear-trace/2"), "at format"),
        (lambda t: t["hits"].pop(), "every hit once"),
        (lambda t: t["hits"].append(t["hits"][0]), "each hit once"),
        (lambda t: t["final_order"].pop(), "every hit once"),
        (lambda t: t["final_order"].append("a"), "every hit once"),
        (lambda t: t.update(final_order=[]), "every hit once"),
        (lambda t: t["final_order"].__setitem__(0, "z"), "every hit once"),
        (lambda t: t["stage1"].pop(), "one stage-1 score for every hit"),
        (lambda t: t["stage1"][0].update(doc_id="z"), "one stage-1 score for every hit"),
        (lambda t: t["stage1"][0].update(score=None), "at stage1.0.score"),
        (lambda t: t["readings"][0]["doc_ids"].__setitem__(0, "z"), "a window of 2 hits"),
        (lambda t: t["readings"][0].update(doc_ids=["a", "a"]), "a window of 2 hits"),
        (lambda t: t["readings"][0].update(permutation=[0, 0]), "a permutation"),
        (lambda t: t["readings"][0].update(permutation=[0, 7]), "a permutation"),
        (lambda t: note(t).update(doc_id="c/ü"), "justifications of the window's hits"),
        (lambda t: quote(t).update(text="Tides follow the sun.."), "says otherwise"),
        (lambda t: quote(t).update(start=1), "says otherwise"),
        (lambda t: quote(t).update(start=-1, end=0, text=""), "says otherwise"),
        (lambda t: t["hits"][0]["passage"].update(text="Other text."), "says otherwise"),
        (lambda t: t["hits"][0].update(rank=0), "rising rank"),
        (lambda t: t["hits"][1].update(rank=1), "rising rank"),
        (lambda t: t["hits"].reverse(), "rising rank"),
        (lambda t: t["stage1"][0].update(score=float("nan")), "finite"),
        (lambda t: t["stage1"][0].update(nearness=[float("nan")]), "finite"),
        (
            lambda t: t["stage1"][0].update(feedback={"score": float("inf"), "nearness": 0.5}),
            "finite",
        ),
        (lambda t: t["hits"][0].update(bm25_score=float("inf")), "finite"),
        (lambda t: t["hits"][0]["terms"][0].update(weight=float("-inf")), "finite"),
        (lambda t: t["readings"][0]["window"].update(start=2, end=4), "window 1 to hold"),
        (lambda t: t["readings"][0]["window"].update(start=-3, end=-1), "window 1 to hold"),
        (lambda t: t["readings"][1].update(doc_ids=["c/ü", "b"]), "window 2 to hold"),
        (lambda t: t.update(final_source="stage1"), "the order of 'stage1'"),
        (lambda t: t.update(final_source="agreed"), "the order of 'agreed'"),
        (lambda t: t.update(final_source="agreed", shuffled=[]), "shuffled readings an agreed"),
        (lambda t: t.update(shuffled=t["shuffled"] * 26), "at most 50 shuffled readings"),
        (lambda t: t["shuffled"][0].update(shown=["a", "z"]), "shuffled readings of the hits"),
        (lambda t: t["shuffled"][0].update(shown=["a", "a"]), "shuffled readings of the hits"),
        (lambda t: t["shuffled"][1].update(given=["b", "b"]), "hold the same hits once"),
        (lambda t: t["shuffled"][1].update(given=["b"]), "hold the same hits once"),
        (lambda t: t["shuffled"][0].update(seconds=float("nan")), "finite"),
        (lambda t: t.update(final_source="bm25"), "the order of 'bm25'"),
        (lambda t: t.update(final_source="stage2", final_order=["b", "a", "c/ü"]), "of 'stage2'"),
    ],
)
def test_a_tampered_trace_is_refused(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(TraceError, match=message) as caught:
        read_trace(tamper(change), "mine.json")
    assert str(caught.value).startswith("mine.json: expected")
    assert "use the file as it was downloaded" in str(caught.value)


def note(data: dict[str, Any]) -> dict[str, Any]:
    """The first justification: an earlier window's, which no card shows."""
    justification: dict[str, Any] = data["readings"][0]["justifications"][0]
    return justification


def quote(data: dict[str, Any]) -> dict[str, Any]:
    evidence: dict[str, Any] = note(data)["evidence"][0]
    return evidence


def test_a_huge_file_is_refused_before_it_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as out:
        out.truncate(reranker.trace.MAX_TRACE_BYTES + 1)
    with pytest.raises(TraceError, match="at most 64 MB, got more"):
        load_trace(file)
    monkeypatch.setattr(reranker.trace, "MAX_TRACE_BYTES", 100)
    with pytest.raises(TraceError, match="got more"):
        read_trace(dump_trace(TRACE))


def test_a_file_is_loaded_and_a_missing_one_named(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text(dump_trace(TRACE), encoding="utf-8")
    assert load_trace(file) == TRACE
    with pytest.raises(TraceError, match="absent.json: expected a trace file, got No such file"):
        load_trace(tmp_path / "absent.json")
    with pytest.raises(TraceError, match="expected a trace file"):
        load_trace(tmp_path)


def test_a_trace_ranks_like_itself() -> None:
    comparison = compare_traces(TRACE, TRACE)
    assert comparison.identical
    assert comparison.moved == ()
    assert comparison.notes == ()


def test_every_moved_passage_is_named() -> None:
    comparison = compare_traces(TRACE, replace(TRACE, final_order=("a", "b", "c/ü")))
    assert not comparison.identical
    assert comparison.moved == (("c/ü", 2, 3), ("b", 3, 2))


def test_a_passage_that_is_gone_or_new_is_a_difference() -> None:
    shorter = replace(TRACE, final_order=("a", "c/ü"))
    assert compare_traces(TRACE, shorter).moved == (("b", 3, None),)
    assert not compare_traces(TRACE, shorter).identical
    assert not compare_traces(shorter, TRACE).identical


def test_other_weights_versions_and_texts_are_noted() -> None:
    student = replace(
        TRACE.student, quantization="bf16", stage2_base="other", stage1_adapter_sha256="ab"
    )
    reading = TRACE.readings[0]
    said = replace(reading, generations=(replace(reading.generations[0], text="Other."),))
    new = replace(
        TRACE,
        student=student,
        versions={"torch": "2.14.0", "peft": "0.22"},
        readings=(said, TRACE.readings[1]),
    )
    comparison = compare_traces(TRACE, new)
    assert comparison.identical, "ranks decide, not weights"
    assert set(comparison.notes) == {
        "quantization: nf4 then, bf16 now",
        "stage2_base: none then, other now",
        "stage1_adapter_sha256: none then, ab now",
        "peft: none then, 0.22 now",
        "torch: 2.13.0 then, 2.14.0 now",
        "the generated text differs",
    }
