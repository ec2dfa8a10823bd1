"""Projects and items that several annotation tests begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reranker.annotation.answers import Answers, PartAnswer, ReasonAnswer
from reranker.annotation.item import Item, Reasoning, SystemOrder, make_item
from reranker.annotation.judgement import Judgement, Submission
from reranker.annotation.judging import Judging
from reranker.annotation.project import Project
from reranker.annotation.store import Store
from reranker.types import Evidence, Passage, Query

SYSTEM = "mini"
TEXTS = {
    "d1": "Salt lowers the freezing point of water. Roads are salted in winter.",
    "d2": "Ice is less dense than water.",
    "d3": "Bread is baked with salt.",
}


def make_case(number: int = 1, gold: Answers | None = None) -> Item:
    """An item of three passages, two of them with a justification of two steps and of one."""
    return make_item(
        Query(query_id=f"q{number}", text=f"why is salt put on roads? {number}"),
        [Passage(doc_id=doc_id, text=text) for doc_id, text in TEXTS.items()],
        reasonings=[
            Reasoning(
                doc_id="d1",
                system=SYSTEM,
                text="It names the effect. It says that roads are salted.",
                verdict="answers",
                evidence=(Evidence(start=0, end=40, text=TEXTS["d1"][:40]),),
            ),
            Reasoning(doc_id="d2", system=SYSTEM, text="It is about ice.", verdict="related"),
        ],
        orders=[
            SystemOrder(system="BM25", doc_ids=("d3", "d1", "d2"), scores=(3.0, 2.0, 1.0)),
            SystemOrder(system="mini, final", doc_ids=("d1", "d2", "d3")),
        ],
        gold=gold,
        source="a test",
    )


def make_answers(grades: dict[str, int], **changes: Any) -> Answers:
    return Answers(grades=grades, **changes)


def judge_reason(doc_id: str, verdict: Any, **changes: Any) -> ReasonAnswer:
    return ReasonAnswer(doc_id=doc_id, system=SYSTEM, whole=PartAnswer(verdict=verdict), **changes)


def open_judging(
    where: Path | str, items: int = 1, overlap: int = 2, **settings: Any
) -> tuple[Judging, str]:
    """Judging over a new store with one project of these many items, owned by "olga"."""
    url = where if isinstance(where, str) else f"sqlite:///{where / 'annotations.db'}"
    store = Store(url)
    project = Project(project_id="salt", name="Salt", overlap=overlap, **settings)
    store.create_project(project, "olga")
    store.add_items("salt", [make_case(number) for number in range(1, items + 1)])
    return Judging(store), "salt"


def save(
    judging: Judging, person: str, item_id: str, answers: Answers, **changes: Any
) -> Judgement:
    """A judgement saved by a person who was given the item."""
    given = {"save_key": f"{person}-{item_id}-{changes.get('base_version', 0)}"} | changes
    if given.get("kind", "annotation") == "annotation":
        judging.assignments.assign("salt", person, [item_id])
    return judging.save(
        Submission(project_id="salt", item_id=item_id, person=person, answers=answers, **given)
    )
