"""Judgements in the forms other annotation tools import: Argilla 2 and Label Studio.

Takes a project, items and what was said of them, returns JSON-ready records. One record for each
justification, or for each passage where nothing was said of it. Texts stay as they are: both
tools escape what they show.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from reranker.annotation.answers import REASON_VERDICTS, Answers, Span
from reranker.annotation.checking import list_shown
from reranker.annotation.consensus import Consensus
from reranker.annotation.item import Item, Reasoning
from reranker.annotation.judgement import Judgement
from reranker.annotation.project import Project
from reranker.types import Passage

Record = dict[str, Any]
_PEOPLE = uuid.UUID("6c1d3f0e-2f63-4a55-9a3b-0d2f5a7d5b11")
"""Name space of the ids made of people's names."""


def list_argilla(
    project: Project, items: Iterable[Item], settled: Mapping[str, Consensus]
) -> Iterator[Record]:
    """Records as `rg.Dataset.from_disk` takes them, with what was settled (item_id -> consensus) as
    suggestions: a server refuses responses of people it does not know."""
    for item in items:
        consensus = settled.get(item.item_id)
        for passage, shown in _list_units(project, item):
            fields = {"query": item.query.text, "passage": passage.text}
            chosen = _list_choices(consensus.answers, passage, shown) if consensus else {}
            yield {
                "id": _name_record(item, passage, shown),
                "fields": fields | ({"justification": shown.text} if shown else {}),
                "metadata": {k: v for k, v in _describe(item, passage, shown).items() if v},
                "suggestions": {
                    question: {"value": value, "agent": _name_source(consensus)}
                    for question, value in chosen.items()
                    if consensus is not None
                },
                "responses": {},
                "vectors": {},
            }


def write_argilla_settings(project: Project) -> Record:
    """The settings of the exported dataset, as `rg.Settings.from_json` takes them."""
    grades = {str(grade.value): f"{grade.value}: {grade.label}" for grade in project.scale}
    questions = [
        _ask_argilla("grade", "label_selection", grades),
        _ask_argilla("verdict", "label_selection", {name: name for name in REASON_VERDICTS}),
        _ask_argilla("comment", "text"),
    ]
    if len(project.reasons) > 1:  # Argilla wants two options or more
        reasons = {reason.name: reason.label for reason in project.reasons}
        questions.insert(2, _ask_argilla("reasons", "multi_label_selection", reasons))
    fields = (("query", True), ("passage", True), ("justification", False))
    return {
        "guidelines": project.guidelines.strip() or None,
        "fields": [
            {"name": name, "title": name, "required": required,
             "settings": {"type": "text", "use_markdown": False}}
            for name, required in fields
        ],
        "questions": questions,
        "vectors": [],
        "metadata": [
            {"name": name, "title": name, "settings": {"type": "terms", "values": None}}
            for name in ("query_id", "doc_id", "system")
        ],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": project.overlap},
        "mapping": None,
    }  # fmt: skip


def _ask_argilla(name: str, kind: str, options: Mapping[str, str] | None = None) -> Record:
    settings: Record = {"type": kind}
    if options is None:
        settings["use_markdown"] = False
    else:
        settings["options"] = [{"value": v, "text": text} for v, text in options.items()]
    return {"name": name, "title": name, "required": name == "grade", "settings": settings}


def _name_source(consensus: Consensus | None) -> str:
    if consensus is None or consensus.adjudicated:
        return "adjudication"
    return "one annotator" if consensus.people == 1 else f"{consensus.people} annotators"


def list_label_studio(
    project: Project, items: Iterable[Item], judgements: Sequence[Judgement]
) -> Iterator[Record]:
    """Tasks with annotations as Label Studio's JSON import takes them, for the labelling
    interface of `write_label_config`. Offsets are in UTF-16 units, as the tool counts.

    It refuses people it does not know, so annotations go to whoever imports them; data.annotators
    tells them apart, in their order, by made-up names.
    """
    by_item: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_item.setdefault(judgement.item_id, []).append(judgement)
    for item in items:
        given = by_item.get(item.item_id, [])
        for passage, shown in _list_units(project, item):
            yield {
                "data": {
                    "query": item.query.text,
                    "passage": passage.text,
                    "justification": shown.text if shown else "",
                    "annotators": [_name_person(j.person) for j in given],
                    **_describe(item, passage, shown),
                },
                "annotations": [
                    {
                        "lead_time": round(j.seconds, 1),
                        "result": list(_list_results(j.answers, passage, shown)),
                    }
                    for j in given
                ],
            }


