"""Ranking examples: the rule they teach, and that made ones read like those of the reader."""

from __future__ import annotations

import random

import pytest

from reranker.digest import Digest
from reranker.parsing import parse_ranking
from reranker.prompts.digest import RANKING, write_ranking_prompt
from reranker.training.rankings import (
    SIZES,
    Line,
    order_lines,
    order_prompt,
    read_lines,
    vary_lines,
    write_rankings,
)
from reranker.types import VERDICTS


def make_digest(position: int, **fields: object) -> Digest:
    given: dict[str, object] = {
        "doc_id": f"d{position}", "position": position, "rank": position + 1, "strength": 5,
        "nearness": None, "titled": False, "asks": "date", "shows": (), "covers": ("tide",),
        "lacks": ("moon", "sun"), "cue": "none", "repeats": None, "sentences": (),
    }  # fmt: skip
    return Digest(**(given | fields))  # type: ignore[arg-type]


def line(strength: int = 5, **fields: object) -> Line:
    given: dict[str, object] = {"verdict": "related", "strength": strength, "coverage": "1/3"}
    return Line(**(given | fields))  # type: ignore[arg-type]


def test_a_prompt_is_read_as_it_was_written() -> None:
    digests = [
        make_digest(0, strength=9, cue="negated"),
        make_digest(1, strength=0, cue="instruction", repeats=0),
        make_digest(2, covers=("a", "b"), lacks=()),
    ]
    prompt = write_ranking_prompt(
        "when [1] > [2] does the tide turn", digests, ["answers", None, "off_topic"]
    )
    head, lines = read_lines(prompt)
    assert "tide turn" in head and "date" in head
    assert lines == [
        line(9, verdict="answers", cue="negated"),
        line(0, verdict=None, cue="instruction", repeats=True),
        line(5, verdict="off_topic", coverage="2/2"),
    ]
    with pytest.raises(ValueError, match="expected a ranking prompt"):
        read_lines("nothing of the kind")


@pytest.mark.parametrize(
    ("lines", "order"),
    [
        ([line(3), line(7), line(5)], [1, 2, 0]),
        ([line(5), line(5, verdict="answers"), line(5, verdict="off_topic")], [1, 0, 2]),
        ([line(5, verdict="off_topic"), line(4, verdict="answers")], [0, 1]),
        ([line(6, verdict="answers", cue="instruction"), line(5, verdict="off_topic")], [1, 0]),
        ([line(9, cue="instruction"), line(6)], [0, 1]),
        ([line(6, cue="past belief"), line(5)], [1, 0]),
        ([line(6, cue="negated"), line(5)], [0, 1]),
        ([line(5, cue="negated"), line(5)], [0, 1]),
        ([line(5, repeats=True), line(5)], [0, 1]),
    ],
)
def test_the_rule(lines: list[Line], order: list[int]) -> None:
    assert order_lines(lines) == order


def test_made_examples_are_whole_rankings_by_the_rule() -> None:
    digests = [make_digest(p, strength=9 - p, repeats=0 if p == 4 else None) for p in range(10)]
    record = order_prompt(write_ranking_prompt("why tides", digests, ["related"] * 10))
    assert record["answer"].startswith("[1] > [2] > [3]")
    sizes, verdicts, identical = set(), set(), 0
    for example in write_rankings([record], 200, random.Random(1)):
        _, lines = read_lines(example["prompt"])
        parsed = parse_ranking(example["answer"], len(lines))
        assert not parsed.defects and list(parsed.permutation) == order_lines(lines)
        assert example["prompt"].endswith(RANKING)
        sizes.add(len(lines))
        verdicts |= {given.verdict for given in lines}
        identical += list(parsed.permutation) == list(range(len(lines)))
    assert min(sizes) >= SIZES[0] and max(sizes) == SIZES[1]
    assert verdicts == {*VERDICTS, None}
    assert 5 < identical < 150


def test_lines_are_only_moved_and_judged_anew() -> None:
    lines = [line(p, coverage=f"{p}/9") for p in range(9)]
    for seed in range(20):
        for made in vary_lines(lines, random.Random(seed)):
            assert any(
                (made.strength, made.coverage) == (old.strength, old.coverage) for old in lines
            )


def test_the_same_seed_makes_the_same_examples() -> None:
    record = order_prompt(
        write_ranking_prompt("why", [make_digest(p) for p in range(4)], [None] * 4)
    )
    first, again = (list(write_rankings([record], 9, random.Random(7))) for _ in range(2))
    assert first == again
