"""Ranking examples: many lists of facts and verdicts, each with the order it should get.

Takes examples that reasoning.py wrote, returns new ones: their passages cut into lists of any
length, shuffled or by strength, with other verdicts. Ordering twenty passages takes a small model
more practice than the windows that were read can give, and needs no passage text.

    python -m reranker.training.rankings --examples FILE --out FILE [--count N] [--seed S]

The order to learn is by strength. Verdicts decide only between passages of one level; a former
belief costs more than a level, an instruction to the ranker two: more than any verdict can win
back, so that it never pays, and not more, for what else stands in the passage still counts.
Bolder rules were tried with the student's own verdicts on TREC DL21 and SQuAD dev: ordering by
verdict alone cost nDCG, and so did demoting repeats, which are as relevant as what they repeat; a
penalty for negations made no difference.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reranker.prompts.digest import END, NOTE, RANKING, REPEATS, VERDICT_MARKERS
from reranker.types import Verdict

VERDICT_WORTH: dict[Verdict | None, float] = {
    "answers": 0.4, "partial": 0.2, "related": 0.0, "off_topic": -0.4, None: 0.0,
}  # fmt: skip
CUE_WORTH = {"": 0.0, "negated": 0.0, "past belief": -1.5, "instruction": -2.0}
SIZES = (3, 20)
SHUFFLED_SHARE, UNREAD_SHARE, REDRAWN_SHARE = 0.4, 0.15, 0.3
CUE_SHARES = {"past belief": 0.3, "instruction": 0.2}
"""Of the lists: one passage more in them is said to report a former belief, or to instruct."""

_VERDICTS: dict[str, Verdict | None] = {m: v for v, m in VERDICT_MARKERS.items()} | {NOTE: None}
_LINE = re.compile(
    rf"\[\d+\](?P<marker>{'|'.join(map(re.escape, _VERDICTS))}) (?P<strength>\d)"
    rf" (?P<coverage>\d+/\d+)(?: (?P<cue>negated|past belief|instruction))?"
    rf"(?P<repeats>{re.escape(REPEATS)}\[\d+\])?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What a ranking prompt says of one passage (see prompts/digest.py)."""

    verdict: Verdict | None
    strength: int
    coverage: str
    cue: str = ""
    repeats: bool = False


def order_lines(lines: Sequence[Line]) -> list[int]:
    """Positions in the order to learn; equals keep the order they came in."""
    return sorted(range(len(lines)), key=lambda position: -_weigh(lines[position]))


def _weigh(line: Line) -> float:
    return line.strength + VERDICT_WORTH[line.verdict] + CUE_WORTH[line.cue]


def read_lines(prompt: str) -> tuple[str, list[Line]]:
    """A ranking prompt's beginning (query and kind of answer) and its lines."""
    first = _LINE.search(prompt)
    if first is None:
        raise ValueError(f"expected a ranking prompt, got {prompt[:80]!r}")
    lines = [
        Line(
            verdict=_VERDICTS[match["marker"]],
            strength=int(match["strength"]),
            coverage=match["coverage"],
            cue=match["cue"] or "",
            repeats=match["repeats"] is not None,
        )
        for match in _LINE.finditer(prompt)
    ]
    return prompt[: first.start()], lines


def order_prompt(prompt: str) -> dict[str, str]:
    """A ranking prompt with the answer to learn."""
    _, lines = read_lines(prompt)
    order = " > ".join(f"[{position + 1}]" for position in order_lines(lines))
    return {"kind": "ranking", "prompt": prompt, "answer": f"{order}{END}"}


def write_example(head: str, lines: Sequence[Line]) -> dict[str, str]:
    """Prompt and answer; a repeated passage is said to repeat the strongest line above it."""
    written = []
    for position, line in enumerate(lines):
        marker = VERDICT_MARKERS[line.verdict] if line.verdict else NOTE
        above = max(range(position), key=lambda p: lines[p].strength, default=None)
        repeats = f"{REPEATS}[{above + 1}]" if line.repeats and above is not None else ""
        cue = f" {line.cue}" if line.cue else ""
        written.append(f"[{position + 1}]{marker} {line.strength} {line.coverage}{cue}{repeats}")
    return order_prompt(f"{head}{''.join(written)}{RANKING}")


def vary_lines(lines: Sequence[Line], random_: random.Random) -> list[Line]:
    """Some of the lines in an order of their own, some with another verdict."""
    low, high = SIZES
    # Long lists are the harder ones, and what a page asks for.
    count = min(round(random_.triangular(low, high, high)), len(lines))
    chosen = random_.sample(list(lines), count)
    for cue, share in CUE_SHARES.items():
        if random_.random() < share:
            place = random_.randrange(count)
            chosen[place] = replace(chosen[place], cue=cue)
    if random_.random() > SHUFFLED_SHARE:
        chosen.sort(key=lambda line: -line.strength)
    unread = random_.random() < UNREAD_SHARE
    verdicts = list(VERDICT_MARKERS)

    def redraw(line: Line) -> Verdict | None:
        if unread:
            return None
        if line.verdict is None or random_.random() < REDRAWN_SHARE:
            return random_.choice(verdicts)
        return line.verdict

    return [replace(line, verdict=redraw(line)) for line in chosen]


def write_rankings(
    records: Sequence[dict[str, str]], count: int, random_: random.Random
) -> Iterator[dict[str, str]]:
    """`count` examples from ranking records; long lists are made of two windows' lines."""
    read = [read_lines(record["prompt"]) for record in records]
    for _ in range(count):
        head, lines = random_.choice(read)
        pool = lines + random_.choice(read)[1] if random_.random() < 0.5 else lines
        yield write_example(head, vary_lines(pool, random_))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=Path, required=True, help="what reasoning.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="jsonl file to write")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with options.examples.open(encoding="utf-8") as lines:
        records = [r for line in lines if (r := json.loads(line))["kind"] == "ranking"]
    with options.out.open("w", encoding="utf-8") as out:
        for example in write_rankings(records, options.count, random.Random(options.seed)):
            out.write(json.dumps(example, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
