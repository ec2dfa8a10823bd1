"""Justifications drawn at random, for people to judge one by one.

    python -m benchmarks.samples [--count 50] [--seed 0] [--out docs/samples/mini.md]

Half come from rankings of everyday-science, half from SQuAD dev windows where $DEAR_DATA has them.
Judgements are kept beside the output, in a .json file from sample number to the faults found
("not fluent", "not specific", "false: …"; an empty list for none); they are shown with the
samples and counted, and belong to these texts alone: another draw or student drops them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality import DATA, load_collection
from reranker.config import DEFAULT_STUDENT
from reranker.corpora.corpus import make_corpus
from reranker.pipeline import rank
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.student.student import Student, load_student
from reranker.training.sources import read_squad
from reranker.types import Query, RankSettings

WINDOW = 10
PER_RANKING = 2
KEPT_CHARS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One justification with what it was written about."""

    query: str
    rank: int
    title: str
    text: str
    verdict: str
    quote: str
    reason: str


def list_requests(random_: random.Random, count: int) -> Iterator[RankRequest]:
    """Requests from both collections, half of each where both are there."""
    science = load_collection("everyday-science")
    assert science is not None
    requests = list(science.requests)
    random_.shuffle(requests)
    with_squad = (DATA / "squad").is_dir()
    yield from requests[: count // 2 if with_squad else count]
    if with_squad:
        passages, questions = read_squad(DATA, "dev")
        retriever = build_retriever(make_corpus(passages, corpus_id="squad-dev"))
        for question in random_.sample(questions, count - count // 2):
            hits = retriever.search(question.text, WINDOW)
            yield RankRequest(
                query=Query(query_id=question.query_id, text=question.text), hits=hits
            )


def draw_samples(student: Student, count: int, seed: int) -> list[Sample]:
    """`count` justifications, PER_RANKING from each of as many rankings as that takes."""
    random_ = random.Random(seed)
    samples: list[Sample] = []
    for request in list_requests(random_, (count + 1) // PER_RANKING):
        trace = rank(student, request, RankSettings(depth=WINDOW, final="stage2"))
        for hit in random_.sample(trace.ranked_hits(), PER_RANKING):
            note = hit.justification
            samples.append(
                Sample(
                    query=request.query.text,
                    rank=hit.rank,
                    title=hit.passage.title,
                    text=hit.passage.text[:KEPT_CHARS],
                    verdict=(note.verdict or "none") if note else "none",
                    quote=" … ".join(e.text for e in note.evidence) if note else "",
                    reason=note.text if note else "",
                )
            )
        sys.stderr.write(f"{len(samples)} of {count}\n")
    return samples[:count]


def write_samples(samples: list[Sample], faults: dict[str, list[str]]) -> str:
    """The Markdown page; faults by the sample's number, empty where nobody has judged yet."""
    lines = []
    if faults:
        good = sum(not faults.get(str(number), ["not judged"]) for number in _numbers(samples))
        lines = [f"{good} of {len(samples)} are fluent, specific and true.", ""]
    for number, sample in zip(_numbers(samples), samples, strict=True):
        judged = faults.get(str(number))
        verdict = "not judged" if judged is None else ", ".join(judged) or "good"
        lines += [
            f"## {number}. {sample.query}",
            "",
            f"Place {sample.rank}, {sample.title or 'no title'}: {sample.text}",
            "",
            f"- quote: “{sample.quote}”",
            f"- verdict: **{sample.verdict}**",
            f"- reason: {sample.reason}",
            f"- judged: {verdict}",
            "",
        ]
    return "\n".join(lines)


def _numbers(samples: list[Sample]) -> range:
    return range(1, len(samples) + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", default=DEFAULT_STUDENT)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/samples/mini.md"))
    options = parser.parse_args()
    student = load_student(options.student)
    samples = draw_samples(student, options.count, options.seed)
    drawn = hashlib.sha256(repr(samples).encode()).hexdigest()
    file = options.out.with_suffix(".json")
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    faults = kept.get("faults", {}) if kept.get("samples_sha256") == drawn else {}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"samples_sha256": drawn, "faults": faults}, indent=1) + "\n", encoding="utf-8"
    )
    head = (
        f"# {options.count} justifications of {student.profile.name}, {student.quantization}\n\n"
        f"`python -m benchmarks.samples --count {options.count} --seed {options.seed}`\n\n"
    )
    options.out.write_text(head + write_samples(samples, faults), encoding="utf-8")


if __name__ == "__main__":
    main()
