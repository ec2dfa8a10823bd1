"""Results of analyses as tables for spreadsheets, and whole as JSON.

Takes a result, returns columns and rows of plain values, or text. Knows no file and no page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from reranker.explain.analyses import Result
from reranker.explain.attribution import Attribution
from reranker.explain.counterfactual import Counterfactual, Standing
from reranker.explain.faithfulness import FaithfulnessReport
from reranker.explain.flip import Flip
from reranker.explain.red_team import RedTeam
from reranker.explain.stability import Stability

Value = str | int | float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultTable:
    """Column names and rows of equal length."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def dump_result(result: Result) -> str:
    """The result as one JSON object with every number in full. A counterfactual's two traces are
    left to the trace files; its changes are whole."""
    if isinstance(result, Counterfactual):
        whole: Any = TypeAdapter(Counterfactual).dump_python(result, mode="json")
        kept = {k: v for k, v in whole.items() if k not in ("before", "after")}
        return TypeAdapter(dict).dump_json(kept, indent=1).decode()
    return TypeAdapter(type(result)).dump_json(result, indent=1).decode()


def tabulate_result(result: Result) -> ResultTable:
    """The rows a reader would copy into a spreadsheet."""
    return _TABLES[type(result)](result)


def _tabulate_attribution(result: Attribution) -> ResultTable:
    rows: list[tuple[Value, ...]] = [
        (m.method, start, end, result.text[start:end], share)
        for m in result.methods
        for (start, end), share in zip(m.spans, m.shares, strict=True)
    ]
    rows += [("query", None, None, w.text, w.effect) for w in result.query_words]
    return ResultTable(columns=("method", "start", "end", "text", "share"), rows=tuple(rows))


def _tabulate_changes(result: Counterfactual) -> ResultTable:
    columns = (
        "doc_id", "edited", "rank_before", "rank_after", "rank_stage1_before", "rank_stage1_after",
        "score_before", "score_after", "verdict_before", "verdict_after", "reason_before",
        "reason_after",
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for change in result.changes:
        old, new = change.before, change.after

        def pair(name: str, old: Standing | None = old, new: Standing = new) -> tuple[Value, Value]:
            return getattr(old, name, None), getattr(new, name)

        names = ("rank", "rank_stage1", "score", "verdict", "reason")
        cells = [value for name in names for value in pair(name)]
        rows.append((change.doc_id, int(change.edited), *cells))
    return ResultTable(columns=columns, rows=tuple(rows))


def _tabulate_flip(result: Flip) -> ResultTable:
    columns = ("stage", "first", "second", "found", "words", "certain", "scorings", "readings")
    row = (result.stage, result.first, result.second, int(result.found), " ".join(result.words),
           int(result.certain), result.scorings, result.readings)  # fmt: skip
    return ResultTable(columns=columns, rows=(row,))


def _tabulate_faithfulness(result: FaithfulnessReport) -> ResultTable:
    names = (
        "rank", "doc_id", "verdict", "exact", "normalized", "missing", "words",
        "comprehensiveness", "random_comprehensiveness", "sufficiency", "random_sufficiency",
        "beaten",
    )  # fmt: skip
    again = ("rank", "verdict", "rank_random", "verdict_random")
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (
            *(getattr(check, name) for name in names),
            *(getattr(check.reread, name, None) for name in again),
        )
        for check in result.checks
    )
    return ResultTable(columns=(*names, *(f"reread_{name}" for name in again)), rows=rows)


def _tabulate_stability(result: Stability) -> ResultTable:
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (s.rank, s.doc_id, s.mean, s.low, s.high, s.rank_agreed, *s.ranks) for s in result.spreads
    )
    count = result.agreed_readings
    columns = ("rank", "doc_id", "mean", "low", "high", "rank_agreed")
    return ResultTable(
        columns=(*columns, *(f"reading_{n}" for n in range(1, count + 1))), rows=rows
    )


def _tabulate_red_team(result: RedTeam) -> ResultTable:
    names = (
        "defence", "attack", "rank_before", "rank_after", "rank_stage1_before",
        "rank_stage1_after", "gain", "gain_stage1", "verdict_before", "verdict_after",
    )  # fmt: skip
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (*(getattr(o, name) for name in names), int(o.flagged)) for o in result.outcomes
    )
    return ResultTable(columns=(*names, "flagged"), rows=rows)


_TABLES: dict[type, Callable[[Any], ResultTable]] = {
    Attribution: _tabulate_attribution,
    Counterfactual: _tabulate_changes,
    Flip: _tabulate_flip,
    FaithfulnessReport: _tabulate_faithfulness,
    Stability: _tabulate_stability,
    RedTeam: _tabulate_red_team,
}
