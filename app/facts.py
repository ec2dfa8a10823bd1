"""What the page says of a ranking, in plain words and numbers.

Takes traces, returns words, places and pairs of name and value. Writes no HTML and draws
nothing: html.py and figures.py do, from what is worked out here once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

from reranker.suspicion import find_suspicions
from reranker.types import Defect, DefectKind, RankedHit, RankingTrace, Verdict

UNTITLED_CHARS = 60
HASH_CHARS = 8

VERDICT_WORDS: dict[Verdict, str] = {
    "answers": "answers",
    "partial": "partial",
    "related": "related",
    "off_topic": "off topic",
}
VERDICT_MARKS: dict[Verdict, str] = {
    "answers": "●",
    "partial": "◐",
    "related": "○",
    "off_topic": "×",
}
"""A shape for every verdict, the same in charts and, by studio.css, on cards."""
DEFECT_WORDS: dict[DefectKind, str] = {
    "wrong_format": "wrong format",
    "repetition": "label repeated",
    "missing": "label missing",
    "out_of_range": "label out of range",
    "quote_not_found": "quote not found",
    "no_justification": "no note written",
}
REPAIRS: tuple[DefectKind, ...] = ("wrong_format", "repetition", "missing", "out_of_range")

StageName = Literal["bm25", "stage1", "stage2"]


class Place(NamedTuple):
    """Where one stage put a passage. `words` name the stage on the page."""

    stage: StageName
    words: str
    rank: int


def name_first_stage(trace: RankingTrace) -> str:
    """BM25, or "given" for a pasted list, whose order is the visitor's own."""
    return "BM25" if any(hit.bm25_score is not None for hit in trace.hits) else "given"


def list_places(hit: RankedHit, trace: RankingTrace) -> tuple[Place, ...]:
    """A passage's rank after each stage that ran, the present one last."""
    places = [Place("bm25", name_first_stage(trace), hit.rank_bm25)]
    if hit.rank_stage1 is not None:
        places.append(Place("stage1", "stage 1", hit.rank_stage1))
    if trace.readings:
        words = {"blend": "blend", "stage1": "final", "agreed": "agreed"}.get(
            trace.final_source, "stage 2"
        )
        places.append(Place("stage2", words, hit.rank))
    return tuple(places)


def name_passage(hit: RankedHit) -> str:
    """The title, or the beginning of the text where there is none."""
    return " ".join(hit.passage.title.split()) or _begin_text(hit)


def name_apart(trace: RankingTrace) -> dict[str, str]:
    """A name for every candidate by which it can be told from the others: its title, or the
    beginning of its text where others have the same title or it has none. By doc_id."""
    hits = trace.ranked_hits()
    titles = Counter(name_passage(hit) for hit in hits)
    return {
        hit.passage.doc_id: name if titles[name := name_passage(hit)] == 1 else _begin_text(hit)
        for hit in hits
    }


def _begin_text(hit: RankedHit) -> str:
    return shorten(" ".join(hit.passage.text.split()), UNTITLED_CHARS)


def shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def describe_move(hit: RankedHit) -> str:
    """▲ 6 for a passage six places above where the first stage put it; "" where it stayed."""
    moved = hit.rank_bm25 - hit.rank
    return f"{'▲' if moved > 0 else '▼'} {abs(moved)}" if moved else ""


def list_flags(hit: RankedHit, defects: Sequence[Defect], query: str = "") -> tuple[str, ...]:
    """What a reader should know before trusting this card. defects: those of this passage."""
    flags = []
    if hit.truncated:
        flags.append("truncated: stage 1 read only its beginning")
    for suspicion in find_suspicions(hit.passage.text, query):
        lead = "injection suspected" if suspicion.kind == "instruction" else "suspicious"
        flags.append(f"{lead}: {suspicion.words}")
    for kind, defect in {defect.kind: defect for defect in defects}.items():
        if kind == "quote_not_found":
            flags.append(f"quote not found in the passage: “{shorten(defect.detail, 80)}”")
        elif kind in REPAIRS:
            flags.append(f"repaired: {DEFECT_WORDS[kind]}")
    if hit.justification is not None and hit.justification.source == "fallback":
        flags.append("fallback text: put in by the program, not written by the student")
    return tuple(flags)


def list_integrity(trace: RankingTrace) -> tuple[tuple[str, str], ...]:
    """The integrity strip's names and values; a value is "" where it does not apply."""
    student = trace.student
    ranked_in, ranked_out = len(trace.hits), len(trace.final_order)
    truncated = sum(score.truncated for score in trace.stage1)
    sizes = [f"{r.window.start + 1}–{r.window.end}" for r in trace.readings]
    return (
        ("Candidates", f"{ranked_in} in, {ranked_out} out"),
        ("Windows", f"{len(sizes)} (places {', '.join(sizes)})" if sizes else "none read"),
        ("Truncated", f"{truncated} of {ranked_in}" if trace.stage1 else ""),
        ("Defects", describe_defects(trace)),
        ("Stage 2 changed", describe_changes(trace)),
        ("Final order", describe_final(trace)),
        ("Mode", trace.settings.mode.replace("_", " ") if trace.readings else ""),
        ("Quotes", _describe_grounding(trace)),
        ("Seed", str(trace.settings.seed)),
        ("Student", " · ".join(filter(None, [student.name, student.quantization, student.device]))),
        ("Adapters", describe_adapters(trace)),
        ("Memory", f"{student.memory_bytes / 2**20:.0f} MB" if student.memory_bytes else ""),
        ("Seconds", describe_timings(trace)),
        ("Corpus", f"{trace.corpus_id} {trace.corpus_sha256[:HASH_CHARS]}".strip()),
    )


