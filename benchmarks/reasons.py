"""How right the reasons are: quotes and verdicts on SQuAD dev windows, verdicts on TREC DL21,
quotes on QED.

    python -m benchmarks.reasons [--student mini] [--windows 200] [--out FILE]

A SQuAD window holds the passage a question was asked about among its BM25 neighbours; a passage
holds the answer where its text does. On DL21 the best twenty are read and compared with people's
grades. On QED the student reads one paragraph, and its quote is compared with the sentence a
person chose. Needs $DEAR_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.quality import DATA, DEPTH, STAGE2_DEPTH, load_collection
from reranker.config import DEFAULT_STUDENT
from reranker.corpora import list_hits
from reranker.corpora.corpus import make_corpus
from reranker.digest import Digest, digest_window
from reranker.evaluation.statistics import bootstrap_mean
from reranker.pipeline import rank
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.student.student import Student, load_student
from reranker.training.sources import Question, read_squad
from reranker.types import Passage, Query, RankingTrace, RankSettings
from reranker.verdicts import NEAR, STRONG, STRONG_NEAR, TITLED_NEAR

WINDOW = 10
# What `shows_topic` tells apart by nearness to the best passages, the title and the strength.
GROUPS = (
    f"nearness of 0.{NEAR} and more",
    f"nearness of 0.{STRONG_NEAR}, strong or titled",
    f"nearness of 0.{STRONG_NEAR}, neither",
    f"nearness of 0.{TITLED_NEAR}, titled",
    f"nearness of 0.{TITLED_NEAR}, not titled",
    f"nearness below 0.{TITLED_NEAR}",
)
Values = dict[str, list[float]]


def measure_squad(student: Student, windows: int, seed: int) -> Values:
    """Each measure's values, one a window (or a passage)."""
    passages, questions = read_squad(DATA, "dev")
    gold = {p.doc_id: p for p in passages}
    retriever = build_retriever(make_corpus(passages, corpus_id="squad-dev"))
    chosen = random.Random(seed).sample(questions, windows)
    values: Values = defaultdict(list)
    for group in GROUPS:
        values[f"{group}: of the question's article"] = []  # in this order in the table
    for number, question in enumerate(chosen, start=1):
        hits = [hit.passage for hit in retriever.search(question.text, WINDOW)]
        if question.doc_id not in [p.doc_id for p in hits]:
            hits = [*hits[: WINDOW - 1], gold[question.doc_id]]
        trace = _read(student, question.query_id, question.text, hits)
        _add_window(values, trace, question, gold[question.doc_id].title)
        _tell("SQuAD", number, windows)
    return values


def _add_window(values: Values, trace: RankingTrace, question: Question, title: str) -> None:
    """title: of the article the question was asked about."""
    answer = question.answer.lower()
    digests = _digest(trace)
    for hit in trace.ranked_hits():
        note = hit.justification
        text = hit.passage.text
        quotes = [span.text for span in note.evidence] if note else []
        own = note is not None and note.source == "model"
        values["passage has a note of the student's own"].append(own)
        values["its quote is verbatim"].append(bool(quotes) and all(q in text for q in quotes))
        verdict = note.verdict if note else None
        if hit.passage.doc_id == question.doc_id:
            values["the gold's quote holds the answer"].append(
                any(answer in quote.lower() for quote in quotes)
            )
            values['verdict "answers" on the gold'].append(verdict == "answers")
            assert hit.rank_stage1 is not None
            values["gold first, stage 1"].append(hit.rank_stage1 == 1)
            values["gold first, stage 2"].append(hit.rank == 1)
            continue
        same = hit.passage.title == title
        values[f"{_group(digests[hit.passage.doc_id])}: of the question's article"].append(same)
        article = "the question's article" if same else "another article"
        values[f'verdict "off_topic" on a passage of {article}'].append(verdict == "off_topic")
        if answer not in text.lower():
            values['verdict "answers" on a passage without the answer'].append(verdict == "answers")
    values["rankings stage 2 changed"].append(trace.stage2_changes > 0)
    values["defects in a ranking"].append(len(trace.defects))


def _digest(trace: RankingTrace) -> dict[str, Digest]:
    """What stage 2 was told of each passage it read, by doc_id."""
    hits = [hit for hit in trace.ranked_hits() if hit.rank_stage1 and hit.justification]
    hits.sort(key=lambda hit: hit.rank_stage1 or 0)
    scores = {score.doc_id: score for score in trace.stage1}
    digests = digest_window(
        trace.query.text,
        [hit.passage for hit in hits],
        [scores[hit.passage.doc_id] for hit in hits],
        [hit.rank_stage1 or 0 for hit in hits],
    )
    return {digest.doc_id: digest for digest in digests}


