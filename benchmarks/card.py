"""The figures in the model card and the README, taken from the pages the other benchmarks wrote.

    python -m benchmarks.card

Fills what stands between the marks `<!-- figures -->` and `<!-- end of figures -->` in both, so
that no figure is copied by hand; a test says when they have fallen behind. Sources: mini.md
(benchmarks.quality), systems.md (benchmarks.systems) and reasons.md (benchmarks.reasons) in
docs/benchmarks, and docs/samples/mini.json (judgements on benchmarks.samples). The rest of both
is written by a person.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.live_app import ROOT
from benchmarks.quality import name_blend
from reranker.config import DEFAULT_STUDENT, STUDENTS, load_profile

START, END = "<!-- figures -->", "<!-- end of figures -->"
CARD, README = STUDENTS / DEFAULT_STUDENT / "README.md", ROOT / "README.md"
PAGES, SAMPLES = ROOT / "docs" / "benchmarks", ROOT / "docs" / "samples" / "mini.json"
QUALITY, SYSTEMS, REASONS = PAGES / "mini.md", PAGES / "systems.md", PAGES / "reasons.md"

COLLECTIONS = {
    "everyday-science": "everyday-science (49 queries)",
    "dl21": "TREC DL21 (53)",
    "dl19": "TREC DL19 (43)",
    "scifact": "SciFact (300)",
}
STAGE1_GOALS = {
    "everyday-science": "BM25 + 0.10", "dl21": "0.61", "dl19": "0.68", "scifact": "0.69",
}  # fmt: skip
BLEND = "both blended"
SYSTEM_NAMES = {
    "bm25": "BM25",
    f"{DEFAULT_STUDENT}:stage1": "stage 1",
    f"{DEFAULT_STUDENT}:both": "stage 2",
    f"{DEFAULT_STUDENT}:blend": BLEND,
}
REASON_GOALS = {
    "the gold's quote holds the answer": "at least 0.75",
    'verdict "answers" on the gold': "at least 0.80",
    'verdict "answers" on a passage without the answer': "at most 0.15",
    "QED: the quote is the sentence a person chose": "at least 0.65",
}
GOOD_SAMPLES = "at least 45"

Figures = Mapping[str, Mapping[str, str]]
"""Collection -> system -> nDCG@10 as printed."""


def read_rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of every Markdown table."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def read_figures(quality: str, systems: str) -> Figures:
    """From both pages; where both have a figure, from the quality page."""
    figures: dict[str, dict[str, str]] = {}
    for section in re.split(r"^## ", systems, flags=re.M)[1:]:
        name = section.split()[0]
        for system, value, *_ in read_rows(section):
            if system in SYSTEM_NAMES:
                figures.setdefault(name, {}).setdefault(SYSTEM_NAMES[system], value.split()[0])
    for name, system, value, *_ in read_rows(quality):
        if name in COLLECTIONS and system:
            figures.setdefault(name, {})[system] = value.split()[0]
    return figures


def tabulate_figures(figures: Figures, systems: Sequence[str], goals: bool) -> list[str]:
    """A row a collection; – where a page has no such figure."""
    head = ["nDCG@10", *systems, *(["goal of stage 1"] if goals else [])]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, title in COLLECTIONS.items():
        cells = [title, *(figures.get(name, {}).get(system, "–") for system in systems)]
        lines.append(f"| {' | '.join([*cells, *([STAGE1_GOALS[name]] if goals else [])])} |")
    return lines


def tabulate_reasons(reasons: str, samples: str) -> list[str]:
    """What the reasons were held to, and what they reached."""
    lines = ["| reasons | measured | goal |", "|---|---|---|"]
    for measure, value, *_ in read_rows(reasons):
        if measure in REASON_GOALS:
            lines.append(f"| {measure} | {value} | {REASON_GOALS[measure]} |")
    faults = json.loads(samples)["faults"]
    if faults:
        good = sum(not found for found in faults.values())
        lines.append(
            f"| judged one by one: fluent, specific and true | {good} of {len(faults)} | "
            f"{GOOD_SAMPLES} |"
        )
    return lines


def write_figures() -> dict[Path, list[str]]:
    """What belongs between the marks of each page."""
    texts = {
        path: path.read_text(encoding="utf-8") for path in (QUALITY, SYSTEMS, REASONS, SAMPLES)
    }
    profile = load_profile()
    blend = name_blend(profile.bm25_weight, profile.nearness_weight, feedback=profile.feedback)
    whole = f"{blend} + {profile.stage2_weight:g} stage 2"
    figures = {  # the quality page calls the blend by its weights
        name: {**found, **({BLEND: found[whole]} if whole in found else {})}
        for name, found in read_figures(texts[QUALITY], texts[SYSTEMS]).items()
    }
    return {
        CARD: [
            *tabulate_figures(figures, ("BM25", "stage 1", blend, "stage 2", BLEND), goals=True),
            "",
            *tabulate_reasons(texts[REASONS], texts[SAMPLES]),
        ],
        README: tabulate_figures(figures, ("BM25", "stage 1", "stage 2", BLEND), goals=False),
    }


def fill(text: str, lines: Sequence[str]) -> str:
    """`text` with `lines` between its marks. Raises ValueError where it has none."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"expected {START} and {END}, got a page without them; put them in")
    return "\n".join([before + START, "", *lines, "", END + after])


def main() -> None:
    for path, lines in write_figures().items():
        path.write_text(fill(path.read_text(encoding="utf-8"), lines), encoding="utf-8")
        sys.stdout.write("\n".join([str(path.relative_to(ROOT)), *lines, ""]) + "\n")


if __name__ == "__main__":
    main()
