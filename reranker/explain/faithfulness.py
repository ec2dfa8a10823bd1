"""Whether a justification says what the ranking rests on, as numbers.

Takes a workbench, returns a `FaithfulnessReport`: do the quotes exist, does the score fall when the
cited words go (comprehensiveness) and hold when they alone stay (sufficiency), both against random
runs of as many words (ERASER, DeYoung et al., arXiv 1911.03429), and do the stated verdicts bear
out the order. Scores are stage 1's, the only ones there are; what stage 2 makes of a passage
without its evidence is asked for the first `reread` passages. Draws nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import mean
from typing import TYPE_CHECKING

from reranker.errors import InputError
from reranker.explain.cost import Cost, estimate_cost
from reranker.explain.edits import Edit, apply_edits
from reranker.explain.shares import Span, find_words
from reranker.quotes import locate_quote
from reranker.types import Evidence, Justification, Passage, RankedHit, RankingTrace, Verdict

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench

VERDICT_GRADES: dict[Verdict, int] = {"answers": 3, "partial": 2, "related": 1, "off_topic": 0}


@dataclass(frozen=True, kw_only=True, slots=True)
class FaithfulnessRequest:
    """random_spans: runs of words to compare each quote with. reread: how many passages stage 2
    reads again without their evidence (two readings each: one more without other words)."""

    random_spans: int = 10
    reread: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reread:
    """Ranks and verdict once the evidence is gone, and once as many other words are gone."""

    rank: int
    verdict: Verdict | None
    rank_random: int
    verdict_random: Verdict | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceCheck:
    """One passage's quotes.

    exact: quotes that stand where they say; normalized: found at least with case, white space and
    typography made equal; missing: quotes the student wrote that are nowhere. comprehensiveness:
    logits lost without the evidence; sufficiency: logits lost with the evidence alone (lower is
    better); random_…: the mean over random runs of as many words; beaten: share of them that lose
    less than the evidence does. None where the passage has no evidence or nothing beside it.
    """

    doc_id: str
    rank: int
    verdict: Verdict | None
    exact: int
    normalized: int
    missing: int
    words: int
    comprehensiveness: float | None = None
    random_comprehensiveness: float | None = None
    sufficiency: float | None = None
    random_sufficiency: float | None = None
    beaten: float | None = None
    reread: Reread | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contradiction:
    """A passage placed above another that the student itself judged better."""

    above: str
    below: str
    verdict_above: Verdict
    verdict_below: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class FaithfulnessReport:
    """consistency: share of pairs with different verdicts that stand in the verdicts' order; None
    without such pairs. pairs: how many there were. contradictions: the others, worst first."""

    checks: tuple[EvidenceCheck, ...]
    consistency: float | None
    pairs: int
    contradictions: tuple[Contradiction, ...]

    def summarize(self) -> dict[str, float]:
        """The ranking's means by name; a measure that no passage has is left out."""
        found: dict[str, float] = {}
        quotes = sum(c.normalized + c.missing for c in self.checks)
        if quotes:
            found["quotes that exist exactly"] = sum(c.exact for c in self.checks) / quotes
            found["quotes that exist normalised"] = sum(c.normalized for c in self.checks) / quotes
        measured = [c for c in self.checks if c.comprehensiveness is not None]
        for name, field in (
            ("comprehensiveness", "comprehensiveness"),
            ("comprehensiveness of random words", "random_comprehensiveness"),
            ("sufficiency (lower is better)", "sufficiency"),
            ("sufficiency of random words", "random_sufficiency"),
            ("random words beaten", "beaten"),
        ):
            values = [value for c in measured if (value := getattr(c, field)) is not None]
            if values:
                found[name] = mean(values)
        if self.consistency is not None:
            found["verdicts that bear out the order"] = self.consistency
        return found


def estimate_faithfulness(trace: RankingTrace, request: FaithfulnessRequest) -> Cost:
    """Two texts for every cited passage, and two for each random run."""
    cited = sum(bool(note.evidence) for note in trace.justifications.values())
    scorings = cited * 2 * (1 + request.random_spans) + len(trace.hits)
    return estimate_cost(trace, scorings=scorings, rankings=2 * min(request.reread, cited))


def check_faithfulness(bench: Workbench, request: FaithfulnessRequest) -> FaithfulnessReport:
    """Raises InputError for a ranking that stage 2 has not justified."""
    base, _ = bench.baseline()
    if not base.justifications:
        raise InputError(
            "expected a ranking with justifications, got one without stage 2; rank with both stages"
        )
    hits = [hit for hit in base.ranked_hits() if hit.justification]
    scores = {s.doc_id: s.score for s in bench.score([hit.passage for hit in hits])}
    bench.tell("checking quotes", len(hits))
    checks = []
    for hit in hits:
        check = _check_quotes(base, hit)
        checks.append(_measure(bench, request, hit, check, scores[hit.passage.doc_id]))
    if request.reread:
        checks = _reread(bench, request, hits, checks)
    pairs, contradictions = find_contradictions(hits)
    return FaithfulnessReport(
        checks=tuple(checks),
        consistency=1 - len(contradictions) / pairs if pairs else None,
        pairs=pairs,
        contradictions=contradictions,
    )


