"""Errors as a person reads them: what the core says on purpose, and nothing of what it does not."""

from __future__ import annotations

import logging

import pytest

from app.messages import (
    capitalize,
    count,
    describe_progress,
    describe_result,
    explain_error,
)
from reranker.errors import (
    CancelledError,
    DearError,
    InputError,
    QuantizationError,
    StudentError,
    TraceError,
)
from reranker.progress import StageProgress
from tests.test_app_html import make_trace


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            InputError("expected a query, got none; type one"),
            "Expected a query, got none; type one.",
        ),
        (
            InputError("expected text, got none", where="a.csv:3"),
            "a.csv:3: expected text, got none.",
        ),
        (StudentError("no stage 2."), "The student cannot be used: no stage 2."),
        (QuantizationError("use bf16"), "This quantisation does not work here: use bf16."),
        (TraceError("broken"), "The trace cannot be used: broken."),
        (DearError("something"), "Something."),
    ],
)
def test_an_error_of_the_core_is_told_in_its_own_words(error: DearError, expected: str) -> None:
    message = explain_error(error)
    assert (message.text, message.tone) == (expected, "error")


def test_what_stays_on_the_page_is_said() -> None:
    message = explain_error(StudentError("no stage 2"), kept="Stage 1's order is shown.")
    assert message.text.endswith("no stage 2. Stage 1's order is shown.")


def test_stopping_is_not_an_error() -> None:
    message = explain_error(CancelledError("stage 2 was stopped"), kept="Stage 1 is shown.")
    assert (message.text, message.tone) == ("Stopped. Stage 1 is shown.", "stopped")


def test_a_fault_of_the_program_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        message = explain_error(ValueError("/home/somebody/secret.txt"))
    assert "secret" not in message.text and "ValueError" in message.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("progress", "part"),
    [
        (None, "BM25 has found"),
        (
            StageProgress(stage="load", done=0, total=1, message="loading stage 1"),
            "Loading stage 1",
        ),
        (StageProgress(stage="stage1", done=40, total=100), "40 of 100 passages"),
        (
            StageProgress(stage="stage2", done=1, total=3, message="reading"),
            "window 2 of 3 (reading)",
        ),
        (StageProgress(stage="bm25", done=0, total=1), "BM25"),
    ],
)
def test_progress_has_numbers(progress: StageProgress | None, part: str) -> None:
    message = describe_progress(progress)
    assert part in message.text and message.tone == "busy"


def test_a_result_says_whether_stage_2_changed_anything() -> None:
    trace = make_trace(["one", "two"])
    told = "Ranked 2 passages in 0.5 s (stage 1 0.50). Stage 2 changed no place."
    assert describe_result(trace).text == told
    moved = make_trace(["one", "two"], final_order=("d1", "d0"))
    assert describe_result(moved).text.endswith("Stage 2 changed 2 of 2 places.")
    alone = make_trace(["one"], readings=(), final_source="stage1")
    assert describe_result(alone).text == "Ranked 1 passage in 0.5 s (stage 1 0.50)."


def test_words() -> None:
    assert capitalize("expected x") == "Expected x"
    assert capitalize("notes.csv:3: expected x") == "notes.csv:3: expected x"
    assert (count(1, "passage"), count(2000, "passage")) == ("1 passage", "2,000 passages")