def write_label_config(project: Project) -> str:
    """The labelling interface of the exported tasks, as Label Studio's XML."""
    grades = "".join(f"<Choice value={quoteattr(str(g.value))}/>" for g in project.scale)
    reasons = "".join(f"<Choice value={quoteattr(r.name)}/>" for r in project.reasons)
    verdicts = "".join(f'<Choice value="{name}"/>' for name in REASON_VERDICTS)
    return (
        '<View><Header value="$query"/><Labels name="evidence" toName="passage">'
        '<Label value="evidence"/></Labels><Text name="passage" value="$passage"/>'
        f'<Choices name="grade" toName="passage">{grades}</Choices>'
        '<Text name="justification" value="$justification"/>'
        f'<Choices name="verdict" toName="justification">{verdicts}</Choices>'
        f'<Choices name="reasons" toName="justification" choice="multiple">{reasons}</Choices>'
        '<TextArea name="comment" toName="passage"/></View>'
    )


def _name_person(person: str) -> str:
    return str(uuid.uuid5(_PEOPLE, person))


def _list_units(project: Project, item: Item) -> Iterator[tuple[Passage, Reasoning | None]]:
    shown = list_shown(project, item)
    for passage in item.passages:
        said: list[Reasoning | None] = [r for r in shown if r.doc_id == passage.doc_id]
        for reasoning in said or [None]:
            yield passage, reasoning


def _list_choices(answers: Answers, passage: Passage, shown: Reasoning | None) -> Record:
    found: Record = {}
    if passage.doc_id in answers.grades:
        found["grade"] = str(answers.grades[passage.doc_id])
    reason = answers.find_reason(passage.doc_id, shown.system) if shown else None
    if reason is not None:
        if reason.whole.verdict is not None:
            found["verdict"] = reason.whole.verdict
        if reason.whole.reasons:
            found["reasons"] = list(reason.whole.reasons)
    if answers.comment:
        found["comment"] = answers.comment
    return found


def _list_results(answers: Answers, passage: Passage, shown: Reasoning | None) -> Iterator[Record]:
    for question, value in _list_choices(answers, passage, shown).items():
        target = "justification" if question in ("verdict", "reasons") else "passage"
        result: Record = {"id": question, "from_name": question, "to_name": target}
        if question == "comment":
            yield result | {"type": "textarea", "value": {"text": [value]}}
        else:
            chosen = value if isinstance(value, list) else [value]
            yield result | {"type": "choices", "value": {"choices": chosen}}
    reason = answers.find_reason(passage.doc_id, shown.system) if shown else None
    for number, span in enumerate(reason.spans if reason else ()):
        yield {
            "id": f"evidence-{number}",
            "from_name": "evidence",
            "to_name": "passage",
            "type": "labels",
            "value": _locate(passage.text, span) | {"labels": ["evidence"]},
        }


def _locate(text: str, span: Span) -> Record:
    start, end = (len(text[:place].encode("utf-16-le")) // 2 for place in (span.start, span.end))
    return {"start": start, "end": end, "text": text[span.start : span.end]}


def _describe(item: Item, passage: Passage, shown: Reasoning | None) -> Record:
    return {
        "query_id": item.query.query_id,
        "doc_id": passage.doc_id,
        "system": shown.system if shown else "",
    }


def _name_record(item: Item, passage: Passage, shown: Reasoning | None) -> str:
    key = "\n".join((item.item_id, passage.doc_id, shown.system if shown else ""))
    return hashlib.sha256(key.encode()).hexdigest()[:32]