def _group(digest: Digest) -> str:
    level = digest.nearness or 0
    if level >= NEAR:
        return GROUPS[0]
    if level >= STRONG_NEAR:
        return GROUPS[1] if digest.strength >= STRONG or digest.titled else GROUPS[2]
    if level >= TITLED_NEAR:
        return GROUPS[3] if digest.titled else GROUPS[4]
    return GROUPS[5]


def measure_trec(student: Student) -> Values:
    """Verdicts against the grades of TREC DL21, and what nearness says of them."""
    collection = load_collection("dl21")
    values: Values = defaultdict(list)
    if collection is None:
        return values
    for group in GROUPS:
        values[f"DL21, {group}: grade 1 and more"] = []
    for number, request in enumerate(collection.requests, start=1):
        trace = rank(
            student, request, RankSettings(depth=DEPTH, stage2_depth=STAGE2_DEPTH, final="stage2")
        )
        grades = collection.qrels[request.query.query_id]
        digests = _digest(trace)
        for hit in trace.ranked_hits():
            grade = grades.get(hit.passage.doc_id)
            digest = digests.get(hit.passage.doc_id)
            if grade is None or digest is None or hit.justification is None:
                continue
            if digest.nearness is not None:
                values[f"DL21, {_group(digest)}: grade 1 and more"].append(grade > 0)
            shown = "2 or 3" if grade > 1 else grade
            for verdict in ("answers", "off_topic"):
                name = f'DL21: verdict "{verdict}" on grade {shown}'
                values[name].append(hit.justification.verdict == verdict)
        _tell("DL21", number, len(collection.requests))
    return {name: values[name] for name in sorted(values, key=_place)}


def _place(name: str) -> tuple[bool, str]:
    """Groups first and in their own order, then verdicts by name."""
    return (True, name) if "verdict" in name else (False, "")


def measure_qed(student: Student, count: int, seed: int) -> Values:
    """Whether the quote lies in the sentence a person chose."""
    with gzip.open(DATA / "qed" / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for line in lines if _selected(row := json.loads(line))[1]]
    chosen = random.Random(seed).sample(rows, min(count, len(rows)))
    values: Values = defaultdict(list)
    for number, row in enumerate(chosen, start=1):
        start, end = _selected(row)
        passage = Passage(doc_id="p", title=row["title_text"], text=row["paragraph_text"])
        trace = _read(student, str(row["example_id"]), row["question_text"], [passage])
        note = trace.ranked_hits()[0].justification
        shared = [min(end, s.end) - max(start, s.start) for s in (note.evidence if note else ())]
        whole = end - start
        values["QED: the quote is the sentence a person chose"].append(
            any(2 * overlap > whole for overlap in shared)
        )
        _tell("QED", number, len(chosen))
    return values


def _selected(row: dict[str, Any]) -> tuple[int, int]:
    """The chosen sentence's span; (0, 0) where the paragraph has none to choose from."""
    sentence = row["annotation"].get("selected_sentence") or {}
    return int(sentence.get("start", 0)), int(sentence.get("end", 0))


def _read(student: Student, query_id: str, text: str, passages: Iterable[Passage]) -> RankingTrace:
    hits = list_hits(tuple(passages))
    request = RankRequest(query=Query(query_id=query_id, text=text), hits=hits)
    return rank(student, request, RankSettings(depth=len(hits), final="stage2"))


def _tell(name: str, number: int, total: int) -> None:
    if number % 25 == 0:
        sys.stderr.write(f"{name}: {number} of {total}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the table here as well")
    options = parser.parse_args()
    if not (DATA / "squad").is_dir():
        raise SystemExit(f"expected squad/ and qed/ in {DATA}; set DEAR_DATA to their folder")
    student = load_student(options.student)
    values = measure_squad(student, options.windows, options.seed)
    values |= measure_trec(student)
    values |= measure_qed(student, options.windows, options.seed)
    lines = [
        f"Student {student.profile.name}, {student.quantization}; {options.windows} SQuAD dev "
        f"windows of {WINDOW}, the best {STAGE2_DEPTH} of every query of DL21 and "
        f"{options.windows} QED paragraphs, seed {options.seed}; 95 % bootstrap intervals.",
        describe_machine(),
        "",
        "| measure | value | of |",
        "|---|---|---|",
    ]
    for name, found in values.items():
        if not found:
            continue  # a group nothing fell into
        mean = bootstrap_mean({str(place): float(value) for place, value in enumerate(found)})
        lines.append(
            f"| {name} | {mean.estimate:.3f} [{mean.low:.3f}, {mean.high:.3f}] | {len(found)} |"
        )
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
