"""What in a passage looks as if it were written to move the ranking, by its surface.

Takes a passage's text and the query, returns named suspicions. A suspicion is told, never acted
on: texts about ranking or prompts raise it too. Knows no model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reranker.digest import INSTRUCTION
from reranker.retrieval.tokenize import tokenize, tokenize_query

SuspicionKind = Literal["instruction", "markers", "invisible", "stuffing", "authority"]

# "Ignore the instructions" in a few more languages, and "rank this first".
_INSTRUCTION_ELSEWHERE = re.compile(
    r"\b(ignorez|ignoriere\w*|ignora|ignoren?|negeer)\b.{0,40}\b(instruc\w+|anweisung\w*|"
    r"consign\w+|istruzion\w+|instructies)\b|忽略.{0,12}(指令|指示|说明)|無視.{0,8}指示|指示.{0,4}無視"
    r"|(?i:игнорируй\w*).{0,40}(инструкци|указани)",
    re.I,
)
_MARKERS = re.compile(
    r"<\|[a-z0-9_/]{1,20}\|>|</?think>|\[\d{1,3}\]\s*>\s*\[\d{1,3}\]|#{2,}\s*final\b|\bfinal rerank"
    r"|\[/?INST\]|<</?SYS>>",
    re.I,
)
_AUTHORITY = re.compile(
    r"\b(only|single|most) (correct|authoritative|reliable|relevant) (answer|source|passage)\b"
    r"|\b(verified|certified|confirmed) (by|as) (all |every |the )?(\w+ ){0,3}"
    r"(experts?|authorit\w+|the (only|best) (answer|source))\b",
    re.I,
)
# Tags and characters that turn the reading direction have no business in a passage; joiners have,
# between letters that need them, so only many of them are told.
_NEVER = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_SELDOM = re.compile("[\u200b\u200c\u2060-\u2064\ufeff]")
MANY_INVISIBLE = 3
STUFFED_SHARE, STUFFED_TIMES = 0.18, 6
"""A word of the query is stuffed when it is that share of all words and stands that often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """words: what it is, for a reader; found: the place that raised it, shortened."""

    kind: SuspicionKind
    words: str
    found: str


def find_suspicions(text: str, query: str = "") -> tuple[Suspicion, ...]:
    """At most one of each kind, in a fixed order."""
    found = [
        _search("instruction", "it reads like an instruction to the ranker", text,
                (INSTRUCTION, _INSTRUCTION_ELSEWHERE)),
        _search("markers", "it holds marks of a prompt or of a ranking", text, (_MARKERS,)),
        _search("authority", "it claims to be the one right answer", text, (_AUTHORITY,)),
    ]  # fmt: skip
    invisible = _NEVER.findall(text)
    seldom = _SELDOM.findall(text)
    if invisible or len(seldom) >= MANY_INVISIBLE:
        count = len(invisible) + len(seldom)
        found.append(
            Suspicion(
                kind="invisible", words="it holds invisible characters", found=f"{count} of them"
            )
        )
    found.append(_find_stuffing(text, query))
    return tuple(suspicion for suspicion in found if suspicion is not None)


def _search(
    kind: SuspicionKind, words: str, text: str, patterns: Iterable[re.Pattern[str]]
) -> Suspicion | None:
    for pattern in patterns:
        if match := pattern.search(text):
            return Suspicion(kind=kind, words=words, found=match[0][:60])
    return None


def _find_stuffing(text: str, query: str) -> Suspicion | None:
    wanted = {token.stem for token in tokenize_query(query)}
    stems = tokenize(text)
    counts = Counter(stem for stem in stems if stem in wanted)
    for stem, times in counts.most_common(1):
        if times >= STUFFED_TIMES and times >= STUFFED_SHARE * len(stems):
            return Suspicion(
                kind="stuffing",
                words="it repeats a word of the query again and again",
                found=f"{stem}, {times} times",
            )
    return None
