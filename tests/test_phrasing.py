"""Every sentence a student learns from is good English and true of its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from reranker.digest import AnswerKind, Cue, Digest
from reranker.grounding import Prose
from reranker.prompts.digest import (
    COVERED,
    END,
    FIRST,
    LACKING,
    MAX_TERMS,
    STYLES,
    VERDICT_MARKERS,
    note_grammar,
    parse_note,
    show_reason,
)
from reranker.training.phrasing import FAR, join_terms, write_reason
from reranker.types import VERDICTS, SentenceScore, Verdict

WORDS = ("moon", "sea", "pull", "orbit", "water")
ABSENT = ("tide", "rhythm")
KINDS: tuple[AnswerKind, ...] = (
    "date",
    "number",
    "person",
    "place",
    "reason",
    "manner",
    "meaning",
    "any",
)


def make_digest(covered: int, lacking: int, position: int = 0, **changes: object) -> Digest:
    digest = Digest(
        doc_id="a",
        position=position,
        rank=position + 1,
        strength=5,
        nearness=None,
        titled=False,
        asks="any",
        shows=(),
        covers=WORDS[:covered],
        lacks=ABSENT[:lacking],
        cue="none",
        repeats=None,
        sentences=(SentenceScore(start=0, end=9, score=1.0),),
    )
    return replace(digest, **changes)  # type: ignore[arg-type]


# The leading passage of the window: it lacks "moon" and covers "tide".
LEAD = make_digest(0, 0, 7, covers=("tide", "sea"), lacks=("moon",))


def write_all() -> Iterator[tuple[Digest, Verdict, tuple[AnswerKind, ...], str]]:
    """Every reason there is: (digest, verdict, kinds quoted, reason as it is read)."""
    cues: tuple[Cue, ...] = ("none", "negated", "past belief", "instruction")
    for style, verdict, covered, lacking in product(range(STYLES), VERDICTS, range(6), range(3)):
        for asks, shown, cue, repeats in product(KINDS, (False, True), cues, (None, 3)):
            nearness = FAR - 1 if repeats is None else None
            digest = make_digest(
                covered, lacking, style, asks=asks, cue=cue, repeats=repeats, nearness=nearness
            )
            kinds = (asks,) if shown and asks != "any" else ()
            for lead in (digest, LEAD):
                reason = write_reason(digest, lead, verdict, kinds)
                yield digest, verdict, kinds, show_reason(reason, digest)


ALL = list(write_all())
READ = sorted({reason for *_, reason in ALL})


def test_there_is_something_to_read() -> None:
    assert len(READ) > 2_000


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"[{}]", "a brace is left"),
        (r"<\||\|>", "a marker is left"),
        (r"  ", "a doubled space"),
        (r" [.,;:!?]", "a space before a mark"),
        (r"[.,;:!?]{2}", "a doubled mark"),
        (r"“”", "an empty word"),
        (r"^\s|\s$", "a space at an end"),
        (r"\b(a) [aeiou]", "a before a vowel"),
        (r"\ban [^aeiou]", "an before a consonant"),
        (r"\b(\w+) \1\b", "a doubled word"),
        (r"\bnames no name\b", "names no name"),
    ],
)
def test_no_sentence_has(pattern: str, why: str) -> None:
    found = [reason for reason in READ if re.search(pattern, reason)]
    assert not found, f"{why}: {found[:3]}"


def test_every_sentence_begins_large_and_ends_with_a_stop() -> None:
    for reason in READ:
        assert reason.endswith(".")
        for sentence in re.split(r"(?<=\.) ", reason):
            assert re.match(r"[A-Z]|“|\[\d+\] ", sentence), reason


# "{c} are", "{c} appear": how a list of covered words goes on where it is a subject.
_VERBS = r"(?:all |both )?(are|is|appear|appears|come|comes|occur|occurs|serve|serves)\b"
_LIST = r"((?:“\w+”(?:, | and )?)+),? "


def test_verbs_agree_with_the_words_they_speak_of() -> None:
    seen = set()
    for reason in READ:
        for words, verb in re.findall(_LIST + _VERBS, reason):
            count = words.count("“")
            singular = verb.endswith("s")
            assert singular == (count == 1), reason
            seen.add((verb, count))
    assert {count for _, count in seen} >= {1, 2, 3}
    assert {verb for verb, _ in seen} >= {"is", "are", "appear", "appears", "come", "comes"}


def test_words_and_pronouns_agree_with_their_number() -> None:
    for reason in READ:
        for noun, words in re.findall(rf"\b(words?),? {_LIST}", reason):
            assert (noun == "words") == (words.count("“") > 1), reason
        if "about them" in reason or "about it is" in reason:
            words = re.search(_LIST, reason)
            assert words is not None
            assert ("about them" in reason) == (words[1].count("“") > 1), reason
        for words, quantity in re.findall(_LIST + r"(?:are )?(all|both)\b", reason):
            assert words.count("“") == 2 if quantity == "both" else words.count("“") > 2, reason


def test_the_words_of_a_reason_are_in_the_digest_and_on_the_right_side() -> None:
    lacking = r"“(\w+)” (?:goes unnamed|does not|is missing|is absent|is left out|is not)"
    for digest, _, _, reason in ALL:
        words = re.findall(r"“(\w+)”", reason)
        assert set(words) <= {*digest.covers, *digest.lacks}, reason
        for word in re.findall(lacking, reason):
            assert word in digest.lacks, reason


def test_a_comparison_names_the_right_word_of_the_right_passage() -> None:
    for style in range(STYLES):
        more = make_digest(1, 1, style)
        reason = show_reason(write_reason(more, LEAD, "related", ()), more)
        compared = reason.split(". ")[1]
        assert "“moon”" in compared and "[8]" in compared, "the lead lacks moon"
        less = make_digest(0, 1, style, covers=("sea",))
        reason = show_reason(write_reason(less, LEAD, "related", ()), less)
        compared = reason.split(". ")[1]
        assert "“tide”" in compared and "[8]" in compared, "the lead covers tide"
        same = make_digest(0, 0, style, covers=("sea",))
        assert "[8]" not in write_reason(same, LEAD, "related", ())
        assert "[" not in write_reason(more, more, "related", ()), "never compared with itself"


def test_what_is_claimed_of_the_answer_kind_is_so() -> None:
    names = {
        "date": "date",
        "number": "figure",
        "person": "person's name",
        "place": "place",
        "reason": "cause",
        "manner": "way",
        "meaning": "definition",
    }
    for digest, verdict, kinds, reason in ALL:
        if digest.asks == "any":
            continue
        kind = names[digest.asks]
        # "gives a date" only where one is quoted, "no date" only where none is.
        gives = r"(?:gives|offers|supplies|finds|together with|and so is)"
        if re.search(rf"{gives} a {kind}\b", reason):
            assert digest.asks in kinds, reason
        if re.search(rf"\b(?:no|No) {kind}\b|{kind} asked for is missing", reason):
            assert digest.asks not in kinds and verdict in ("partial", "related"), reason


def test_a_question_of_no_kind_lacks_an_answer_only_where_none_is() -> None:
    said = [
        (verdict, reason)
        for digest, verdict, _, reason in ALL
        if digest.asks == "any"
        and re.search(r"\b[Nn]o answer|n answer is asked|answer asked", reason)
    ]
    assert {verdict for verdict, _ in said} == {"related"}


def test_every_reason_can_be_written_under_its_own_grammar() -> None:
    for style, verdict, asks in product(range(STYLES), VERDICTS, KINDS):
        for covered, lacking, shown in product(range(4), range(3), (False, True)):
            digest = make_digest(covered, lacking, style, asks=asks)
            kinds = (asks,) if shown and asks != "any" else ()
            reason = write_reason(digest, LEAD, verdict, kinds)
            *_, prose = note_grammar(digest, window_size=9)
            assert isinstance(prose, Prose)
            assert not [text for text in prose.barred if text in reason], reason


def test_nothing_is_said_of_the_sense_of_words() -> None:
    """A digest holds words, not their senses, and cannot know a match to be accidental."""
    assert not [reason for reason in READ if re.search(r"sense|accident|in passing", reason)]


@pytest.mark.parametrize("nearness", [None, 0, FAR - 1, FAR, 9])
def test_only_of_what_is_far_from_the_best_another_subject_is_claimed(nearness: int | None) -> None:
    for covered, lacking, style in product(range(4), range(3), range(STYLES)):
        digest = make_digest(covered, lacking, style, nearness=nearness)
        reason = show_reason(write_reason(digest, digest, "off_topic", ()), digest)
        doubts = r"may be another|perhaps|may be about|possibly|unclear|may differ|loose at best"
        far = nearness is not None and nearness < FAR
        assert bool(re.search(doubts, reason)) != far, reason
        assert not re.search(doubts, write_reason(digest, digest, "related", ())), reason


def test_the_whole_list_is_named_where_only_it_is_shared() -> None:
    for digest, verdict, _, reason in ALL:
        if verdict == "off_topic" and re.search(
            r"^(It only shares|Apart|Only the|No more)", reason
        ):
            named = [word for word in digest.covers if f"“{word}”" in reason]
            assert named == list(digest.covers[:MAX_TERMS]), reason
        if re.search(r"\bonly “", reason):
            assert len(digest.lacks) == 1, "only one word is missing"


def test_a_reason_never_contradicts_its_verdict() -> None:
    for _, verdict, _, reason in ALL:
        main = reason.split(". ")[0]
        if verdict == "partial":
            assert "related at best" not in main and "question is not touched" not in main
        if verdict in ("answers", "partial"):
            assert "nothing else" not in main and "Another subject" not in main


def test_cues_are_said_once_and_only_where_they_are() -> None:
    for digest, _, _, reason in ALL:
        speaks = bool(re.search(r"ranker|rank", reason))
        assert speaks == (digest.cue == "instruction"), reason
        if re.search(r"\[4\]", reason):
            assert digest.repeats == 3 and digest.cue in ("none", "negated")
        if re.search(r"denial|negati|not the case|denies", reason):
            assert digest.cue == "negated", reason
        if re.search(r"belie|outdated|used to hold|in the past", reason):
            assert digest.cue == "past belief", reason


def test_neighbours_are_worded_differently() -> None:
    for verdict in VERDICTS:
        for covered, lacking in product(range(4), range(2)):
            said = {
                write_reason(make_digest(covered, lacking, style), LEAD, verdict, ())
                for style in range(STYLES)
            }
            assert len(said) == STYLES


def test_references_are_only_to_what_the_digest_lists() -> None:
    for covered, lacking, style in product(range(6), range(3), range(STYLES)):
        for verdict in VERDICTS:
            digest = make_digest(covered, lacking, style)
            reason = write_reason(digest, LEAD, verdict, ())
            allowed = {*COVERED[:covered], *LACKING[:lacking]}
            assert set(re.findall(r"<\|[cl]\d\|>", reason)) <= allowed


def test_a_note_written_with_it_is_read_back() -> None:
    for verdict in VERDICTS:
        digest = make_digest(2, 1, 2)
        reason = write_reason(digest, LEAD, verdict, ())
        note = parse_note(f"{FIRST}{VERDICT_MARKERS[verdict]}{reason}{END}", digest)
        assert note is not None
        assert (note.verdict, note.reason) == (verdict, show_reason(reason, digest))


@pytest.mark.parametrize(
    ("terms", "expected"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c", "d"], "a, b and c")],
)
def test_terms_are_joined_as_a_list(terms: list[str], expected: str) -> None:
    assert join_terms(terms) == expected
