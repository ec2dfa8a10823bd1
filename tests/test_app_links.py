"""Links: they come back as they were written, and nothing in one is believed unchecked."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.library import Library
from app.rank import links
from app.rank.links import Address, find_address, list_allowed, read_link, write_link
from app.rank.ranking import MAX_QUERY_CHARS
from app.rank.share_events import explain_link
from reranker.corpora import load_corpus
from reranker.errors import InputError
from reranker.types import Query, RankingTrace, RankSettings, StudentInfo
from tests.fake_student import make_profile
from tests.test_trace import TRACE

CORPUS = "everyday-science"
LIBRARY = Library()
DEFAULTS = Address(corpus=CORPUS, student="mini", quantization=LIBRARY.quantization)


def parse(link: str) -> dict[str, str]:
    assert link.startswith("?")
    return {name: values[-1] for name, values in parse_qs(link[1:]).items()}


def make_trace(**changes: object) -> RankingTrace:
    trace = replace(
        TRACE,
        corpus_id=CORPUS,
        corpus_sha256=load_corpus(CORPUS).sha256,
        settings=RankSettings(depth=15, mode="rank_first", grounding=False),
        student=StudentInfo(name="mini", quantization="bf16", device="cpu"),
    )
    return replace(trace, **changes)  # type: ignore[arg-type]


def test_a_ranking_s_link_asks_for_the_same() -> None:
    address = find_address(make_trace(), LIBRARY)
    back, refusals = read_link(parse(write_link(address)), LIBRARY)
    assert back == address and not refusals
    assert (address.depth, address.mode, address.final) == (15, "rank_first", "profile")
    assert address.grounding is False and address.quantization == "bf16"


def test_a_window_travels_and_half_of_it_is_the_stride() -> None:
    settings = RankSettings(window_size=6, stride=3)
    link = write_link(find_address(make_trace(settings=settings), LIBRARY))
    assert parse(link)["window"] == "6"
    with pytest.raises(InputError, match="window_size 6, stride 6"):
        find_address(make_trace(settings=replace(settings, stride=6)), LIBRARY)


@given(st.text(min_size=1, max_size=200).filter(str.strip))
def test_any_query_survives_its_link(query: str) -> None:
    address = replace(DEFAULTS, q=query.strip())
    assert read_link(parse(write_link(address)), LIBRARY) == (address, ())


def test_an_address_without_our_names_asks_nothing() -> None:
    foreign = {"__theme": "dark", "utm_source": "mail", "q": "  ", "corpora": "x"}
    assert read_link(foreign, LIBRARY) == (None, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("corpus", "/etc/passwd"),
        ("corpus", "../assets/corpora/everyday-science"),
        ("corpus", "upload:0123"),
        ("corpus", "pasted:0123"),
        ("corpus", "hub:datasets:someone/private"),
        ("corpus", "<script>alert(1)</script>"),
        ("student", "/srv/models/secret"),
        ("student", "../mini"),
        ("quantization", "int3"),
        ("stages", "3"),
        ("mode", "reason"),
        ("final", "best"),
        ("depth", "9999"),
        ("depth", "4"),
        ("depth", "-5"),
        ("depth", "٢٠"),
        ("depth", "1e2"),
        ("window", "7"),
        ("grounding", "true"),
    ],
)
def test_a_value_that_is_not_offered_is_refused_and_the_default_stays(
    name: str, value: str
) -> None:
    address, refusals = read_link({name: value, "q": "tides"}, LIBRARY)
    assert address == replace(DEFAULTS, q="tides")
    assert [refusal.name for refusal in refusals] == [name]
    assert "expected" in refusals[0].why and "got" in refusals[0].why
    shown = "".join(part for part in explain_link(refusals) if isinstance(part, str))
    assert "<script" not in shown and "This link" in shown


def test_a_query_too_long_is_refused_beside_its_box() -> None:
    address, refusals = read_link({"q": "x" * (MAX_QUERY_CHARS + 1)}, LIBRARY)
    assert address == DEFAULTS
    link = explain_link(refusals)
    assert "too long" in link.query_error and "too long" not in link.status


def test_stages_a_student_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(make_profile(), stage2=None)
    monkeypatch.setattr(LIBRARY, "list_profiles", lambda: {"mini": bare})
    address, refusals = read_link({"stages": "2", "student": "mini"}, LIBRARY)
    assert address is not None and address.stages == "1"
    assert "has no stage 2" in refusals[0].why


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"corpus_sha256": "0" * 64}, "not a corpus of this server"),
        ({"corpus_id": "upload.jsonl"}, "not a corpus of this server"),
        ({"settings": RankSettings(seed=7)}, "seed 7"),
        ({"settings": RankSettings(window_size=5, stride=2)}, "window_size 5, stride 2"),
        ({"settings": RankSettings(depth=500)}, "depth 500"),
        ({"student": StudentInfo(name="ours", quantization="nf4", device="")}, "server's own"),
    ],
)
def test_what_a_link_cannot_reopen_has_none_and_says_why(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        find_address(make_trace(**changes), LIBRARY)
    assert "download the trace" in str(caught.value)


def test_a_link_too_long_to_travel_is_not_written() -> None:
    trace = make_trace(query=Query(query_id="q", text="漢" * MAX_QUERY_CHARS))
    with pytest.raises(InputError, match=f"at most {links.MAX_LINK_CHARS:,}"):
        write_link(find_address(trace, LIBRARY))


def test_every_choice_a_link_may_name_is_taken() -> None:
    for name, values in list_allowed(LIBRARY).items():
        for value in values:
            assert read_link({name: value}, LIBRARY)[1] == (), (name, value)