def find_contradictions(hits: Sequence[RankedHit]) -> tuple[int, tuple[Contradiction, ...]]:
    """Pairs whose verdicts differ, and those of them that stand the wrong way round. hits: in
    final order."""
    judged = [
        (hit.passage.doc_id, note.verdict)
        for hit in hits
        if (note := hit.justification) and note.verdict and note.source == "model"
    ]
    pairs, wrong = 0, []
    for (above, first), (below, second) in combinations(judged, 2):
        gap = VERDICT_GRADES[second] - VERDICT_GRADES[first]
        pairs += gap != 0
        if gap > 0:
            found = Contradiction(
                above=above, below=below, verdict_above=first, verdict_below=second
            )
            wrong.append((gap, found))
    wrong.sort(key=lambda item: -item[0])
    return pairs, tuple(found for _, found in wrong)


def _check_quotes(trace: RankingTrace, hit: RankedHit) -> EvidenceCheck:
    note, text = hit.justification, hit.passage.text
    assert note is not None  # only justified hits come here
    lost = [
        d.detail
        for d in trace.defects
        if d.kind == "quote_not_found" and d.doc_id == hit.passage.doc_id
    ]
    return EvidenceCheck(
        doc_id=hit.passage.doc_id,
        rank=hit.rank,
        verdict=note.verdict,
        exact=sum(text[e.start : e.end] == e.text for e in note.evidence),
        normalized=sum(locate_quote(e.text, text) is not None for e in note.evidence),
        missing=len(lost),
        words=sum(len(e.text.split()) for e in note.evidence),
    )


def _measure(
    bench: Workbench,
    request: FaithfulnessRequest,
    hit: RankedHit,
    check: EvidenceCheck,
    full: float,
) -> EvidenceCheck:
    """The check with scores of the passage without and with only its evidence."""
    note = hit.justification
    assert note is not None
    rng = random.Random(f"{request.seed} {hit.passage.doc_id}")
    cited = list_cited(hit.passage.text, note)
    if not cited or len(cited) == len(find_words(hit.passage.text)):
        return check
    others = [
        draw_run(len(find_words(hit.passage.text)), len(cited), rng)
        for _ in range(request.random_spans)
    ]
    passages = [
        _fragment(hit.passage, words, keep) for words in (cited, *others) for keep in (False, True)
    ]
    scores = [s.score for s in bench.score(passages)]
    bench.tell("scoring passages without their evidence", len(passages))
    without, alone = ([full - s for s in scores[start::2]] for start in (0, 1))
    return replace(
        check,
        comprehensiveness=without[0],
        sufficiency=alone[0],
        random_comprehensiveness=mean(without[1:]) if others else None,
        random_sufficiency=mean(alone[1:]) if others else None,
        beaten=mean(without[0] > other for other in without[1:]) if others else None,
    )


def list_cited(text: str, note: Justification) -> list[int]:
    """Positions of the words that lie in a quote."""
    return [place for place, span in enumerate(find_words(text)) if _is_cited(span, note.evidence)]


def _is_cited(word: Span, evidence: Sequence[Evidence]) -> bool:
    return any(word[0] < span.end and span.start < word[1] for span in evidence)


def draw_run(words: int, length: int, rng: random.Random) -> list[int]:
    """Positions of a random run of `length` neighbouring words."""
    start = rng.randint(0, max(0, words - length))
    return list(range(start, min(words, start + length)))


def _fragment(passage: Passage, chosen: Sequence[int], keep: bool) -> Passage:
    """The passage with only the chosen words, or with all but them."""
    wanted = set(chosen)
    words = [
        passage.text[start:end]
        for place, (start, end) in enumerate(find_words(passage.text))
        if (place in wanted) == keep
    ]
    return replace(passage, doc_id=f"{passage.doc_id} (edited)", text=" ".join(words))


def _reread(
    bench: Workbench,
    request: FaithfulnessRequest,
    hits: Sequence[RankedHit],
    checks: list[EvidenceCheck],
) -> list[EvidenceCheck]:
    """Stage 2 once more on the first passages, without their evidence and without other words."""
    done, read = 0, []
    for hit, check in zip(hits, checks, strict=True):
        if done >= request.reread or check.comprehensiveness is None:
            read.append(check)
            continue
        done += 1
        rng = random.Random(f"{request.seed} again {hit.passage.doc_id}")
        assert hit.justification is not None
        cited = list_cited(hit.passage.text, hit.justification)
        other = draw_run(len(find_words(hit.passage.text)), len(cited), rng)
        found = [_stand_without(bench, hit.passage, words) for words in (cited, other)]
        (rank, verdict), (rank_random, verdict_random) = found
        read.append(
            replace(
                check,
                reread=Reread(
                    rank=rank,
                    verdict=verdict,
                    rank_random=rank_random,
                    verdict_random=verdict_random,
                ),
            )
        )
    return read


def _stand_without(
    bench: Workbench, passage: Passage, words: Sequence[int]
) -> tuple[int, Verdict | None]:
    edit = Edit(doc_id=passage.doc_id, text=_fragment(passage, words, keep=False).text)
    trace = bench.rank(hits=apply_edits(bench.trace.hits, [edit]))
    bench.tell("reading the list with words left out")
    hit = next(h for h in trace.ranked_hits() if h.passage.doc_id == passage.doc_id)
    return hit.rank, hit.justification.verdict if hit.justification else None
