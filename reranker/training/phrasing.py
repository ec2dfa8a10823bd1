"""The wording a student of our own learns: true sentences from a digest and a known verdict.

Takes a passage's digest, the leading passage's digest and the verdict that the evidence
labels give, returns the reason to be learnt. Every sentence states only what the digest holds,
so each can be checked. Six phrasings of everything, chosen by the place in the window, so that
neighbouring cards do not read alike. Used for training data only, never at inference.
"""

from __future__ import annotations

from collections.abc import Sequence

from reranker.digest import AnswerKind, Digest
from reranker.prompts.digest import COVERED, KIND_WORDS, LABELS, LACKING, MAX_TERMS, STYLES
from reranker.types import Verdict

# {c}: terms covered, {l}: a term lacking, {k}: the kind of answer asked for; {are}, {s}, {them},
# {all} and {words} agree with the number of terms covered. Six phrasings each.
_ANSWERS_FULL = (
    "It covers {c} and gives {k}, which is what is asked.",
    "Everything asked about is here: {c}, together with {k}.",
    "The quoted sentence offers {k} and the passage speaks of {c}.",
    "Answers directly: {c} {are} {all}present and so is {k}.",
    "With {c} covered and {k} stated, nothing asked is left open.",
    "Here the question on {c} finds {k}.",
)
_ANSWERS_PART = (
    "It gives {k} for {c}, though {l} goes unnamed.",
    "The point is met in other words: {c} appear{s}, {l} does not, yet {k} is there.",
    "Without naming {l}, it still offers {k} on {c}.",
    "It speaks of {c} and settles the question, even though {l} is missing.",
    "Answers the question about {c}; {l} is not mentioned.",
    "Though {l} is left out, the quoted sentence supplies {k} for {c}.",
)
_ANSWERS_BARE = (
    "It says what is asked in words of its own.",
    "None of the query's words appear, but the quoted sentence meets the question.",
    "The wording differs throughout, yet the point asked about is made.",
    "It answers without repeating the query.",
    "The question is met in different terms.",
    "Other words, same point: the quoted sentence responds to the query.",
)
_PARTIAL_LACKS = (
    "It mentions {c} but not {l}, so part of the question stays open.",
    "Some of it is here: {c} {are} covered, {l} is not.",
    "It deals with {c} and leaves {l} out.",
    "Useful on {c}; silent on {l}.",
    "It touches {c} without reaching {l}.",
    "The passage covers {c}, yet {l} is absent.",
)
_PARTIAL_FULL = (
    "The {words} {c} {are} {all}here, but what is asked about {them} is not settled.",
    "It talks about {c} without giving the point in question.",
    "It stays near the question on {c} and stops short of the answer.",
    "The query's {c} {all}appear{s}, though the quoted sentence answers something else.",
    "It goes over {c} and leaves the actual question open.",
    "Close to the question: {c} {are} there, the answer itself is not.",
)
_PARTIAL_BARE = (
    "It meets part of the question in words of its own.",
    "None of the query's words appear, yet it bears on part of the question.",
    "Part of the point is made in other terms.",
    "It comes near the answer without the query's words.",
    "Some of what is asked is met in different words.",
    "Other words, and only part of the point.",
)
_RELATED_LACKS = (
    "Same subject, different point: {c} come{s} up, {l} does not.",
    "It is about {c} in general and says nothing on {l}.",
    "It shares {c} with the query but is not concerned with {l}.",
    "Background on {c}; the question about {l} is not taken up.",
    "It belongs to the topic of {c}, without {l}.",
    "The topic fits through {c}, the question does not: {l} is missing.",
)
_RELATED_FULL = (
    "It uses {c} while making another point.",
    "The same {words}, {c}, serve{s} a different question here.",
    "It is on the topic of {c} but not on the question.",
    "It names {c} and takes the question no further.",
    "Background on {c}, no more.",
    "It shares {c} with the query and answers something else.",
)
_RELATED_BARE = (
    "It belongs to the same field but takes up none of the query's words.",
    "Near the topic, without anything the query names.",
    "The subject is close; the question is not touched.",
    "It moves around the topic and names nothing that is asked.",
    "A neighbouring subject, none of the words asked about.",
    "It is related at best: no word of the query occurs.",
)
_OFF_LACKS = (
    "It only shares {c} with the query; {l} is nowhere in it.",
    "Another subject that happens to mention {c}.",
    "Apart from {c}, it has little to do with the query.",
    "No more than {c} {are} shared; {l} is absent.",
    "It mentions {c} in a different connection and never {l}.",
    "Off the question: {c} appear{s}, {l} does not.",
)
_OFF_FULL = (
    "It shares {c} with the query and not its subject.",
    "The {words} {c} occur{s}, the subject is another.",
    "It uses {c} on another subject.",
    "It speaks of {c}, but not of what is asked.",
    "A different subject that happens to use {c}.",
    "Only the {words} {c} {are} shared, not the question.",
)
_OFF_BARE = (
    "It has no word in common with the query.",
    "Another subject altogether.",
    "Nothing in it bears on the query.",
    "It neither names nor touches what is asked.",
    "No link to the query is to be found.",
    "It is about something else entirely.",
)
# The same where the passage is not FAR from the best ones: it may be on the topic after all.
_APART_LACKS = (
    "It has {c} and not {l}; its subject may be another.",
    "It uses {c}, perhaps on another subject, and leaves out {l}.",
    "It shares {c} with the query but not {l}, and may be about something else.",
    "Of the query it takes up {c} and not {l}, possibly on a different subject.",
    "It mentions {c} without {l}; how close its subject is stays unclear.",
    "{c} {are} found here and {l} is not; the topic may differ.",
)
_APART_FULL = (
    "It has {c}, yet its subject may be another.",
    "It uses {c}, perhaps on another subject.",
    "It shares {c} with the query and may be about something else.",
    "It takes up {c}, possibly on a different subject.",
    "It mentions {c}; how close its subject is stays unclear.",
    "{c} {are} {all}found here; the topic may differ.",
)
_APART_BARE = (
    "It has no word of the query, and its subject may be another.",
    "None of the query's words occur, so the link is loose at best.",
    "It shares no word with the query and may be about something else.",
    "It takes up nothing the query names, possibly on a different subject.",
    "No word of the query is here; how close its subject is stays unclear.",
    "Nothing the query names is found here; the topic may differ.",
)
_NO_KIND = (
    "The quoted sentence gives no {k}.",
    "What is asked for, a {k}, is not in the quoted sentence.",
    "No {k} is stated in the quote.",
    "A {k} is asked for and none is quoted.",
    "The quote holds no {k}.",
    "The {k} asked for is missing from the quote.",
)
# The same where the question does not say of what kind the answer is.
_NO_ANSWER = (
    "The quoted sentence gives no answer.",
    "What is asked for is not in the quoted sentence.",
    "No answer is stated in the quote.",
    "Nothing of what is asked for is quoted.",
    "The quote holds no answer.",
    "The answer asked for is missing from the quote.",
)
_REPEATS = (
    "It says much the same as {r}.",
    "Nearly the words of {r} again.",
    "It adds little to {r}.",
    "Largely a repetition of {r}.",
    "It overlaps heavily with {r}.",
    "Mostly what {r} already says.",
)
_MORE_THAN = (
    "Unlike {r}, it names {m}.",
    "It adds {m}, which {r} leaves out.",
    "{m} is found here and not in {r}.",
    "It goes beyond {r} with {m}.",
    "Where {r} omits {m}, this one has it.",
    "It brings in {m}, absent from {r}.",
)
_LESS_THAN = (
    "{r} covers more, including {m}.",
    "It lacks {m}, which {r} has.",
    "Less complete than {r}, where {m} is named.",
    "{r} does name {m}.",
    "Compared with {r}, {m} is missing.",
    "For {m}, {r} is the better source.",
)
_INSTRUCTION = (
    "It contains an instruction to the ranker, which counts for nothing.",
    "Part of it addresses the ranker instead of the question and is disregarded.",
    "It tries to steer the ranking; that is no evidence.",
    "A command to the ranker stands in it and is not followed.",
    "Its instruction about ranking is ignored.",
    "It speaks to the ranker, which says nothing about the question.",
)
_PAST_BELIEF = (
    "It reports what was once believed.",
    "The sentence describes an earlier belief, not present knowledge.",
    "What it quotes is an outdated view.",
    "It tells what people used to hold.",
    "The claim is given as a former belief.",
    "It is about how the matter was seen in the past.",
)
_NEGATED = (
    "The quoted sentence is a denial.",
    "Note the negation in the quote.",
    "The quote says what is not the case.",
    "It is worded in the negative.",
    "Mind the negation.",
    "The sentence denies rather than states.",
)

