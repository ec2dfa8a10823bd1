"""The digest template: the compact prompts and answers of a student of our own.

Takes a query and digests, returns prompts with their grammars, and takes answers apart. One
note is written per passage (its quote, its verdict, its reason), all notes of a window side
by side; then one ranking reads the verdicts. Knows no model. The training data is written
with the same functions, so what a student learnt is what it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reranker.digest import Digest
from reranker.grounding import Choice, Grammar, Permutation, Prose, Quote, SpanRule
from reranker.types import VERDICTS, Passage, Verdict

MAX_SENTENCE_CHARS = 220
MAX_QUERY_CHARS = 200
MAX_REASON_TOKENS = 72
STYLES = 6

# Each marker is one token of the student's own tokenizer.
FIELDS = ("query", "asks", "passage", "covers", "lacks", "shows", "cue", "repeats", "lead")
QUERY, ASKS, PASSAGE, COVERS, LACKS, SHOWS, CUE, REPEATS, LEAD = (f"<|{f}|>" for f in FIELDS)
FIRST, SECOND, NOTE, RANKING = "<|first|>", "<|second|>", "<|note|>", "<|ranking|>"
QUOTE, UNQUOTE, TERM, UNTERM, END = "<|quote|>", "<|/quote|>", "<|t|>", "<|/t|>", "<|end|>"
VERDICT_MARKERS: dict[Verdict, str] = {verdict: f"<|{verdict}|>" for verdict in VERDICTS}
MARKERS = (
    QUERY, ASKS, PASSAGE, COVERS, LACKS, SHOWS, CUE, REPEATS, LEAD, FIRST, SECOND, NOTE, RANKING,
    QUOTE, UNQUOTE, TERM, UNTERM, END, *VERDICT_MARKERS.values(),
)  # fmt: skip
MAX_LABEL = 40
LABELS = tuple(f"[{label}]" for label in range(1, MAX_LABEL + 1))

_NOTE = re.compile(
    rf"(?:{re.escape(QUOTE)})?(?P<quote>.*?){re.escape(UNQUOTE)}"
    rf"<\|(?P<verdict>{'|'.join(VERDICTS)})\|>(?P<reason>.*?)(?:{re.escape(END)}|$)",
    re.DOTALL,
)


def neutralize(text: str, limit: int) -> str:
    """Corpus or query text made harmless inside a prompt: no control characters, no markers,
    no [3] or > that could pass for a ranking; at most `limit` characters, cut between words."""
    text = re.sub(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+", " ", text)
    text = re.sub(r"\[(\d+)\]", r"(\1)", text).replace("<|", "( ").replace("|>", " )")
    return clip(" ".join(text.split()), limit)


def clip(text: str, limit: int) -> str:
    """The longest beginning of `text` within `limit` characters that ends between words."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return head[:cut].rstrip() if cut > limit // 2 else text[:limit]


def write_note_prompt(query: str, digest: Digest, lead: Digest, passage: Passage) -> str:
    """What the student reads before it writes the note on one passage.

    lead: the digest of the best-placed passage of the window, for comparison.
    """
    sentences = [neutralize(passage.text[s.start : s.end], MAX_SENTENCE_CHARS) for s in digest.sentences]
    first, second = [*sentences, "", ""][:2]
    place = f"{_label(digest.position)} {digest.rank} {digest.strength} {digest.position % STYLES}"
    repeats = " none" if digest.repeats is None else _label(digest.repeats)
    led_by = " none" if lead is digest else f"{_label(lead.position)}{_list(lead.covers)}"
    return (
        f"{QUERY} {neutralize(query, MAX_QUERY_CHARS)}{ASKS} {digest.asks}{PASSAGE}{place}"
        f"{COVERS}{_list(digest.covers)}{LACKS}{_list(digest.lacks)}{SHOWS}{_list(digest.shows)}"
        f"{CUE} {digest.cue}{REPEATS}{repeats}{LEAD}{led_by}"
        f"{FIRST}{first}{SECOND}{second}{NOTE}{QUOTE}"
    )


def write_ranking_prompt(
    query: str, digests: Sequence[Digest], verdicts: Sequence[Verdict | None]
) -> str:
    """What the student reads before it ranks a window: a line of facts and its own verdict on
    each passage (None before any note is written: rank-first mode)."""
    lines = [
        f"{_label(d.position)}{VERDICT_MARKERS[verdict] if verdict else NOTE}"
        f" {d.strength} {len(d.covers)}/{len(d.covers) + len(d.lacks)}"
        f"{' ' + d.cue if d.cue != 'none' else ''}"
        f"{'' if d.repeats is None else REPEATS + _label(d.repeats)}"
        for d, verdict in zip(digests, verdicts, strict=True)
    ]
    query = neutralize(query, MAX_QUERY_CHARS)
    return f"{QUERY} {query}{ASKS} {digests[0].asks}{PASSAGE}{''.join(lines)}{RANKING}"


def note_grammar(query: str, passage: Passage, window_size: int, max_tokens: int) -> Grammar:
    """A quote from the passage, a verdict, then a reason whose terms come from the query."""
    return (
        Quote(source=passage.text, close=UNQUOTE, max_bytes=2 * MAX_SENTENCE_CHARS),
        Choice(options=tuple(VERDICT_MARKERS.values())),
        Prose(
            until=END,
            max_tokens=max_tokens,
            spans=(SpanRule(open=TERM, close=UNTERM, default=f" {query}"),),
            labels=frozenset(range(1, window_size + 1)),
        ),
    )


def ranking_grammar(window_size: int) -> Grammar:
    """Every label of the window exactly once, then the end."""
    return (Permutation(count=window_size), Choice(options=(END,)))


def parse_note(text: str) -> tuple[str, Verdict, str] | None:
    """(quote, verdict, reason) of a note, or None when it is not one."""
    match = _NOTE.match(text)
    if not match:
        return None
    verdict: Verdict = match["verdict"]  # type: ignore[assignment]
    return match["quote"].strip(), verdict, show_reason(match["reason"])


def show_reason(reason: str) -> str:
    """A reason as a person reads it: term markers become quotation marks."""
    reason = reason.replace(f"{TERM} ", " “").replace(TERM, "“").replace(UNTERM, "”")
    return re.sub(r"<\|[^|]*\|>", "", reason).strip()


def _label(position: int) -> str:
    return f"[{position + 1}]"


def _list(words: Sequence[str]) -> str:
    """" a, b" with the leading space that makes each word one token, or " none"."""
    return " " + (neutralize(", ".join(words), MAX_QUERY_CHARS) or "none")
