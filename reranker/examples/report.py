"""What a person should see of their data before a job may start.

Takes data settings, returns a `DataReport`: counts, a preview, problems with their lines, and
leakage. `require_usable` is what a job asks before it trains. Knows no model.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass

from reranker.errors import InputError
from reranker.examples.leakage import Leakage, find_leakage, find_text_leakage
from reranker.examples.load import RankingData, TextData, load_ranking_data, load_text_data
from reranker.jobs.settings import GIVEN, TrainingSettings

PREVIEWED = 5
PREVIEW_CHARS = 300
FEW_DEV_QUERIES = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """statistics: name -> figure, in the order to show. preview: rows of name -> text.
    problems: lines that cannot be used, each with its place. warnings: what to think about.
    """

    statistics: dict[str, float]
    preview: tuple[dict[str, str], ...]
    problems: tuple[str, ...]
    problem_count: int
    warnings: tuple[str, ...]
    leakage: Leakage
    hashes: dict[str, str]

    @property
    def usable(self) -> bool:
        return self.problem_count == 0


def inspect_data(settings: TrainingSettings) -> DataReport:
    """Reads the data of a job and says what is in them. Raises InputError when nothing is."""
    if settings.stage == "stage1":
        return describe_ranking_data(load_ranking_data(settings.data, settings.seed), settings)
    return describe_text_data(load_text_data(settings.data, settings.seed))


def describe_ranking_data(data: RankingData, settings: TrainingSettings) -> DataReport:
    """The report of stage-1 data."""
    judged = [p for q in data.train for p in q.passages]
    grades = Counter(p.grade for p in judged)
    words = [len(p.passage.text.split()) for p in judged]
    figures: dict[str, float] = {
        "training queries": len(data.train),
        "dev queries": len(data.dev),
        "judged passages": len(judged),
        "relevant per query": _mean([len(q.positives) for q in data.train]),
        "words per passage": _mean(words),
        "words per query": _mean([len(q.query.text.split()) for q in data.train]),
    }
    figures |= {f"grade {grade}": grades[grade] for grade in sorted(grades)}
    figures["with a teacher's score"] = sum(p.teacher_score is not None for p in judged)
    leakage = find_leakage(data.train, data.dev_judged)
    problems, count = list(data.problems), data.problem_count
    if settings.teacher.weights == GIVEN:
        for query in data.train:
            if any(p.teacher_score is None for p in query.passages):
                count += 1
                problems.append(
                    f"{query.where}: expected a score for every passage of query "
                    f"{query.query.query_id!r}, got one without; add it, or name a teacher"
                )
    return DataReport(
        statistics=figures,
        preview=tuple(
            {
                "query": q.query.text[:PREVIEW_CHARS],
                "relevant": q.positives[0].passage.text[:PREVIEW_CHARS],
                "passages": str(len(q.passages)),
            }
            for q in data.train[:PREVIEWED]
        ),
        problems=tuple(problems),
        problem_count=count,
        warnings=_warn(leakage, len(data.dev), "queries"),
        leakage=leakage,
        hashes=data.hashes,
    )


def describe_text_data(data: TextData) -> DataReport:
    """The report of stage-2 data."""
    leakage = find_text_leakage(data.train, data.dev)
    return DataReport(
        statistics={
            "training examples": len(data.train),
            "dev examples": len(data.dev),
            "words per prompt": _mean([len(e.prompt_text.split()) for e in data.train]),
            "words per answer": _mean([len(e.answer.split()) for e in data.train]),
        },
        preview=tuple(
            {"prompt": e.prompt_text[:PREVIEW_CHARS], "answer": e.answer[:PREVIEW_CHARS]}
            for e in data.train[:PREVIEWED]
        ),
        problems=data.problems,
        problem_count=data.problem_count,
        warnings=_warn(leakage, len(data.dev), "examples"),
        leakage=leakage,
        hashes=data.hashes,
    )


def require_usable(report: DataReport, *, allow_leakage: bool) -> None:
    """Raises InputError for data with problems, or with dev queries that are trained on."""
    if report.problems:
        rest = report.problem_count - 1
        more = f" (and {rest} more; `train check` lists them)" if rest > 0 else ""
        raise InputError(f"{report.problems[0]}{more}")
    if report.leakage.serious and not allow_leakage:
        _, dev_id, text = report.leakage.queries[0]
        raise InputError(
            f"expected dev queries that are not trained on, got {len(report.leakage.queries)} of "
            f"them, such as {dev_id} {text[:60]!r}; remove them, or set data.allow_leakage"
        )


def _warn(leakage: Leakage, dev: int, noun: str) -> tuple[str, ...]:
    warnings = []
    if leakage.queries:
        warnings.append(f"{len(leakage.queries)} dev {noun} are also trained on")
    if leakage.passages:
        shared = len({passage for *_, passage in leakage.passages})
        warnings.append(f"{shared} passages are relevant to a training and to a dev query")
    if dev == 0:
        warnings.append(f"no dev {noun}: nothing is measured and the last adapter is kept")
    elif dev < FEW_DEV_QUERIES:
        warnings.append(f"only {dev} dev {noun}: small differences mean nothing")
    return tuple(warnings)


def _mean(values: list[int]) -> float:
    return round(statistics.fmean(values), 1) if values else 0.0