_BY_VERDICT: dict[Verdict, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "answers": (_ANSWERS_FULL, _ANSWERS_PART, _ANSWERS_BARE),
    "partial": (_PARTIAL_FULL, _PARTIAL_LACKS, _PARTIAL_BARE),
    "related": (_RELATED_FULL, _RELATED_LACKS, _RELATED_BARE),
    "off_topic": (_OFF_FULL, _OFF_LACKS, _OFF_BARE),
}
_APART = (_APART_FULL, _APART_LACKS, _APART_BARE)
FAR = 3
"""Nearness, in tenths, below which a reason may say that a passage is about something else. What
is nearer may be on the topic, however it is judged: how often, benchmarks.reasons prints."""


def write_reason(
    digest: Digest, lead: Digest, verdict: Verdict, kinds: Sequence[AnswerKind]
) -> str:
    """One to three sentences that are true of `digest`, in the phrasing of its place.

    kinds: the kinds of answer the quoted sentence shows. Query words stand as references.
    """
    style = digest.position % STYLES
    sentences = [_write_main(digest, verdict, kinds, style)]
    if digest.cue == "instruction":
        sentences.append(_INSTRUCTION[style])
    elif digest.cue == "past belief":
        sentences.append(_PAST_BELIEF[style])
    elif digest.repeats is not None:
        sentences.append(_REPEATS[style].format(r=LABELS[digest.repeats]))
    elif verdict != "off_topic" and (comparison := _compare(digest, lead, style)):
        sentences.append(comparison)
    if digest.asks == "any" and verdict == "related" and len(sentences) == 1:
        sentences.append(_NO_ANSWER[style])
    elif _lacks_kind(digest, verdict, kinds):
        sentences.append(_NO_KIND[style].format(k=KIND_WORDS[digest.asks]))
    elif digest.cue == "negated" and verdict != "off_topic":
        sentences.append(_NEGATED[style])
    return " ".join(sentences)


