"""TREC runs and qrels, read and written the way trec_eval understands them.

Takes paths, returns a `Run` or `Qrels`; writes them back. Knows nothing of measures or
models. A run's order comes from its scores alone, as in trec_eval: the rank column is
checked and then left out. Candidate files live in `candidates.py` and are re-exported here.
"""

from __future__ import annotations

import math
import re
import string
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reranker.candidates import CandidateList as CandidateList
from reranker.candidates import read_candidates as read_candidates
from reranker.errors import InputError
from reranker.textfile import iterate_lines, read_text, write_text

Ranking = tuple[tuple[str, float], ...]
Run = dict[str, Ranking]
Qrels = dict[str, dict[str, int]]

MAX_GRADE = 10_000  # trec_eval allocates one counter per grade
_COLUMN = re.compile(r"\S+", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can hold one, UTF-8 cannot
_GRADE = re.compile(r"[-+]?[0-9]{1,9}")
_TREC_FORM = "query_id 0 doc_id grade (or BEIR's header query-id corpus-id score first)"
_BEIR_FORM = "query-id, corpus-id and score, separated by tabs"
_BEIR_HEADER = ["query-id", "corpus-id", "score"]


def sort_ranking(scored: Iterable[tuple[str, float]]) -> Ranking:
    """(doc_id, score) pairs best first, as trec_eval sorts them.

    Scores are compared in single precision, which is what trec_eval (and pytrec_eval under
    ir_measures) keeps of them; equal ones are ordered by doc_id, the larger first.
    """
    pairs = [(doc_id, float(score)) for doc_id, score in scored]
    singles = array("f", [score for _, score in pairs])
    keyed = sorted(zip(singles, pairs, strict=True), key=lambda k: (k[0], k[1][0]), reverse=True)
    return tuple(pair for _, pair in keyed)


def rank_by_position(doc_ids: Sequence[str]) -> Ranking:
    """A ranking for an order that has no scores (a permutation): score = n - position."""
    return tuple((doc_id, float(len(doc_ids) - i)) for i, doc_id in enumerate(doc_ids))


def read_run(path: Path, *, duplicates: list[str] | None = None) -> Run:
    """The run in `path` (`query_id Q0 doc_id rank score tag`), each query sorted by score.

    Plain or gzip, any line ends. Raises InputError naming file and line for wrong columns, a
    score that is no finite number, a rank below 0, or a doc_id listed twice for a query.
    duplicates: given a list, a doc_id listed again is passed over instead (its best score
    counts), and each such place is added to the list as "file:line".
    """
    scores: dict[str, dict[str, float]] = {}
    name = path.name
    for number, line in iterate_lines(read_text(path)):
        columns = _COLUMN.findall(line)
        if len(columns) != 6:
            raise InputError(
                "expected 6 columns (query_id Q0 doc_id rank score tag), "
                f"got {len(columns)}; mend or remove the line",
                where=f"{name}:{number}",
            )
        query_id, _, doc_id, rank, score, _ = columns
        if not (rank.isascii() and rank.isdigit()):
            raise InputError(
                f"expected a rank of 0 or more, got {_show(rank)}; number the ranks from 1",
                where=f"{name}:{number}",
            )
        value = _parse_score(score, name, number)
        row = scores.setdefault(query_id, {})
        if doc_id not in row:
            row[doc_id] = value
        elif duplicates is None:
            raise _repeated(query_id, doc_id, f"{name}:{number}")
        else:
            duplicates.append(f"{name}:{number}")
            row[doc_id] = max(value, row[doc_id])
    _require_lines(scores, path)
    return {query_id: sort_ranking(docs.items()) for query_id, docs in scores.items()}


def read_qrels(path: Path) -> Qrels:
    """The qrels in `path`: query_id -> doc_id -> grade.

    Reads TREC's four columns (`query_id iteration doc_id grade`) and BEIR's three, separated
    by tabs under the header `query-id corpus-id score`. Grades are whole numbers; those below
    0 are kept (trec_eval counts them as not relevant). Raises InputError naming file and line.
    """
    qrels: Qrels = {}
    beir = False
    for index, (number, line) in enumerate(iterate_lines(read_text(path))):
        where = f"{path.name}:{number}"
        if index == 0 and [name.lower() for name in _split_beir(line)] == _BEIR_HEADER:
            beir = True
            continue
        columns = _split_beir(line) if beir else _COLUMN.findall(line)
        if len(columns) != (3 if beir else 4) or not all(columns):
            raise InputError(
                f"expected {_BEIR_FORM if beir else _TREC_FORM}, got {len(columns)} columns; "
                "mend the line",
                where=where,
            )
        grades = qrels.setdefault(columns[0], {})
        if columns[-2] in grades:
            raise _repeated(columns[0], columns[-2], where)
        grades[columns[-2]] = _parse_grade(columns[-1], where)
    _require_lines(qrels, path)
    return qrels


def write_run(path: Path, rankings: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> None:
    """Write `rankings` (best first) as a TREC run; gzip when the name ends in .gz.

    The order given is the order a reader gets back: where it is not the order of the scores
    (a final order after stage 2, say), that query's scores are written as n - position
    instead. Raises InputError for an id or tag that TREC's columns cannot hold, a doc_id given
    twice, or a score that is not finite; then nothing is written.
    """
    _require_token(tag, "tag")
    lines: list[str] = []
    for query_id, ranking in rankings.items():
        _require_token(query_id, "query_id")
        _require_unique(query_id, ranking)
        for rank, (doc_id, score) in enumerate(_with_faithful_scores(ranking), start=1):
            _require_token(doc_id, "doc_id")
            lines.append(f"{query_id} Q0 {doc_id} {rank} {score!r} {tag}\n")
    write_text(path, "".join(lines))


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write `qrels` in TREC's four columns; gzip when the name ends in .gz.

    Raises InputError for an id the columns cannot hold or a grade outside ±MAX_GRADE.
    """
    lines: list[str] = []
    for query_id, grades in qrels.items():
        _require_token(query_id, "query_id")
        for doc_id, grade in grades.items():
            _require_token(doc_id, "doc_id")
            lines.append(f"{query_id} 0 {doc_id} {_parse_grade(str(grade), query_id)}\n")
    write_text(path, "".join(lines))


def _repeated(query_id: str, doc_id: str, where: str) -> InputError:
    return InputError(
        f"expected each doc_id once per query, got {_show(doc_id)} again for query "
        f"{_show(query_id)}; remove one of the lines",
        where=where,
    )


def _parse_score(text: str, name: str, number: int) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score) or "_" in text:
        raise InputError(
            f"expected a finite number as score, got {_show(text)}; write it like 12.34",
            where=f"{name}:{number}",
        )
    return score


def _parse_grade(text: str, where: str) -> int:
    if not _GRADE.fullmatch(text) or abs(int(text)) > MAX_GRADE:
        raise InputError(
            f"expected a whole grade between -{MAX_GRADE} and {MAX_GRADE}, got {_show(text)}; "
            "write it like 0 or 3",
            where=where,
        )
    return int(text)


def _split_beir(line: str) -> list[str]:
    return [column.strip(string.whitespace) for column in line.split("\t")]


def _require_lines(table: Mapping[str, object], path: Path) -> None:
    if not table:
        raise InputError(
            "expected at least one line of data, got none; give the file that holds it",
            where=path.name,
        )


def _require_token(text: str, name: str) -> None:
    usable = _COLUMN.fullmatch(text) and "\0" not in text and text[0] != "\ufeff"
    if not usable or _SURROGATE.search(text):
        raise InputError(
            f"expected a {name} without spaces or control characters, got {_show(text)}; "
            "rename it, or write JSON instead of TREC"
        )


def _require_unique(query_id: str, ranking: Sequence[tuple[str, float]]) -> None:
    if len({doc_id for doc_id, _ in ranking}) != len(ranking):
        raise InputError(
            f"expected each doc_id once per query, got one twice for query {_show(query_id)}; "
            "remove one of them"
        )


def _with_faithful_scores(ranking: Sequence[tuple[str, float]]) -> Ranking:
    """The ranking with scores whose order is its own order."""
    given = tuple((doc_id, float(score)) for doc_id, score in ranking)
    for doc_id, score in given:
        if not math.isfinite(score):
            raise InputError(
                f"expected finite scores, got {score} for {_show(doc_id)}; rank it again"
            )
    return given if sort_ranking(given) == given else rank_by_position([d for d, _ in given])


def _show(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
