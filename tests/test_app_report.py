"""A report: whole, inert, without a request, and the same for the same trace."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.rank.exports import write_report
from app.rank.html_charts import render_flow, render_scores, render_terms
from app.rank.html_report import make_style, render_report
from reranker.config import ASSETS
from reranker.types import Hit, Query, RankingTrace, RankSettings, StudentInfo, TermWeight
from tests.test_app_html import XSS
from tests.test_app_html import make_trace as make_hostile
from tests.test_trace import TRACE


class Document(HTMLParser):
    """Every tag with its attributes, and the text outside the style."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.within = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.within = tag

    def handle_data(self, data: str) -> None:
        if self.within == "style":
            self.style += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.within = ""


def make_hostile_trace() -> RankingTrace:
    """The hostile string in every field of text a trace has."""
    trace = make_hostile([XSS, f"b {XSS}"], note=XSS, title=XSS, doc_id=XSS)
    hits = tuple(
        replace(hit, terms=(TermWeight(term=XSS, weight=1.0),), bm25_score=1.0)
        for hit in trace.hits
    )
    student = StudentInfo(
        name=XSS, quantization="nf4", device=XSS, stage1_base=XSS, stage2_base=XSS,
        stage1_adapter_sha256=XSS, stage2_adapter_sha256=XSS,
    )  # fmt: skip
    return replace(
        trace,
        hits=hits,
        student=student,
        corpus_id=XSS,
        corpus_sha256=XSS,
        error=XSS,
        created=XSS,
        versions={XSS: XSS},
        query=Query(query_id=XSS, text=XSS),
    )


def test_a_report_holds_everything_that_was_asked_and_found() -> None:
    text = Document(render_report(TRACE)).text
    for hit in TRACE.ranked_hits():
        assert hit.passage.doc_id in text
        if hit.justification:
            assert hit.justification.text in text
    for words in (
        "why do tides ‘rise’?", "demo", "student mini (nf4, cpu)", "torch 2.13.0", "rank first",
        "3 candidates", "wrong format 1", "2026-11-23 17:00 UTC",
    ):  # fmt: skip
        assert words in text, words
    assert render_report(TRACE).count("<mark>") == 1
    assert render_report(TRACE) == render_report(TRACE)


@pytest.mark.parametrize("trace", [TRACE, make_hostile_trace()], ids=["plain", "hostile"])
def test_a_report_runs_nothing_and_asks_for_nothing(trace: RankingTrace) -> None:
    document = Document(render_report(trace))
    tags = {tag for tag, _ in document.tags}
    assert not tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base"}
    for tag, attributes in document.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href", "action", "data"):
            target = attributes.get(name) or "#"
            assert target.startswith("#"), (tag, target)
    assert "url(" not in document.style and "@import" not in document.style
    assert not re.search(r"https?:", render_report(trace))


def test_the_policy_names_the_only_style_by_its_hash() -> None:
    document = Document(render_report(TRACE))
    policy = next(a["content"] for t, a in document.tags if a.get("http-equiv"))
    digest = hashlib.sha256(document.style.encode("utf-8")).digest()
    assert policy is not None
    assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_hostile_text_stays_text() -> None:
    document = Document(render_report(make_hostile_trace()))
    assert document.text.count("<script>alert(1)</script>") > 10


def test_every_variable_of_the_style_is_defined_for_light_and_dark() -> None:
    style = make_style(3)
    used = set(re.findall(r"var\((--[\w-]+)(?!\w*,)\)", style))
    assert used <= set(re.findall(r"(--[\w-]+):", style)), "report.css stands in for Gradio's"
    dark = [rule for rule in re.findall(r"@media screen and [^{]*dark\) ?\{", style)]
    page = (ASSETS / "css" / "studio.css").read_text(encoding="utf-8")
    assert len(dark) == 1 + len(re.findall(r"^\.dark\b", page, re.MULTILINE))
    assert ".dark" not in style


def test_names_lead_to_their_cards() -> None:
    document = Document(render_report(TRACE))
    ids = {attributes["id"] for _, attributes in document.tags if "id" in attributes}
    targets = {a["href"] for tag, a in document.tags if tag == "a"}
    assert targets == {"#card-1", "#card-2", "#card-3"}
    assert {str(target)[1:] for target in targets} <= ids


def test_the_flow_draws_each_passage_at_each_rank() -> None:
    chart = render_flow(TRACE)
    assert chart.count('class="path ') == 3 and chart.count("<line ") == 6
    # c/ü: third by BM25, first by stage 1, second at last; rows are 26 pixels high.
    path = next(p for p in chart.split("<g ")[1:] if "Nothing here." in p)
    assert [float(y) for y in re.findall(r'<use [^>]* y="([\d.]+)"', path)] == [65, 13, 39]
    assert "given" not in chart and "BM25 3 → stage 1 1 → blend 2" in html.unescape(path)


def test_bars_share_no_axis_and_hold_zero() -> None:
    chart = render_scores(TRACE)
    assert "0.00 to 4.50" in chart and "-0.00 to 7.25" in chart
    assert chart.count("not scored") == 1, "BM25 gave the third no score"


def test_terms_beyond_the_widest_table_are_summed() -> None:
    terms = tuple(TermWeight(term=f"t{n}", weight=float(n)) for n in range(1, 10))
    hits = tuple(replace(hit, terms=terms) for hit in TRACE.hits)
    table = render_terms(replace(TRACE, hits=hits))
    assert "3 more" in table and "6.00" in table
    bare = tuple(Hit(passage=hit.passage, rank=hit.rank) for hit in TRACE.hits)
    assert render_terms(replace(TRACE, hits=bare)) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"stage1": (), "readings": (), "final_source": "bm25"},
        {"readings": (), "final_source": "stage1", "complete": False, "error": "Stopped."},
        {"hits": (), "stage1": (), "readings": (), "final_order": (), "final_source": "bm25"},
        {"settings": RankSettings(window_size=5, stage2_depth=2, stages="1")},
        {"created": "yesterday"},
    ],
)
def test_unfinished_and_empty_rankings_have_reports(changes: dict[str, object]) -> None:
    assert render_report(replace(TRACE, **changes)).endswith("</html>\n")  # type: ignore[arg-type]


def test_a_report_is_a_file_named_after_its_query(tmp_path: Path) -> None:
    path = write_report(TRACE, tmp_path)
    assert path.name == "dear-why-do-tides-rise.report.html"
    assert path.read_text(encoding="utf-8") == render_report(TRACE)