def _write_main(digest: Digest, verdict: Verdict, kinds: Sequence[AnswerKind], style: int) -> str:
    apart = verdict == "off_topic" and (digest.nearness is None or digest.nearness >= FAR)
    full, part, bare = _APART if apart else _BY_VERDICT[verdict]
    bank = bare if not digest.covers else part if digest.lacks else full
    count = len(digest.covers)
    one = count == 1
    # "Only these are shared" is true of all of them, not of the first three.
    listed = MAX_TERMS if verdict == "off_topic" else 3
    return bank[style].format(
        c=join_terms(COVERED[:count], listed),
        l=LACKING[0],
        k=f"a {KIND_WORDS[digest.asks]}" if digest.asks in kinds else f"an {KIND_WORDS['any']}",
        are="is" if one else "are",
        s="s" if one else "",
        them="it" if one else "them",
        all={1: "", 2: "both "}.get(count, "all "),
        words="word" if one else "words",
    )


def _lacks_kind(digest: Digest, verdict: Verdict, kinds: Sequence[AnswerKind]) -> bool:
    """Whether a kind of answer is asked for that the quote does not give."""
    asked = digest.asks != "any" and digest.asks not in kinds
    return asked and verdict in ("partial", "related")


def _compare(digest: Digest, lead: Digest, style: int) -> str:
    if lead.position == digest.position:
        return ""
    label = LABELS[lead.position]
    covered = zip(COVERED, digest.covers, strict=False)
    lacking = zip(LACKING, digest.lacks, strict=False)
    if more := [marker for marker, term in covered if term in lead.lacks]:
        return _MORE_THAN[style].format(r=label, m=more[0])
    if less := [marker for marker, term in lacking if term in lead.covers]:
        return _LESS_THAN[style].format(r=label, m=less[0])
    return ""


def join_terms(markers: Sequence[str], limit: int = 3) -> str:
    """Up to `limit` references: a, b and c."""
    chosen = list(markers[:limit])
    if len(chosen) < 2:
        return "".join(chosen)
    return f"{', '.join(chosen[:-1])} and {chosen[-1]}"