def describe_defects(trace: RankingTrace) -> str:
    """Every kind of defect with its number; "none" only where stage 2 ran without any."""
    if not trace.readings:
        return ""
    kinds = Counter(defect.kind for defect in trace.defects)
    return ", ".join(f"{DEFECT_WORDS[kind]} {n}" for kind, n in kinds.items()) or "none"


def describe_changes(trace: RankingTrace) -> str:
    if not trace.readings:
        return ""
    return f"{trace.stage2_changes} of {len(trace.final_order)} places"


def describe_final(trace: RankingTrace) -> str:
    words = {
        "bm25": name_first_stage(trace),
        "stage1": "stage 1",
        "stage2": "stage 2",
        "agreed": f"agreed over {len(trace.shuffled)} shuffled readings",
    }
    return words.get(trace.final_source, "blend of stage 2 with stage 1")


def describe_adapters(trace: RankingTrace) -> str:
    """The adapters' hashes, shortened; "bare base" where a stage has none."""
    student = trace.student
    parts = []
    if trace.stage1:
        parts.append(f"stage 1 {student.stage1_adapter_sha256[:HASH_CHARS] or 'bare base'}")
    if trace.readings:
        parts.append(f"stage 2 {student.stage2_adapter_sha256[:HASH_CHARS] or 'bare base'}")
    return ", ".join(parts)


def describe_timings(trace: RankingTrace) -> str:
    words = {
        "bm25": name_first_stage(trace),
        "stage1": "stage 1",
        "stage2": "stage 2",
        "shuffles": "shuffled readings",
    }
    told = [t for t in trace.timings if words[t.stage] != "given"]  # a given order took no time
    return ", ".join(f"{words[t.stage]} {t.seconds:.2f}" for t in told)


def _describe_grounding(trace: RankingTrace) -> str:
    if not trace.readings:
        return ""
    return "constrained while decoding" if trace.settings.grounding else "checked afterwards"


def describe_flow(trace: RankingTrace) -> str:
    """How to read the rank flow, and the largest move in it."""
    hits = [hit for hit in trace.ranked_hits() if len(list_places(hit, trace)) > 1]
    if not hits:
        return "One order so far: nothing to compare yet."
    far = max(hits, key=lambda hit: abs(hit.rank_bm25 - hit.rank))
    lines = "Bold lines moved three places or more: solid rose, dashed fell."
    if far.rank == far.rank_bm25:
        return lines
    move = f"{name_first_stage(trace)} {far.rank_bm25} → {far.rank}"
    name = shorten(name_apart(trace)[far.passage.doc_id], 40)
    return f"{lines} Furthest: “{name}”, {move}."


def describe_scores(trace: RankingTrace) -> str:
    """How to read the panels of scores."""
    if not trace.stage1:
        return "BM25's scores in the present order. Stage 1 has not scored these passages."
    text = "Each passage's raw score in the present order, on an axis of its own: compare lengths"
    return f"{text} within a panel, never across."


def describe_distribution(trace: RankingTrace) -> str:
    """How to read the spread of stage-1 scores, with the numbers that sum it up."""
    scores = sorted(score.score for score in trace.stage1)
    if not scores:
        return "Stage 1 has not scored these passages."
    span = f"{scores[0]:.2f} to {scores[-1]:.2f}, median {median(scores):.2f}"
    rows = " The rows below “all” are stage 2's verdicts." if trace.justifications else ""
    how = "Each square is a passage at its exact score; height only keeps squares apart."
    return f"{how} Upright lines are medians.{rows} From {span}."


def describe_terms(trace: RankingTrace) -> str:
    """How to read what query words add, and which of them no candidate has."""
    if not has_terms(trace):
        return "These candidates came as a list, so BM25 has not scored them."
    nowhere = [
        term.term
        for position, term in enumerate(trace.hits[0].terms)
        if all(hit.terms[position].weight == 0 for hit in trace.hits)
    ]
    text = (
        "What each query word adds to the passage's BM25 score, repeats and rarity counted. "
        "Pale behind: the most it adds to any candidate."
    )
    if not nowhere:
        return text
    return f"{text} In no candidate: {', '.join(shorten(term, 40) for term in nowhere[:8])}."


def has_terms(trace: RankingTrace) -> bool:
    """Whether the candidates carry what each query word added, the same words for all."""
    lengths = {len(hit.terms) for hit in trace.hits}
    return len(lengths) == 1 and lengths != {0}
