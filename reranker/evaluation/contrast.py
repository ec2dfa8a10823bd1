"""Where runs differ, query by query: values, deltas and how little the rankings agree.

Takes a `RunSet` and a measure, returns rows to be sorted and filtered. Draws nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from reranker.errors import InputError
from reranker.evaluation.csv_cells import tame_cell
from reranker.evaluation.run_agreement import measure_rbo
from reranker.evaluation.run_set import RunSet

Order = Literal["contrast", "delta", "query"]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryContrast:
    """One query under the compared runs.

    values: run -> measure. delta: the second run's value less the first's, of the two that lead
    the comparison. rbo: the lowest rank-biased overlap among all compared runs; 0 where one lacks
    the query. judged: the lowest share of judged passages among the runs' first k. words: of the
    query, None where its text is not known.
    """

    query_id: str
    text: str
    values: Mapping[str, float]
    delta: float
    rbo: float
    judged: float
    words: int | None
    tags: tuple[str, ...] = ()

    @property
    def disagreement(self) -> float:
        """0 to 1: the mean of what the orders do not share and of how far the values spread."""
        spread = max(self.values.values()) - min(self.values.values())
        return ((1 - self.rbo) + min(1.0, spread)) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastFilter:
    """Which queries to keep; None and "" keep all. Bounds are inclusive."""

    text: str = ""
    tag: str = ""
    min_delta: float | None = None
    max_delta: float | None = None
    min_words: float | None = None
    max_words: float | None = None
    min_judged: float | None = None


def list_contrasts(
    runs: RunSet, first: str, second: str, *, measure: str = "nDCG@10"
) -> tuple[QueryContrast, ...]:
    """Every query, sorted by query_id. delta is that of `second` over `first`.

    Raises InputError for unknown runs, equal ones, and a measure that is not one.
    """
    if first == second:
        raise InputError(f"expected two different runs, got {first!r} twice; choose another")
    runs.find(first), runs.find(second)
    measured = runs.measure(measure)
    values = {name: results[0].values for name, results in measured.items()}
    judged = {
        name: next(r.values for r in results if r.measure.startswith("Judged@"))
        for name, results in measured.items()
    }
    rows = []
    for query_id in runs.query_ids:
        text = runs.queries.get(query_id, "")
        rows.append(
            QueryContrast(
                query_id=query_id,
                text=text,
                values={name: values[name][query_id] for name in runs.names},
                delta=values[second][query_id] - values[first][query_id],
                rbo=_find_lowest_rbo(runs, query_id),
                judged=min(judged[name][query_id] for name in runs.names),
                words=len(text.split()) if text else None,
                tags=runs.tags.get(query_id, ()),
            )
        )
    return tuple(rows)


def sort_contrasts(rows: Sequence[QueryContrast], order: Order) -> tuple[QueryContrast, ...]:
    """contrast: most disagreement first; delta: greatest gain first; query: by query_id."""
    keys = {
        "contrast": lambda row: (-row.disagreement, row.query_id),
        "delta": lambda row: (-row.delta, row.query_id),
        "query": lambda row: row.query_id,
    }
    return tuple(sorted(rows, key=keys[order]))


def filter_contrasts(
    rows: Sequence[QueryContrast], wanted: ContrastFilter
) -> tuple[QueryContrast, ...]:
    """The rows that fit, in their order. A row without a known length fits no bound on it."""
    text, tag = wanted.text.casefold().strip(), wanted.tag.casefold().strip()
    return tuple(
        row
        for row in rows
        if (not text or text in row.text.casefold() or text in row.query_id.casefold())
        and (not tag or tag in (known.casefold() for known in row.tags))
        and _lies_within(row.delta, wanted.min_delta, wanted.max_delta)
        and _lies_within(row.words, wanted.min_words, wanted.max_words)
        and _lies_within(row.judged, wanted.min_judged, None)
    )


def export_contrasts(
    rows: Sequence[QueryContrast], comments: Mapping[str, str] | None = None
) -> str:
    """The rows as CSV, unrounded; a text that a spreadsheet takes for a formula is tamed.

    comments: by query_id, where there are any.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(rows[0].values) if rows else []
    heads = ["query_id", "query", *names, "delta", "rbo", "disagreement", "judged", "words"]
    heads += ["tags", "comment"]
    writer.writerow([tame_cell(head) for head in heads])
    for row in rows:
        cells: list[object] = [tame_cell(row.query_id), tame_cell(row.text)]
        cells += [row.values[name] for name in names]
        cells += [row.delta, row.rbo, row.disagreement, row.judged]
        cells += ["" if row.words is None else row.words, tame_cell(", ".join(row.tags))]
        cells.append(tame_cell((comments or {}).get(row.query_id, "")))
        writer.writerow(cells)
    return out.getvalue()


def _find_lowest_rbo(runs: RunSet, query_id: str) -> float:
    rankings = [run.run.get(query_id, ()) for run in runs.runs]
    if not all(rankings):
        return 0.0
    return min(measure_rbo(a, b) for a, b in combinations(rankings, 2))


def _lies_within(value: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
