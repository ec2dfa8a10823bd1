"""The digest template: the compact prompts and answers of a student of our own.

Takes a query and digests, returns prompts with their grammars, and takes answers apart. One
note is written per passage, all notes of a window side by side; then one ranking reads the
verdicts. A note says which sentence of the digest is its evidence, gives a verdict, and words a
reason in which the query's words stand as references to the digest's lists, so that what it
quotes is verbatim and what it names is there. Knows no model. The training data is written with
the same functions, so what a student learnt is what it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reranker.digest import AnswerKind, Digest, find_answer_kinds
from reranker.grounding import Choice, Grammar, Permutation, Prose
from reranker.types import VERDICTS, Passage, SentenceScore, Verdict
from reranker.verdicts import open_verdicts

MAX_SENTENCE_CHARS = 120
MAX_QUERY_CHARS = 200
MAX_REASON_TOKENS = 72
STYLES = 6
MAX_TERMS = 4
MAX_WORDS = 8

# Each marker is one token of the student's own tokenizer.
FIELDS = ("query", "asks", "passage", "covers", "lacks", "cue", "repeats", "lead")
QUERY, ASKS, PASSAGE, COVERS, LACKS, CUE, REPEATS, LEAD = (f"<|{f}|>" for f in FIELDS)
FIRST, SECOND, TEXT, NOTE, RANKING, END = (
    f"<|{f}|>" for f in ("first", "second", "text", "note", "ranking", "end")
)
SENTENCES = (FIRST, SECOND)
# References to the digest's lists: c1 is the first query word covered, l1 the first one lacking.
COVERED = tuple(f"<|c{n}|>" for n in range(1, MAX_TERMS + 1))
LACKING = tuple(f"<|l{n}|>" for n in range(1, MAX_TERMS + 1))
VERDICT_MARKERS: dict[Verdict, str] = {verdict: f"<|{verdict}|>" for verdict in VERDICTS}
MARKERS = (
    QUERY, ASKS, PASSAGE, COVERS, LACKS, CUE, REPEATS, LEAD, FIRST, SECOND, TEXT, NOTE, RANKING,
    END, *COVERED, *LACKING, *VERDICT_MARKERS.values(),
)  # fmt: skip
# What a reason calls the kind of answer asked for.
KIND_WORDS: dict[AnswerKind, str] = {
    "date": "date", "number": "figure", "person": "person's name", "place": "place",
    "reason": "cause", "manner": "way", "meaning": "definition", "any": "answer",
}  # fmt: skip
KIND_CLAUSES = ("asked for,", " A")
"""After these a reason names the kind of answer asked for; where none is, nothing fits there. (A
later sentence that begins with "A" is one of these, or speaks of an instruction.)"""
NAME_CLAUSES = (" no name", " No name")
"""What is left of "no person's name" where no person is asked for and its first word is barred."""
MAX_LABEL = 40
LABELS = tuple(f"[{label}]" for label in range(1, MAX_LABEL + 1))

# Control characters, zero-width ones, those that turn the reading direction, and tags.
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]+"
)
_MARKER = re.compile(r"<\|[^|]*\|>")
_NOTE = re.compile(
    rf"(?P<sentence>{re.escape(FIRST)}|{re.escape(SECOND)})"
    rf"<\|(?P<verdict>{'|'.join(VERDICTS)})\|>(?P<reason>.*?)(?:{re.escape(END)}|$)",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A note taken apart: the digest's sentence it rests on, its verdict and its reason."""

    sentence: SentenceScore
    verdict: Verdict
    reason: str


def neutralize(text: str, limit: int) -> str:
    """Corpus or query text made harmless inside a prompt: no control characters, no markers,
    no [3] or > that could pass for a ranking; at most `limit` characters, cut between words."""
    text = _INVISIBLE.sub(" ", text)
    text = re.sub(r"\[\s*(\d+)\s*\]", r"(\1)", text).replace("<|", "( ").replace("|>", " )")
    return clip(" ".join(text.split()), limit)


