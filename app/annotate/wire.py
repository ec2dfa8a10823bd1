"""Answers on their way to the browser and back: by place instead of by name.

Takes an item and answers, returns JSON-ready dicts, and back. What a blind judge must not know
(doc_ids, systems) never leaves the server: passages and justifications go by their place in the
item, which says nothing of any ranking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from reranker.annotation.answers import Answers, PartAnswer, read_answers
from reranker.annotation.item import Item, Reasoning
from reranker.errors import InputError

T = TypeVar("T")
_SURROGATE = re.compile("[\ud800-\udfff]")


def write_wire(item: Item, shown: Sequence[Reasoning], answers: Answers) -> dict[str, Any]:
    """grades by place of the passage, reasons by place of the justification, order in places."""
    places = {passage.doc_id: place for place, passage in enumerate(item.passages)}
    reasons = {}
    for place, reasoning in enumerate(shown):
        answer = answers.find_reason(reasoning.doc_id, reasoning.system)
        if answer is not None:
            reasons[str(place)] = {
                "whole": _write_part(answer.whole),
                "steps": [_write_part(step) for step in answer.steps],
                "evidence": answer.evidence,
                "spans": [[span.start, span.end] for span in answer.spans],
                "correction": answer.correction,
            }
    return {
        "grades": {str(places[doc_id]): grade for doc_id, grade in answers.grades.items()},
        "reasons": reasons,
        "order": [[places[doc_id] for doc_id in tier] for tier in answers.order],
        "comment": answers.comment,
        "flagged": answers.flagged,
    }


def read_wire(item: Item, shown: Sequence[Reasoning], sent: Any) -> Answers:
    """The answers a page sent. Raises InputError for what is no answer about this item."""
    try:
        found = {
            "grades": {
                _pick(item.passages, place).doc_id: grade for place, grade in sent["grades"].items()
            },
            "reasons": [
                _read_reason(_pick(shown, place), answer)
                for place, answer in sent["reasons"].items()
            ],
            "order": [
                [_pick(item.passages, place).doc_id for place in tier] for tier in sent["order"]
            ],
            "comment": sent["comment"],
            "flagged": sent["flagged"],
        }
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected answers about this item, got {type(error).__name__}; reload the page"
        ) from error
    return read_answers(_clean(found))


def _write_part(part: PartAnswer) -> dict[str, Any]:
    return {"verdict": part.verdict, "reasons": list(part.reasons)}


def _read_reason(shown: Reasoning, sent: Any) -> dict[str, Any]:
    # The page counts every step; those of a justification nobody took apart are no answers.
    steps = sent["steps"] if any(step["verdict"] for step in sent["steps"]) else []
    return {
        "doc_id": shown.doc_id,
        "system": shown.system,
        "whole": sent["whole"],
        "steps": steps,
        "evidence": sent["evidence"],
        "spans": [{"start": start, "end": end} for start, end in sent["spans"]],
        "correction": sent["correction"],
    }


def _pick(values: Sequence[T], place: Any) -> T:
    number = int(place)
    if number < 0:
        raise IndexError(place)
    return values[number]


def _clean(value: Any) -> Any:
    """Half characters, which a browser can send and no database takes, become question marks."""
    if isinstance(value, str):
        return _SURROGATE.sub("?", value)
    clean: Callable[[Any], Any] = _clean
    if isinstance(value, dict):
        return {key: clean(part) for key, part in value.items()}
    return [clean(part) for part in value] if isinstance(value, list) else value
