"""The nouns that cross stage boundaries: frozen, keyword-only records.

Takes nothing, returns nothing, knows no stage: every other module imports these and none
of them is imported here. rank is 1-based, position is 0-based, score is always a raw
stage-1 logit, and a window is half-open [start, end).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Verdict = Literal["answers", "partial", "related", "off_topic"]
VERDICTS: tuple[Verdict, ...] = ("answers", "partial", "related", "off_topic")

Quantization = Literal["nf4", "fp4", "int8", "bf16", "fp32"]
TrainingQuantization = Literal["nf4", "bf16", "fp32"]
Mode = Literal["reason_first", "rank_first"]
FinalOrder = Literal["stage2", "blend", "stage1", "agreed"]
DefectKind = Literal[
    "wrong_format", "repetition", "missing", "out_of_range", "quote_not_found", "no_justification"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """The ranked unit. `doc_id` is its key everywhere; offsets always count into `text`."""

    doc_id: str
    text: str
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A query and its key."""

    query_id: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TermWeight:
    """What one query term added to a BM25 score. `term` is the query's surface form."""

    term: str
    weight: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One first-stage candidate. The terms' weights sum to `bm25_score`.

    `bm25_score` is None when the candidates came as a pasted list without scores.
    """

    passage: Passage
    rank: int
    bm25_score: float | None = None
    terms: tuple[TermWeight, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SentenceScore:
    """How strongly stage 1 ties one sentence, text[start:end], to the query (a logit)."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """A passage measured again with the query read beside the passage that leads.

    score: the logit then; nearness: the cosine of its embedding to that of the best other passage
    by these logits.
    """

    score: float
    nearness: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PassageScore:
    """Stage 1's reading of one passage.

    `score` is the raw logit. `passage_tokens` counts the tokens read; `truncated` says that
    the passage was longer than that. `sentences` is empty for forms that score only whole pairs.
    `nearness` holds the cosines of the passage's embedding to those of the two best other passages
    it was scored with, the best one first; () for forms without embeddings and where there was no
    other. `feedback` is None there as well.
    """

    doc_id: str
    score: float
    passage_tokens: int
    truncated: bool = False
    sentences: tuple[SentenceScore, ...] = ()
    nearness: tuple[float, ...] = ()
    feedback: Feedback | None = None


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Window:
    """Candidates at positions [start, end) of the order a window was read in."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Defect:
    """Something in generated text that had to be repaired or could not be trusted."""

    kind: DefectKind
    detail: str
    window_index: int
    doc_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A verbatim quote: `text` equals passage.text[start:end]."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Justification:
    """What the user reads about one passage.

    `source` says where the words came from: "model" for the student's own decoding,
    "fallback" for a sentence the program put in because the student wrote none.
    """

    doc_id: str
    verdict: Verdict | None
    text: str
    evidence: tuple[Evidence, ...] = ()
    source: Literal["model", "fallback"] = "model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One raw output of stage 2 with what produced it.

    `doc_id` is set when it is about one passage.
    """

    purpose: Literal["note", "ranking", "reading"]
    prompt_sha256: str
    prompt_tokens: int
    text: str
    tokens: int
    doc_id: str = ""
    stopped_by: Literal["end", "length"] = "end"


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowReading:
    """Stage 2 over one window.

    `doc_ids` is the order the window was read in; `permutation` holds 0-based positions
    into it, best first, each exactly once.
    """

    index: int
    window: Window
    doc_ids: tuple[str, ...]
    permutation: tuple[int, ...]
    justifications: tuple[Justification, ...]
    generations: tuple[Generation, ...]
    defects: tuple[Defect, ...] = ()
    seconds: float = 0.0

    @property
    def ranked_doc_ids(self) -> tuple[str, ...]:
        return tuple(self.doc_ids[position] for position in self.permutation)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShuffledReading:
    """The order stage 2 made of a shuffled list: doc_ids as `shown` and as `given` back."""

    shown: tuple[str, ...]
    given: tuple[str, ...]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RankSettings:
    """Everything a person may choose about one ranking; None takes the profile's value.

    depth: candidates ranked by stage 1; stage2_depth: how many of the best of these stage 2
    reads (None: all). window_size, stride: 0 is taken for None; a stride of None is never larger
    than the window. shuffles: further readings of shuffled lists where final is "agreed". guard:
    marks of prompts and controls in passages are made harmless before stage 2 reads them, and
    instructions pointed out; off only to see what that is worth.
    """

    depth: int = 20
    stage2_depth: int | None = None
    stages: Literal["none", "1", "2", "both"] = "both"
    mode: Mode = "reason_first"
    final: FinalOrder | None = None
    window_size: int | None = None
    stride: int | None = None
    grounding: bool = True
    seed: int = 0
    shuffles: int = 8
    guard: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentInfo:
    """Which weights answered, exactly. Hashes are SHA-256 over the adapter's safetensors."""

    name: str
    quantization: Quantization
    device: str
    stage1_base: str = ""
    stage2_base: str = ""
    stage1_adapter_sha256: str = ""
    stage2_adapter_sha256: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTiming:
    """Wall-clock seconds one stage took; "shuffles" are stage 2's readings of shuffled lists."""

    stage: Literal["bm25", "stage1", "stage2", "shuffles"]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedHit:
    """One line of the final ranking, everything known about a passage joined."""

    passage: Passage
    rank: int
    rank_bm25: int
    bm25_score: float | None
    rank_stage1: int | None
    score: float | None
    truncated: bool
    justification: Justification | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RankingTrace:
    """The append-only record of one ranking.

    Each stage returns a fuller copy (`with_…`); nothing recorded is ever overwritten.
    `final_order` holds every candidate's doc_id, best first, and is always derived from the
    last stage that finished.
    """

    query: Query
    corpus_id: str
    corpus_sha256: str
    settings: RankSettings
    student: StudentInfo
    hits: tuple[Hit, ...]
    stage1: tuple[PassageScore, ...] = ()
    readings: tuple[WindowReading, ...] = ()
    final_order: tuple[str, ...] = ()
    final_source: Literal["bm25", "stage1", "stage2", "blend", "agreed"] = "bm25"
    shuffled: tuple[ShuffledReading, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    complete: bool = False
    error: str = ""
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    format: Literal["dear-trace/1"] = "dear-trace/1"

    def with_stage(self, **changes: object) -> RankingTrace:
        """A fuller copy. Tuples are given whole: what was recorded, then what is new."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def defects(self) -> tuple[Defect, ...]:
        return tuple(defect for reading in self.readings for defect in reading.defects)

    @property
    def bm25_order(self) -> tuple[str, ...]:
        return tuple(hit.passage.doc_id for hit in self.hits)

    @property
    def stage1_order(self) -> tuple[str, ...]:
        """doc_ids by falling logit; ties keep the first stage's order. Empty before stage 1."""
        if not self.stage1:
            return ()
        positions = {doc_id: position for position, doc_id in enumerate(self.bm25_order)}
        ordered = sorted(self.stage1, key=lambda s: (-s.score, positions[s.doc_id]))
        return tuple(s.doc_id for s in ordered)

    @property
    def stage2_order(self) -> tuple[str, ...]:
        """Stage 2's own order, whatever was blended with it afterwards."""
        order = list(self.stage1_order or self.bm25_order)
        for reading in self.readings:
            order[reading.window.start : reading.window.end] = reading.ranked_doc_ids
        return tuple(order)

    @property
    def justifications(self) -> dict[str, Justification]:
        """The latest justification of each passage (a passage can be read in several windows)."""
        return {j.doc_id: j for reading in self.readings for j in reading.justifications}

    @property
    def stage2_changes(self) -> int:
        """How many places of the stage-1 order stage 2 changed."""
        before = self.stage1_order or self.bm25_order
        if not self.readings or len(before) != len(self.final_order):
            return 0
        return sum(a != b for a, b in zip(before, self.final_order, strict=True))

    def ranked_hits(self) -> tuple[RankedHit, ...]:
        """Every candidate in final order, all evidence joined."""
        hits = {hit.passage.doc_id: hit for hit in self.hits}
        scores = {s.doc_id: s for s in self.stage1}
        stage1_ranks = {d: rank for rank, d in enumerate(self.stage1_order, start=1)}
        justifications = self.justifications
        return tuple(
            RankedHit(
                passage=hits[doc_id].passage,
                rank=rank,
                rank_bm25=hits[doc_id].rank,
                bm25_score=hits[doc_id].bm25_score,
                rank_stage1=stage1_ranks.get(doc_id),
                score=scores[doc_id].score if doc_id in scores else None,
                truncated=scores[doc_id].truncated if doc_id in scores else False,
                justification=justifications.get(doc_id),
            )
            for rank, doc_id in enumerate(self.final_order or self.bm25_order, start=1)
        )
