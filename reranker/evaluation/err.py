"""Expected reciprocal rank: grades in ranked order in, one number out.

Takes the grades of a ranking, returns ERR@k. Knows no file and no other measure. ir_measures
leaves ERR to gdeval.pl, which wants perl, a process a measure and whole numbers as query_ids;
this computes the same (Chapelle et al., CIKM 2009), with gdeval's highest grade of 4.
"""

from __future__ import annotations

from collections.abc import Iterable

from reranker.errors import InputError

HIGHEST_GRADE = 4


def expected_reciprocal_rank(grades: Iterable[int], cutoff: int) -> float:
    """ERR@cutoff of `grades`, best-ranked first; grades below 0 count as 0.

    A reader going down stops at a passage of grade g with probability (2^g - 1) / 2^4. Raises
    InputError for a grade above HIGHEST_GRADE.
    """
    reached, total = 1.0, 0.0
    for rank, grade in enumerate(grades, start=1):
        if rank > cutoff:
            break
        if grade > HIGHEST_GRADE:
            raise InputError(
                f"expected grades up to {HIGHEST_GRADE} for ERR, got {grade}; choose another "
                "measure, or map the grades"
            )
        stops = (2 ** max(grade, 0) - 1) / 2**HIGHEST_GRADE
        total += reached * stops / rank
        reached *= 1 - stops
    return total
