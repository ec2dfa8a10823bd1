"""Loans of a GPU, with a stand-in for the package that only ZeroGPU Spaces have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.zerogpu import MAX_SECONDS, START_SECONDS, estimate_seconds, is_zerogpu, lend_gpu
from reranker.config import load_profile
from reranker.types import RankSettings

ROOT = Path(__file__).resolve().parent.parent
SETUP = """
import os, spaces
from app import library as library_module
from app.library import Library
from reranker.corpora import list_hits
from reranker.errors import CancelledError, DearError, StudentError
from reranker.request import RankRequest
from reranker.progress import TraceUpdate
from reranker.types import Passage, Query, RankSettings
from tests.fake_student import FakeReader, FakeStudent, make_profile

library_module.load_profile = lambda name: make_profile()
student = FakeStudent()
loaded_in = []
def load(name, quantization):
    loaded_in.append(os.getpid())
    return student
library = Library(load_student=load)
library.warm_up()
hits = list_hits([Passage(doc_id=d, text=t) for d, t in
                  (("moon", "The moon has no air."), ("soap", "Soap binds water and fat."))])
request = RankRequest(query=Query(query_id="q", text="soap water"), hits=hits)
def stream(cancelled=lambda: False):
    return library.stream_rank("mini", "nf4", request, RankSettings(), cancelled)
"""  # noqa: E501


def run_on_zerogpu(code: str) -> list[str]:
    """The lines a fresh interpreter prints that finds itself on such a Space."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "standins")])
    environment = {**os.environ, "PYTHONPATH": path, "SPACES_ZERO_GPU": "true"}
    ended = subprocess.run(
        [sys.executable, "-c", SETUP + code],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_nothing_is_lent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(until: int):  # type: ignore[no-untyped-def]
        yield from range(until)

    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert not is_zerogpu()
    assert lend_gpu(count, lambda until: 1.0) is count
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert not is_zerogpu(), "the variable alone is not enough without the package"


def test_a_ranking_crosses_into_the_lent_process_and_back_whole() -> None:
    lines = run_on_zerogpu(
        "print(library.borrows_gpu, library.warmed.is_set(), loaded_in == [os.getpid()])\n"
        "events = list(stream())\n"
        "print(events[-1].trace.final_order, events[-1].trace.complete, len(spaces.lent))\n"
        "print(len(loaded_in), library.pace.seconds > 0)\n"
    )
    assert lines == ["True True True", "('soap', 'moon') True 1", "1 True"]


def test_errors_come_back_as_what_they_were() -> None:
    lines = run_on_zerogpu(
        "def catch():\n"
        "    try: list(stream())\n"
        "    except DearError as error: print(type(error).__name__, '|', error)\n"
        "student.reader = FakeReader(failure=StudentError('expected weights, got none'))\n"
        "catch()\n"
        "student.reader = FakeReader(failure=ZeroDivisionError('a secret'))\n"
        "catch()\n"
        "spaces.refuse = 'You have exceeded your quota.'\n"
        "catch()\n"
    )
    refused = "StudentError | expected a GPU from this Space, got none ({}); try again later"
    assert lines == [
        "StudentError | expected weights, got none",
        refused.format("ZeroDivisionError"),
        refused.format("You have exceeded your quota"),
    ]


def test_stop_reaches_the_lent_process() -> None:
    lines = run_on_zerogpu(
        "student.reader = FakeReader(pace=0.01)\n"
        "seen = []\n"
        "try:\n"
        "    for event in stream(lambda: len(seen) > 3): seen.append(event)\n"
        "except CancelledError as error: print(error)\n"
        "print(len(seen), any(e.trace.complete for e in seen if isinstance(e, TraceUpdate)))\n"
    )
    assert lines == ["the work was stopped", "4 False"]


def test_a_loan_grows_with_the_work_up_to_a_limit() -> None:
    mini, large = load_profile("mini"), load_profile("dear-8b")
    none = estimate_seconds(mini, RankSettings(stages="none"), 100)
    one = estimate_seconds(mini, RankSettings(stages="1"), 20)
    both = estimate_seconds(mini, RankSettings(), 20)
    assert START_SECONDS == none < one < both < estimate_seconds(mini, RankSettings(), 40)
    few = estimate_seconds(mini, RankSettings(stage2_depth=20), 40)
    assert both < few < estimate_seconds(mini, RankSettings(), 40)
    assert estimate_seconds(large, RankSettings(depth=100), 100) == MAX_SECONDS
    assert estimate_seconds(load_profile("mini"), RankSettings(window_size=5), 20) > both
