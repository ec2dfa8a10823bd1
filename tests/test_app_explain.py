"""The Explain tab without a browser: what is rendered is escaped, and says what was found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.explain.events import KEPT_RESULT, ExplainEvents, ExplainScreen
from app.explain.figures import draw_heat, draw_intervals, draw_places
from app.explain.html import (
    render_attribution,
    render_cost,
    render_counterfactual,
    render_flip,
    render_subject,
)
from app.explain.html_trust import render_faithfulness, render_red_team, render_stability
from app.explain.subject import Subject, SubjectEvents
from app.library import Library
from app.rank.events import SKIP, RankEvents
from app.session import Sessions
from reranker.explain.analyses import ResultShelf, estimate_request, hash_request
from reranker.explain.attribution import AttributionRequest, HeatMap, attribute_score
from reranker.explain.counterfactual import EditRequest, try_edit
from reranker.explain.edits import Edit
from reranker.explain.faithfulness import FaithfulnessRequest, check_faithfulness
from reranker.explain.flip import FlipRequest, find_flip
from reranker.explain.red_team import RedTeamRequest, try_attacks
from reranker.explain.stability import StabilityRequest, measure_stability
from reranker.explain.tables import dump_result, tabulate_result
from reranker.types import RankingTrace
from tests.explained import WordScorer, make_bench, make_student, make_trace
from tests.test_app_compare import FakeRequest
from tests.test_browser_rank import XSS
from tests.test_stability import CopyingReader

HOSTILE = {f"a{XSS}": f"soap {XSS} and soap", "b": f"soap {XSS} twice. Once <b>more</b>."}
QUERY = f"soap {XSS}"


@pytest.fixture(scope="module")
def hostile():  # type: ignore[no-untyped-def]
    student = make_student(scorer=WordScorer())
    trace = make_trace(student, HOSTILE, query=QUERY)
    return student, trace


def list_results(student, trace):  # type: ignore[no-untyped-def]
    doc_id = f"a{XSS}"
    bench = make_bench(student, trace)
    return {
        "words": attribute_score(bench, AttributionRequest(doc_id=doc_id)),
        "edit": try_edit(bench, EditRequest(edits=(Edit(doc_id=doc_id, text=f"new {XSS}"),))),
        "flip": find_flip(bench, FlipRequest()),
        "stability": measure_stability(bench, StabilityRequest(shuffles=2)),
        "faithfulness": check_faithfulness(bench, FaithfulnessRequest(random_spans=2, reread=1)),
        "attacks": try_attacks(bench, RedTeamRequest(doc_id=doc_id, attacks=("override",))),
    }


def test_nothing_hostile_gets_out_of_any_answer(hostile) -> None:  # type: ignore[no-untyped-def]
    student, trace = hostile
    found = list_results(student, trace)
    shown = [
        render_subject(trace),
        render_attribution(found["words"]),
        render_counterfactual(found["edit"]),
        render_flip(found["flip"]),
        render_stability(found["stability"]),
        render_faithfulness(found["faithfulness"]),
        render_red_team(found["attacks"]),
    ]
    for html in shown:
        assert "<script" not in html and "<img" not in html and "<b>more" not in html
    assert "&lt;script&gt;" in "".join(shown)
    for result in found.values():
        table = tabulate_result(result)
        assert table.rows and all(len(row) == len(table.columns) for row in table.rows)
        json.loads(dump_result(result))


def test_figures_say_what_was_found(hostile) -> None:  # type: ignore[no-untyped-def]
    student, trace = hostile
    steady = measure_stability(make_bench(student, trace), StabilityRequest(shuffles=2))
    assert len(draw_places(steady).data[0].x) == 2
    assert draw_intervals(trace, steady).to_json()
    heat = HeatMap(
        query_tokens=("a",), passage_tokens=("<b>", "c"), spans=((0, 3), (4, 5)),
        cosines=((0.1, 0.9),),
    )  # fmt: skip
    figure = draw_heat(heat)
    assert list(figure.data[1].x) == [1] and "&lt;b&gt;" in figure.data[0].text[0][0]


def test_costs_are_told_and_results_kept_by_what_they_depend_on(hostile) -> None:  # type: ignore[no-untyped-def]
    _, trace = hostile
    asked = StabilityRequest(shuffles=3)
    assert "3 readings of the list by stage 2" in render_cost(estimate_request(trace, asked))
    key = hash_request(trace, asked)
    assert key == hash_request(trace.with_stage(timings=(), created="later"), asked)
    assert key != hash_request(trace, StabilityRequest(shuffles=4))
    assert key != hash_request(trace.with_stage(corpus_id="other"), asked)
    shelf = ResultShelf(limit=1)
    steady = measure_stability(make_bench(*hostile), StabilityRequest(shuffles=2))
    shelf.keep("first", steady)
    shelf.keep("second", steady)
    assert shelf.find("first") is None and shelf.find("second") is steady


class CountedReader(CopyingReader):
    """How often anything was read."""

    reads = 0

    def read(self, view: Any, **options: Any) -> Any:
        CountedReader.reads += 1
        return super().read(view, **options)


@pytest.fixture
def page() -> tuple[RankEvents, RankingTrace]:
    """A page that holds one ranking, by a reader that follows the order it is shown."""
    student = make_student(reader=CountedReader())
    library = Library(load_student=lambda name, quantization: student)
    events = RankEvents(library, Sessions())
    trace = make_trace(student)
    events.sessions.keep_trace("page", trace)
    CountedReader.reads = 0
    return events, trace


def shuffle(events: RankEvents, *numbers: float) -> list[ExplainScreen]:
    request: Any = FakeRequest("page")
    return list(ExplainEvents(events).measure_stability(1, *numbers, request))


def test_asking_twice_computes_once(page: tuple[RankEvents, RankingTrace]) -> None:
    events, _ = page
    first = shuffle(events, 4, 1)[-1]
    assert CountedReader.reads == 4 and "Done in" in first.status
    (again,) = shuffle(events, 4, 1)
    assert CountedReader.reads == 4 and KEPT_RESULT in again.status
    assert again.stability == first.stability
    shuffle(events, 3, 1)  # other settings: another result
    assert CountedReader.reads == 7
    # Results are the page's own: nobody else's question is answered by them.
    events.sessions.keep_trace("other", page[1])
    request: Any = FakeRequest("other")
    list(ExplainEvents(events).measure_stability(1, 4, 1, request))
    assert CountedReader.reads == 11


def test_the_agreed_order_is_adopted_as_a_ranking_of_its_own(
    page: tuple[RankEvents, RankingTrace],
) -> None:
    events, trace = page
    subjects = SubjectEvents(events)
    request: Any = FakeRequest("page")
    told, *parts = subjects.adopt(1, 4, 1, request)
    assert "Shuffle and read again" in told and Subject(*parts) == Subject()
    shuffle(events, 4, 1)
    before = CountedReader.reads
    told, *parts = subjects.adopt(1, 4, 1, request)
    assert CountedReader.reads == before and "5 readings of the list" in told
    chosen = Subject(*parts)
    assert chosen.subject is not SKIP and "agreed over 4 shuffled readings" in chosen.subject
    first, second = events.sessions.history("page").entries
    assert first.trace == trace and second.trace.final_source == "agreed"
    assert second.trace.final_order != trace.final_order and "agreed order" in second.name
    shuffle(events, 4, 2)
    told, *_ = subjects.adopt(1, 4, 2, request)
    assert "one decoding seed" in told
