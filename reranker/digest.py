"""The evidence digest: what a compact stage 2 reads of a passage instead of its raw text.

Takes a query and stage-1 results, returns one `Digest` per passage of a window: its best
sentences, the query words it covers and lacks, its place and strength in the list, what kind
of answer it shows, and which better-placed passage it repeats. Every field is computed and
can be checked; nothing here is generated. Knows no model and no prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from reranker.retrieval.tokenize import Token, tokenize, tokenize_query
from reranker.sentences import split_sentences
from reranker.types import Passage, PassageScore, SentenceScore

AnswerKind = Literal["date", "number", "person", "place", "reason", "manner", "meaning", "any"]
Cue = Literal["none", "negated", "past belief", "instruction"]

# Words a query holds and a reason should not name: what they say depends on their neighbours.
_LIGHT = frozenset(
    "after again against all also another aren't around away back based become before best better "
    "between both called can't come couldn't did didn't different doesn't doing don't done down "
    "during each else ever every few first found gave get gets getting give given gives go goes "
    "going good got happen happens hasn't haven't help helps i'm include included including isn't "
    "it's just keep keeps kind know known last less let like little long look lot made mainly "
    "make makes making many may mean means might more most much must name named names need needs "
    "never new no not off often old one ones only other out over own part put really rest same "
    "say says see set shouldn't since some something still take takes tell thing things through "
    "time too toward try type under until up use used uses using usually very want wants wasn't "
    "way ways well went weren't what's while within without won't wouldn't".split()
)
DIGEST_SENTENCES = 2
_CLOSING = " \"'”’)]"
REPEAT_OVERLAP = 0.6
STRENGTH_LEVELS = 9

# The question words that fix the kind of an answer. The first in the query decides ("why do we
# yawn when tired" asks for a reason); of two at one place ("how many") the one listed first.
_ASKED_PATTERNS: tuple[tuple[AnswerKind, str], ...] = (
    (
        "date",
        # Inside a sentence "when" asks only before an auxiliary: not in "why stop when tired".
        r"^\W*when\b|\bwhen (did|do|does|was|were|is|are|will|has|have|had|can|could|should)\b"
        r"|\b(what|which) (year|date|day|month|century|decade)\b",
    ),
    (
        "number",
        r"\bhow (many|much|long|far|old|young|tall|big|fast|often|high|deep|heavy|large|hot|cold)\b"
        r"|\bwhat (percentage|percent|number|temperature|age|population|cost|price)\b",
    ),
    ("person", r"\bwho(m|se)?\b"),
    ("place", r"\bwhere\b|\b(what|which) (city|country|state|region|place|continent)\b"),
    ("reason", r"\bwhy\b|\bwhat (causes?|caused|makes?|made)\b(?! up\b)|\bcauses?\b|\breasons?\b"),
    (
        "meaning",
        r"\bdefin(e|ition)\b|\bmeaning\b|\bwhat (is|was) meant\b|\bmeans?\??$"
        r"|\bwhat (do|does|did)\b.*\bmean\b|^what (is|are|was|were) \S+( \S+)?\??$",
    ),
    ("manner", r"\bhow\b"),
)
_ASKED = tuple((kind, re.compile(pattern, re.I)) for kind, pattern in _ASKED_PATTERNS)

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
# Capitalised at the start of a sentence by rule, not because they name something.
_OPENERS = "|".join(
    "A An And Any As At Because Before After All Although Both But By Despite During Each For From "
    "He Her His How However If In It Its Many Most No Not Of On One Only Or Our Several She Since "
    "So Some Such That The Their There These They This Those Though Through To Two Under Until Up "
    "We What When Where Which While Who With You Your".split()
)
_SHOWN_PATTERNS: tuple[tuple[AnswerKind, str], ...] = (
    (
        "date",
        rf"(?i)\b(1[0-9]|20)\d\d\b|\b(?!may\b)({_MONTHS})\b|\b(in|of|since|until) may\b|\bmay \d"
        r"|\b\d+(st|nd|rd|th) century\b",
    ),
    (
        "number",
        r"(?i)\d|\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|half|hundred"
        r"|thousand|million|billion|percent)\b",
    ),
    (
        # Two names in a row; before the second may stand an initial or a particle.
        "person",
        rf"\b(?!(?:{_OPENERS}|{_MONTHS})\b)[A-Z][a-z]+"
        r"(?: (?:[A-Z]\.|de|van|von|al|of))* [A-Z][a-z]+",
    ),
    (
        "place",
        rf"\b(?:[Ii]n|[Aa]t|[Nn]ear|[Ff]rom|[Tt]o|[Oo]f|[Aa]cross) (?:the )?"
        rf"(?!(?:{_MONTHS})\b)[A-Z][a-z]+",
    ),
    (
        "reason",
        r"(?i)\b(because|since|due to|caus\w+|reasons?|owing to|as a result|results? (in|from)"
        r"|so that|therefore|thus|leads? to|allow\w*|makes?|which is why)\b",
    ),
    (
        "meaning",
        r"(?i)\b(is|are|was|were) (an?|the|any)\b"
        r"|\b(means?|refers? to|defined|known as|called|term)\b",
    ),
    ("manner", r"(?i)\b(by|through|using|via|when|with|first|then)\b"),
)
_SHOWN = tuple((kind, re.compile(pattern)) for kind, pattern in _SHOWN_PATTERNS)

_NEGATION = re.compile(r"\b(not(?! only\b)|never|no longer|cannot|neither|nor)\b|n['’]t\b", re.I)
# "held" alone is also what is done with titles and elections, and what is "widely believed" is
# believed still.
_HELD_TRUE = r"(believed|thought|assumed|held (that|to be)\b)"
_PAST_BELIEF = re.compile(
    rf"\b(once|formerly|previously|long|earlier|originally) {_HELD_TRUE}"
    rf"|\buntil the\b[^.]*\b{_HELD_TRUE}"
    r"|\b(was|were) (once |formerly |long |widely )?(thought|believed|held) (that|to be)\b"
    r"|\b(was|were) (once |formerly |long |widely )?(thought|believed) to\b"
    r"|\bused to (think|believe)\b",
    re.I,
)
INSTRUCTION = re.compile(
    r"\b(ignore|disregard|forget)\b.{0,40}\b(quer(y|ies)|instructions?|prompt|passages?|above|previous)\b"
    r"|\brank (this|me|it)\b|\b(this|me) (passage )?(first|highest)\b.{0,20}\brank"
    r"|\bfinal rerank|\[\d+\]\s*>|</?think>|\bmost relevant passage\b",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Digest:
    """What is known of one passage of a window before it is read.

    position: 0-based place in the window; rank: 1-based place in the whole list; strength:
    0..9, the logit's place between the window's lowest and highest; nearness: the mean cosine to
    the two best others, in whole tenths from 0 to 9, or None where it was not measured; titled:
    whether its title has a word of the query; repeats: position of a better-placed near-duplicate,
    or None.
    """

    doc_id: str
    position: int
    rank: int
    strength: int
    nearness: int | None
    titled: bool
    asks: AnswerKind
    shows: tuple[AnswerKind, ...]
    covers: tuple[str, ...]
    lacks: tuple[str, ...]
    cue: Cue
    repeats: int | None
    sentences: tuple[SentenceScore, ...]


def classify_question(query: str) -> AnswerKind:
    """The kind of answer a query asks for, by its question words; "any" when none decides."""
    found = [(match.start(), kind) for kind, p in _ASKED if (match := p.search(query))]
    return min(found, key=lambda place: place[0])[1] if found else "any"


def find_answer_kinds(sentence: str) -> tuple[AnswerKind, ...]:
    """The kinds of answer a sentence could hold, by its surface."""
    return tuple(kind for kind, pattern in _SHOWN if pattern.search(sentence))


def find_cue(text: str, sentence: str, *, guard: bool = True) -> Cue:
    """What warns against taking a passage at its word: an instruction anywhere in it, an
    outdated belief or a negation in its best sentence. guard: whether instructions are told."""
    if guard and INSTRUCTION.search(text):
        return "instruction"
    if _PAST_BELIEF.search(sentence):
        return "past belief"
    return "negated" if _NEGATION.search(sentence) else "none"


def digest_window(
    query: str,
    passages: Sequence[Passage],
    scores: Sequence[PassageScore],
    ranks: Sequence[int],
    *,
    guard: bool = True,
) -> tuple[Digest, ...]:
    """One digest per passage, in window order.

    passages, scores and ranks run in parallel; ranks are 1-based places in the whole list. guard:
    whether passages that read like instructions are pointed out.
    """
    terms = pick_terms(query)
    asks = classify_question(query)
    stems = [set(tokenize(f"{p.title} {p.text}")) for p in passages]
    repeats = _find_repeats(stems, ranks)
    strengths = _level_strengths([score.score for score in scores])
    digests = []
    for position, (passage, score) in enumerate(zip(passages, scores, strict=True)):
        sentences = pick_sentences(query, passage.text, score.sentences)
        best = passage.text[sentences[0].start : sentences[0].end] if sentences else ""
        digests.append(
            Digest(
                doc_id=passage.doc_id,
                position=position,
                rank=ranks[position],
                strength=strengths[position],
                nearness=level_nearness(score.nearness),
                titled=names_subject(passage.title, terms),
                asks=asks,
                shows=find_answer_kinds(best),
                covers=tuple(t.surface for t in terms if t.stem in stems[position]),
                lacks=tuple(t.surface for t in terms if t.stem not in stems[position]),
                cue=find_cue(passage.text, best, guard=guard),
                repeats=repeats[position],
                sentences=sentences,
            )
        )
    return tuple(digests)


def pick_sentences(
    query: str, text: str, scored: Sequence[SentenceScore], limit: int = DIGEST_SENTENCES
) -> tuple[SentenceScore, ...]:
    """The `limit` strongest sentences, strongest first; questions only where there is too little
    else, for they say what is asked and not what is so.

    Where stage 1 gives no sentence scores, the share of query words in a sentence stands in.
    """
    if not scored:
        wanted = {term.stem for term in pick_terms(query)}
        scored = [
            SentenceScore(start=s, end=e, score=_share(wanted, text[s:e]))
            for s, e in split_sentences(text)
        ]

    def order(sentence: SentenceScore) -> tuple[bool, float, int]:
        asks = text[sentence.start : sentence.end].rstrip(_CLOSING).endswith("?")
        return asks, -sentence.score, sentence.start

    return tuple(sorted(scored, key=order)[:limit])


def _share(wanted: set[str], sentence: str) -> float:
    return len(wanted & set(tokenize(sentence))) / max(1, len(wanted))


def pick_terms(query: str) -> list[Token]:
    """The query's content words, each stem once, long ones first: the longer a word, the rarer
    and the more it says. Light words only where there are no others."""
    words = tokenize_query(query)
    heavy = [w for w in words if w.surface.lower().replace("\u2019", "'") not in _LIGHT]
    first: dict[str, Token] = {}
    for word in heavy or words:
        first.setdefault(word.stem, word)
    return sorted(first.values(), key=lambda word: -len(word.surface))


def names_subject(title: str, terms: Sequence[Token]) -> bool:
    """Whether a title has one of these words of the query: then it is hardly used by the way."""
    return not {term.stem for term in terms}.isdisjoint(tokenize(title))


def _find_repeats(stems: Sequence[set[str]], ranks: Sequence[int]) -> list[int | None]:
    """For each passage the best-placed better passage with Jaccard overlap >= REPEAT_OVERLAP."""
    repeats: list[int | None] = []
    for here, rank in zip(stems, ranks, strict=True):
        better = [
            (ranks[other], other)
            for other, there in enumerate(stems)
            if ranks[other] < rank and len(here & there) >= REPEAT_OVERLAP * len(here | there) > 0
        ]
        repeats.append(min(better)[1] if better else None)
    return repeats


def _level_strengths(scores: Sequence[float]) -> list[int]:
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    spread = high - low
    if spread <= 0:
        return [STRENGTH_LEVELS] * len(scores)
    return [round(STRENGTH_LEVELS * (score - low) / spread) for score in scores]


def level_nearness(cosines: Sequence[float]) -> int | None:
    """The mean nearness to the two best others in whole tenths, 0..9; None where not measured.

    Of two embeddings either can be near for another reason than the subject; the nearer of the two
    tells passages on the subject less well from others, on SQuAD dev and on DL21.
    """
    return min(9, max(0, int(10 * fmean(cosines)))) if cosines else None