def clip(text: str, limit: int) -> str:
    """The longest beginning of `text` within `limit` characters that ends between words."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return head[:cut].rstrip() if cut > limit // 2 else text[:limit]


def write_note_prompt(
    query: str, digest: Digest, lead: Digest, passage: Passage, *, guard: bool = True
) -> str:
    """What the student reads before it writes the note on one passage.

    lead: the digest of the best-placed passage of the window. A + after a word says that the
    lead differs there: it lacks a word covered here, or covers a word lacking here. guard: whether
    the passage's sentences are neutralised.
    """
    place = f"{_label(digest.position)} {digest.rank} {digest.strength}"
    near = "none" if digest.nearness is None else digest.nearness
    covers = _list(COVERED, digest.covers, lead.lacks)
    lacks = _list(LACKING, digest.lacks, lead.covers)
    repeats = " none" if digest.repeats is None else _label(digest.repeats)
    led_by = " none" if lead is digest else _label(lead.position)
    sentences = "".join(
        _describe_sentence(marker, sentence, passage, guard)
        for marker, sentence in zip(SENTENCES, digest.sentences, strict=False)
    )
    return (
        f"{QUERY} {neutralize(query, MAX_QUERY_CHARS)}{PASSAGE}{place}{sentences}"
        f"{LEAD}{led_by}{COVERS}{covers}{LACKS}{lacks}{REPEATS}{repeats}{CUE} {digest.cue}"
        f"{ASKS} {digest.asks} {near} {digest.position % STYLES}{NOTE}"
    )


def write_ranking_prompt(
    query: str, digests: Sequence[Digest], verdicts: Sequence[Verdict | None]
) -> str:
    """What the student reads before it ranks a window: a line of facts and its own verdict on
    each passage (None before any note is written: rank-first mode)."""
    lines = [
        f"{_label(d.position)}{VERDICT_MARKERS[verdict] if verdict else NOTE}"
        f" {d.strength} {_count_words(len(d.covers), len(d.covers) + len(d.lacks))}"
        f"{' ' + d.cue if d.cue != 'none' else ''}"
        f"{'' if d.repeats is None else REPEATS + _label(d.repeats)}"
        for d, verdict in zip(digests, verdicts, strict=True)
    ]
    query = neutralize(query, MAX_QUERY_CHARS)
    return f"{QUERY} {query}{ASKS} {digests[0].asks}{PASSAGE}{''.join(lines)}{RANKING}"


def _count_words(covered: int, asked: int) -> str:
    """Covered words of all; of a longer query as a share of MAX_WORDS, for a student that has seen
    few such queries loses its place in the list over numbers it does not know."""
    if asked > MAX_WORDS:
        covered, asked = round(covered * MAX_WORDS / asked), MAX_WORDS
    return f"{covered}/{asked}"


def note_grammar(digest: Digest, window_size: int) -> Grammar:
    """A sentence of the digest, a verdict that the digest leaves open, then a reason that refers
    only to what is there and names no kind of answer but the one asked for."""
    absent = (*COVERED[len(digest.covers) :], *LACKING[len(digest.lacks) :])
    kinds = (
        # Barred at its first word: once that is written, something has to follow it.
        f" {word.partition(chr(39))[0]}"
        for kind, word in KIND_WORDS.items()
        if kind not in (digest.asks, "any")
    )
    names_kind = digest.asks != "any" or digest.cue == "instruction"
    clauses = (
        *(() if names_kind else KIND_CLAUSES),
        *(() if digest.asks == "person" else NAME_CLAUSES),
    )
    others = (marker for marker in MARKERS if marker not in (*COVERED, *LACKING, END))
    return (
        Choice(options=SENTENCES[: max(1, len(digest.sentences))]),
        Choice(options=tuple(VERDICT_MARKERS[verdict] for verdict in open_verdicts(digest))),
        Prose(
            until=END,
            max_tokens=MAX_REASON_TOKENS,
            labels=frozenset(range(1, window_size + 1)),
            barred=(*absent, *others, *kinds, *clauses),
        ),
    )


def ranking_grammar(window_size: int) -> Grammar:
    """Every label of the window exactly once, then the end."""
    return (Permutation(count=window_size), Choice(options=(END,)))


def parse_note(text: str, digest: Digest) -> Note | None:
    """The note in `text`, its references written out, or None when it is not one."""
    match = _NOTE.match(text)
    if not match or not digest.sentences:
        return None
    place = SENTENCES.index(match["sentence"])
    if place >= len(digest.sentences):
        return None
    verdict: Verdict = match["verdict"]  # type: ignore[assignment]
    return Note(
        sentence=digest.sentences[place],
        verdict=verdict,
        reason=show_reason(match["reason"], digest),
    )


def show_reason(reason: str, digest: Digest) -> str:
    """A reason as a person reads it: references become the query's words, quoted."""
    return _MARKER.sub("", _write_out(reason, digest)).strip()


def show_delta(text: str, digest: Digest, passage: Passage) -> str:
    """Freshly decoded text of a note as a person reads it, to be joined to what came before."""
    for marker, sentence in zip(SENTENCES, digest.sentences, strict=False):
        text = text.replace(marker, f"“{passage.text[sentence.start : sentence.end]}” ")
    for verdict, marker in VERDICT_MARKERS.items():
        text = text.replace(marker, f"{verdict.replace('_', ' ')}: ")
    return _MARKER.sub("", _write_out(text, digest))


def _write_out(text: str, digest: Digest) -> str:
    words = [*zip(COVERED, digest.covers, strict=False), *zip(LACKING, digest.lacks, strict=False)]
    for marker, word in words:
        text = text.replace(marker, f"“{word}”")
    return text


def _describe_sentence(marker: str, sentence: SentenceScore, passage: Passage, guard: bool) -> str:
    text = passage.text[sentence.start : sentence.end]
    kinds = ", ".join(find_answer_kinds(text)) or "none"
    shown = (neutralize if guard else clip)(text, MAX_SENTENCE_CHARS)
    return f"{marker} {round(sentence.score)} {kinds}{TEXT}{shown}"


def _label(position: int) -> str:
    return f"[{position + 1}]"


def _list(markers: Sequence[str], words: Sequence[str], elsewhere: Sequence[str]) -> str:
    """Each word after its reference, a + where the lead differs; " none" for no words."""
    return (
        "".join(
            f"{marker} {neutralize(word, MAX_QUERY_CHARS)}{' +' if word in elsewhere else ''}"
            for marker, word in zip(markers, words, strict=False)
        )
        or " none"
    )
