"""Listwise reasoning examples built from evidence labels, without a stronger model.

Takes SQuAD and a stage-1 scorer, writes one JSON object a line: {"kind": "note" | "ranking",
"prompt", "answer"}. Windows and verdicts are those of judged_windows.py, digested by the same code
that serves the page; the wording is that of phrasing.py.

    python -m reranker.training.reasoning --data DIR --out FILE [--windows N] [--seed S]
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from reranker.config import load_profile
from reranker.digest import (
    Digest,
    digest_window,
    find_answer_kinds,
)
from reranker.prompts.digest import (
    END,
    SENTENCES,
    VERDICT_MARKERS,
    write_note_prompt,
    write_ranking_prompt,
)
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.student.student import Student
from reranker.training.judged_windows import LabelledWindow, WindowSampler
from reranker.training.phrasing import write_reason
from reranker.training.rankings import order_prompt
from reranker.training.sources import read_squad
from reranker.types import Verdict
from reranker.verdicts import open_verdicts

logger = logging.getLogger(__name__)

# Rankings without verdicts, as rank-first mode asks for them.
UNREAD = 0.2
KEPT: dict[Verdict, float] = {"answers": 1.0, "partial": 0.6, "related": 0.6, "off_topic": 0.45}
"""Share of the notes that is kept. A window has one passage that answers and many that do not, and
a small model that is unsure says what is frequent: kept as they come, it calls fewer passages
answers than there are (SQuAD dev)."""


def write_examples(window: LabelledWindow, random_: random.Random) -> Iterator[dict[str, str]]:
    """The notes of a window and its ranking, as prompt and answer."""
    digests = digest_window(window.query, window.passages, window.scores, window.ranks)
    lead = min(digests, key=lambda digest: digest.rank)
    verdicts: list[Verdict] = [
        _open(verdict, open_verdicts(digest))
        for digest, verdict in zip(digests, window.verdicts, strict=True)
    ]
    for digest, passage, verdict in zip(digests, window.passages, verdicts, strict=True):
        if not digest.sentences or random_.random() > KEPT[verdict]:
            continue
        place = _choose_sentence(window, digest)
        sentence = digest.sentences[place]
        kinds = find_answer_kinds(passage.text[sentence.start : sentence.end])
        reason = write_reason(digest, lead, verdict, kinds)
        yield {
            "kind": "note",
            "prompt": write_note_prompt(window.query, digest, lead, passage),
            "answer": f"{SENTENCES[place]}{VERDICT_MARKERS[verdict]}{reason}{END}",
        }
    yield _write_ranking(window.query, digests, verdicts, random_)


def _open(verdict: Verdict, among: Sequence[Verdict]) -> Verdict:
    """The verdict itself where it may be given, else the one beside it: no topic, or only that."""
    if verdict in among:
        return verdict
    return "related" if verdict == "off_topic" else "off_topic"


def _write_ranking(
    query: str, digests: Sequence[Digest], verdicts: Sequence[Verdict], random_: random.Random
) -> dict[str, str]:
    """A window's ranking by the rule of rankings.py; the verdicts are sometimes absent, as in
    rank-first mode."""
    unread = random_.random() < UNREAD
    shown = [None] * len(digests) if unread else list(verdicts)
    return order_prompt(write_ranking_prompt(query, digests, shown))


def _choose_sentence(window: LabelledWindow, digest: Digest) -> int:
    """Place of the digest's sentence that holds the known answer, else of the strongest one."""
    if window.answer_span and window.answer_span[0] == digest.doc_id:
        _, start, end = window.answer_span
        for place, sentence in enumerate(digest.sentences):
            if sentence.start <= start and end <= sentence.end:
                return place
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the examples; prints the progress to standard error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with squad/")
    parser.add_argument("--out", type=Path, required=True, help="jsonl file to write")
    parser.add_argument("--windows", type=int, default=12_000)
    parser.add_argument("--articles", type=int, default=200, help="SQuAD articles to draw from")
    parser.add_argument("--student", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    random_ = random.Random(options.seed)
    passages, questions = read_squad(options.data)
    titles = sorted({p.title for p in passages})
    chosen = set(random_.sample(titles, min(options.articles, len(titles))))
    passages = [p for p in passages if p.title in chosen]
    known = {p.doc_id for p in passages}
    questions = [q for q in questions if q.doc_id in known]
    student = Student(load_profile(options.student), cached_passages=2 * len(passages))
    scorer = student.scorer
    if not isinstance(scorer, BiEncoderScorer):
        parser.error(f"expected a bi-encoder student, got {options.student}")
    logger.info("encoding %d passages for %d questions", len(passages), len(questions))
    scorer.encode_passages(passages)
    sampler = WindowSampler(passages, questions, scorer)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8") as out:
        for number in range(options.windows):
            for example in write_examples(sampler.sample(random_), random_):
                out.write(json.dumps(example, ensure_ascii=False) + "\n")
            if number % 500 == 0:
                logger.info("%d of %d windows", number, options.windows)


if __name__ == "__main__":
    main()
