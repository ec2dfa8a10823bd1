"""Saved traces, two rankings side by side, and the look into a corpus."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.library import Source
from app.rank import share_events
from app.rank.history import History
from app.rank.html_corpus import SHOWN_CHARS, render_preview
from app.rank.html_share import SIDE_ROWS, list_differences, render_link, render_side_by_side
from app.rank.preview import SHOWN, preview_source
from app.rank.share_events import read_saved
from reranker.corpora import make_corpus, parse_pasted
from reranker.errors import TraceError
from reranker.evaluation.agreement import compare_orders
from reranker.retrieval import build_retriever
from reranker.trace import dump_trace
from reranker.types import Passage, Query, RankingTrace, RankSettings
from tests.test_app_html import XSS, Tags, assert_inert
from tests.test_app_html import make_trace as make_hostile
from tests.test_trace import TRACE


def save(folder: Path, text: str) -> Path:
    path = folder / "mine.json"
    path.write_text(text, encoding="utf-8")
    return path


def render_sides(first: RankingTrace, second: RankingTrace) -> str:
    history = History().add(first).add(second, saved=True)
    one, other = history.entries
    orders = [[hit.passage for hit in e.trace.ranked_hits()] for e in (one, other)]
    return render_side_by_side(one, other, compare_orders(*orders))


def test_a_saved_trace_comes_back_equal(tmp_path: Path) -> None:
    assert read_saved(save(tmp_path, dump_trace(TRACE))) == TRACE


@pytest.mark.parametrize("text", ["", "hello", "{}", "[1]", '{"format": "dear-trace/9"}'])
def test_a_foreign_file_is_named_without_the_server_s_folder(tmp_path: Path, text: str) -> None:
    with pytest.raises(TraceError, match="mine.json: expected a trace saved") as caught:
        read_saved(save(tmp_path, text))
    assert str(tmp_path) not in str(caught.value)


def test_more_than_a_page_can_show_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, dump_trace(TRACE))
    monkeypatch.setattr(share_events, "MAX_HITS", 2)
    with pytest.raises(TraceError, match="at most 2 candidates, got 3"):
        read_saved(path)
    monkeypatch.setattr(share_events, "MAX_HITS", 3)
    monkeypatch.setattr(share_events, "MAX_READINGS", 1)
    with pytest.raises(TraceError, match="at most 1 windows, got 2"):
        read_saved(path)
    monkeypatch.setattr(share_events, "MAX_FILE_BYTES", 100)
    with pytest.raises(TraceError, match="mine.json: expected at most 0 MB"):
        read_saved(path)


def test_a_trace_of_nothing_is_refused(tmp_path: Path) -> None:
    data = json.loads(dump_trace(TRACE))
    data |= {"hits": [], "stage1": [], "readings": [], "shuffled": [], "final_order": []}
    with pytest.raises(TraceError, match="got none"):
        read_saved(save(tmp_path, json.dumps(data)))


def test_side_by_side_says_what_moved_and_what_was_asked_differently() -> None:
    settings = replace(TRACE.settings, mode="reason_first")
    other = replace(TRACE, final_order=("a", "b", "c/ü"), settings=settings)
    shown = render_sides(TRACE, other)
    assert list_differences(TRACE, other) == [("Mode", "rank first", "reason first")]
    for words in ("3 of 3", "to 3", "from 2", "▼ 1", "▲ 1", "same", "saved trace"):
        assert words in shown, words
    assert shown.count('<li><span class="rank">') == 6


def test_the_same_doc_id_in_another_corpus_is_another_passage() -> None:
    hits = [
        replace(hit, passage=replace(hit.passage, text=f"Other: {hit.passage.text}"))
        for hit in TRACE.hits
    ]
    other = replace(TRACE, hits=tuple(hits), corpus_sha256="0" * 64, readings=())
    shown = render_sides(TRACE, other)
    assert shown.count(">gone<") == shown.count(">new<") == 3
    assert "0 of 6" in shown


def test_side_by_side_is_bounded() -> None:
    traces = [make_hostile([f"p{n}" for n in range(SIDE_ROWS + 9)]) for _ in range(2)]
    traces[1] = replace(traces[1], query=Query(query_id="q", text="other"))
    shown = render_sides(*traces)
    assert shown.count('<span class="rank">') == 2 * SIDE_ROWS
    assert "9 more are not shown" in shown


def test_hostile_text_is_inert_side_by_side_in_links_and_in_previews() -> None:
    hostile = make_hostile([XSS, "b"], note=XSS, title=XSS, doc_id=XSS)
    assert_inert(render_sides(hostile, TRACE))
    link = render_link(f'?q="{XSS}')
    assert_inert(link)
    assert ("data-link", f'?q="{XSS}') in Tags(link).attributes
    assert_inert(render_link("", XSS))
    passages = [Passage(doc_id=f"{XSS}{n}", text=XSS, title=XSS) for n in range(3)]
    corpus = make_corpus(passages, corpus_id="hostile")
    source = Source(key="x", corpus=corpus, retriever=build_retriever(corpus))
    assert_inert(render_preview(preview_source(source)))
    assert_inert(render_preview(preview_source(source, XSS)))


def test_a_ranking_without_a_link_says_why() -> None:
    shown = render_link("", "no link leads here: because")
    assert "disabled" in shown and "because." in shown and "data-link" not in shown


def make_source(*, indexed: bool) -> Source:
    if not indexed:
        corpus = parse_pasted("Soap floats.\nPlates break.\nSOAP OPERA")
        return Source(key="pasted:x", corpus=corpus, retriever=None)
    passages = [Passage(doc_id=f"d{n}", text=f"Passage {n} on tides.") for n in range(40)]
    passages.append(Passage(doc_id="long", text="A comet. " * 1000))
    corpus = make_corpus(passages, corpus_id="tiny")
    return Source(key="tiny", corpus=corpus, retriever=build_retriever(corpus))


def test_a_look_into_a_corpus_shows_the_first_or_the_best_by_words() -> None:
    source = make_source(indexed=True)
    first = preview_source(source)
    assert [p.doc_id for p in first.passages] == [f"d{n}" for n in range(SHOWN)]
    assert first.heading == f"The first {SHOWN} of 41 passages."
    found = preview_source(source, " comet ")
    assert [p.doc_id for p in found.passages] == ["long"]
    assert len(render_preview(found)) < SHOWN_CHARS + 400
    for nothing in ("xylophone", "?!", "the"):
        assert "of 41 passages" in preview_source(source, nothing).heading


def test_a_pasted_list_is_looked_through_as_it_is_written() -> None:
    source = make_source(indexed=False)
    assert len(preview_source(source).passages) == 3
    assert [p.doc_id for p in preview_source(source, "soap").passages] == ["c1", "c3"]
    assert preview_source(source, "SOAP floats").passages[0].doc_id == "c1"
    assert preview_source(source, "moon").passages == ()


def test_settings_the_page_has_no_control_for_are_told_apart() -> None:
    other = replace(TRACE, settings=replace(TRACE.settings, seed=3))
    assert list_differences(TRACE, other) == [("Seed", "0", "3")]
    assert list_differences(TRACE, replace(TRACE, settings=RankSettings(depth=3))) != []
