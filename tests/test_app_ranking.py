"""A ranking as a stream of views: what is shown when, and what stays when it ends early."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from app.library import Library, Shelf, Source
from app.messages import NO_QUERY, NOTHING_FOUND
from app.rank.ranking import MAX_QUERY_CHARS, RankJob, RankView, stream_views, update_view
from reranker.corpora import make_corpus, parse_pasted
from reranker.errors import InputError, StudentError
from reranker.progress import StageProgress, TextDelta
from reranker.retrieval import build_retriever
from reranker.types import Passage, RankSettings
from tests.fake_student import FakeReader, FakeStudent, make_profile

TEXTS = (
    "Soap carries grease away from a plate with water, in very many small drops of fat.",
    "Soap operas are named after soap.",
    "A plate of soup.",
    "Tectonic plates drift.",
)


@pytest.fixture
def source() -> Source:
    passages = [Passage(doc_id=f"d{n}", text=text) for n, text in enumerate(TEXTS)]
    corpus = make_corpus(passages, corpus_id="tiny")
    return Source(key="tiny", corpus=corpus, retriever=build_retriever(corpus))


def make_job(source: Source, query: str = "soap on a plate", **settings: object) -> RankJob:
    return RankJob(
        query=query,
        source=source,
        student="mini",
        quantization="nf4",
        settings=RankSettings(**settings),  # type: ignore[arg-type]
    )


def make_library(student: FakeStudent | None = None) -> Library:
    return Library(load_student=lambda name, quantization: student or FakeStudent())  # type: ignore[arg-type,return-value]


def run(job: RankJob, student: FakeStudent | None = None) -> list[RankView]:
    return list(stream_views(make_library(student), job, lambda: False))


def test_bm25_shows_first_then_stage_1_then_text_then_the_final_order(source: Source) -> None:
    views = run(make_job(source), FakeStudent(reader=FakeReader(pace=0.03)))
    assert views[0].trace.final_order == views[0].trace.bm25_order
    assert not views[0].trace.stage1 and views[0].changed == "order"
    orders = [view for view in views if view.changed == "order"]
    assert [bool(v.trace.stage1) for v in orders[:2]] == [False, True]
    assert any(view.live and view.changed == "text" for view in views)
    last = views[-1]
    assert last.over and last.trace.complete and not last.live and last.message.tone == "done"
    assert sorted(last.trace.final_order) == sorted(last.trace.bm25_order)
    assert not any(view.over for view in views[:-1])


def test_a_stage_that_fails_leaves_what_came_before(source: Source) -> None:
    reader = FakeReader(failure=StudentError("expected weights, got none; train them"))
    last = run(make_job(source), FakeStudent(reader=reader))[-1]
    assert last.over and last.message.tone == "error"
    assert last.trace.final_order == last.trace.stage1_order and last.trace.stage1
    assert "Stage 1's order is shown." in last.message.text
    assert "expected weights" in last.trace.error and not last.trace.complete


def test_a_student_that_cannot_load_leaves_bm25s_order(source: Source) -> None:
    def fail(name: str, quantization: str) -> FakeStudent:
        raise StudentError("expected a base, got none; install it")

    library = Library(load_student=fail)  # type: ignore[arg-type]
    last = list(stream_views(library, make_job(source), lambda: False))[-1]
    assert last.trace.final_order == last.trace.bm25_order
    assert last.message.text.endswith("The order before stage 1 is shown.")


def test_stop_waits_neither_for_a_warm_up_nor_for_weights(source: Source) -> None:
    student, loaded = FakeStudent(), threading.Event()

    def load(name: str, quantization: str) -> FakeStudent:
        assert loaded.wait(60)
        return student

    library = Library(load_student=load)  # type: ignore[arg-type]
    library.warm_up()
    views = list(stream_views(library, make_job(source), lambda: True))
    assert views[-1].message.text == "Stopped. The order before stage 1 is shown."
    assert not library.warmed.is_set(), "what loads, loads on"
    loaded.set()
    assert library.warmed.wait(60)
    stopped = threading.Event()
    with student.lock:  # as while another ranking has its weights loaded
        stream = stream_views(library, make_job(source), stopped.is_set)
        next(stream)
        stopped.set()
        assert list(stream)[-1].message.tone == "stopped"
    assert list(stream_views(library, make_job(source), lambda: False))[-1].trace.complete


def test_a_fault_of_the_program_ends_the_run_with_a_message(source: Source) -> None:
    student = FakeStudent(reader=FakeReader(failure=ValueError("/secret")))
    last = run(make_job(source), student)[-1]
    assert last.over and "/secret" not in last.message.text + last.trace.error


def test_stop_ends_a_run_and_keeps_stage_1(source: Source) -> None:
    reader = FakeReader(hold=True)
    library = make_library(FakeStudent(reader=reader))
    last = list(stream_views(library, make_job(source), reader.holding.is_set))[-1]
    assert last.over and last.message.tone == "stopped"
    assert last.trace.stage1 and last.trace.final_order == last.trace.stage1_order


def test_leaving_early_lets_the_student_go(source: Source) -> None:
    reader = FakeReader(hold=True)
    student = FakeStudent(reader=reader)
    views = stream_views(make_library(student), make_job(source), lambda: False)
    next(view for view in views if view.trace.stage1)
    assert reader.holding.wait(30)
    views.close()  # type: ignore[attr-defined]
    taken: list[bool] = []

    def take() -> None:
        taken.append(student.lock.acquire(timeout=10))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert taken == [True]


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused(source: Source, query: str) -> None:
    with pytest.raises(InputError, match=NO_QUERY[:10]):
        run(make_job(source, query))


def test_a_query_is_as_long_as_the_pipeline_allows(source: Source) -> None:
    with pytest.raises(InputError, match="too long"):
        run(make_job(source, "soap " * MAX_QUERY_CHARS))


def test_words_that_no_passage_holds_are_said(source: Source) -> None:
    with pytest.raises(InputError, match=NOTHING_FOUND[:20]):
        run(make_job(source, "xylophone"))


def test_a_pasted_list_is_ranked_whole_and_without_retrieval() -> None:
    corpus = parse_pasted("\n".join(f"passage number {n}" for n in range(30)))
    job = make_job(Source(key="pasted:1", corpus=corpus, retriever=None), "xylophone", depth=5)
    views = run(job)
    assert len(views[0].trace.hits) == len(views[-1].trace.final_order) == 30
    assert views[-1].trace.complete and views[-1].trace.hits[0].bm25_score is None


def test_text_is_gathered_by_passage_and_progress_leaves_it_alone(source: Source) -> None:
    view = run(make_job(source, stages="none"))[0]
    for doc_id, text in (("d0", "So"), ("d1", "Op"), ("d0", "ap")):
        delta = TextDelta(window_index=0, doc_id=doc_id, purpose="note", text=text)
        view = update_view(view, delta)
    assert view.live == {"d0": "Soap", "d1": "Op"} and view.changed == "text"
    later = update_view(view, StageProgress(stage="stage2", done=0, total=1))
    assert later.live == view.live and later.changed == "status"


def test_the_window_being_read_is_known_and_forgotten_when_it_is_read(source: Source) -> None:
    profile = make_profile()
    assert profile.stage2 is not None
    narrow = replace(profile, stage2=replace(profile.stage2, window_size=2, stride=1))
    views = run(make_job(source), FakeStudent(profile=narrow))
    order = next(view.trace.stage1_order for view in views if view.trace.stage1)
    seen = [view.reading for view in views if view.reading]
    windows = list(dict.fromkeys(seen))
    assert windows[0] == order[-2:] and len(windows) == len(order) - 1
    finished = [view for view in views if view.trace.readings]
    assert windows[1] == finished[0].trace.final_order[-3:-1]
    assert not views[-1].reading and not views[0].reading


def test_a_run_that_fails_leaves_no_passage_marked(source: Source) -> None:
    reader = FakeReader(failure=StudentError("expected weights, got none"))
    views = run(make_job(source), FakeStudent(reader=reader))
    assert any(view.reading for view in views) and not views[-1].reading


def test_a_shelf_makes_each_thing_once_and_keeps_no_failure() -> None:
    shelf: Shelf[str, int] = Shelf()
    made: list[int] = []
    start = threading.Barrier(4)

    def make() -> int:
        made.append(1)
        return len(made)

    def ask() -> None:
        start.wait()
        shelf.get("a", make)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]

    def fail() -> int:
        raise InputError("no")

    with pytest.raises(InputError):
        shelf.get("b", fail)
    assert shelf.get("b", lambda: 7) == 7


def test_a_shelf_lets_go_of_what_was_used_longest_ago() -> None:
    shelf: Shelf[str, str] = Shelf(2)
    for key in ("a", "b", "a", "c"):
        shelf.get(key, lambda key=key: key)  # type: ignore[misc]
    assert shelf.get("a", lambda: "again") == "a"
    assert shelf.get("b", lambda: "again") == "again"


def test_warming_up_tells_what_failed() -> None:
    library = Library(load_student=lambda name, quantization: FakeStudent())  # type: ignore[arg-type,return-value]
    library.warm_up()
    assert library.warmed.wait(60) and library.warm_error is None

    def fail(name: str, quantization: str) -> FakeStudent:
        raise StudentError("expected a base, got none; install it")

    broken = Library(load_student=fail)  # type: ignore[arg-type]
    broken.warm_up()
    assert broken.warmed.wait(60) and broken.warm_error is not None


def test_an_unknown_student_is_refused_at_once() -> None:
    with pytest.raises(StudentError):
        Library(student="no such student")


def test_settings_reach_the_trace(source: Source) -> None:
    job = make_job(source, stages="1", depth=2)
    last = run(job)[-1]
    assert len(last.trace.final_order) == 2 and not last.trace.readings
    assert replace(last.trace.settings, depth=20) == RankSettings(stages="1")


def test_a_student_is_loaded_when_the_model_libraries_are_there_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request right after the start meets the warm-up, which imports them in another thread."""
    steps: list[str] = []
    library = Library(load_student=lambda name, quantization: steps.append("load") or FakeStudent())  # type: ignore[arg-type,return-value,func-returns-value]
    whole = library.import_pipeline
    monkeypatch.setattr(library, "import_pipeline", lambda: steps.append("import") or whole())
    library.open_student("mini", "nf4")
    assert steps == ["import", "load"]
