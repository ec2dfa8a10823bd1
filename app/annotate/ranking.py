"""From a ranking on the Rank tab to an item of a project: opens the Annotate tab at it.

Takes the Rank tab's button and the Annotate tab's parts, joins them. The item joins the project
that is chosen there; who has no project yet gets one.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.annotate.desk import name_person
from app.annotate.events import AnnotateEvents, Board
from app.annotate.tab import AnnotateLinks
from app.html import render_message
from app.messages import explain_error
from app.rank.events import SKIP, find_key
from app.rank.tab import NextTab
from reranker.annotation.access import OWNERS, require_role
from reranker.annotation.importing import import_traces
from reranker.annotation.project import Project, make_project_id
from reranker.errors import DearError, InputError

NAME = "My judgements"
SOURCE = "the Rank tab"


def join_ranking(door: NextTab, links: AnnotateLinks, tabs: Any) -> None:
    """Joins the button: the ranking it stands under becomes an item, which then is on the desk."""

    def take(project_id: str | None, request: gr.Request) -> tuple[Any, ...]:
        try:
            board = take_ranking(links.events, project_id or "", request)
        except DearError as error:
            return render_message(explain_error(error)), SKIP, SKIP, *Board()
        return "", gr.Tabs(selected="annotate"), gr.Tabs(selected="ann-judge"), *board

    outputs = [door.error, tabs, links.panels, *links.board]
    door.annotate.click(
        take, links.board.projects, outputs, show_progress="hidden", api_visibility="private"
    )


def take_ranking(events: AnnotateEvents, project_id: str, request: gr.Request) -> Board:
    """The board with the page's ranking as an item, given to whoever asks. A query that is in the
    project already is opened as it is there.

    Raises InputError without a finished ranking, AccessError in a project of somebody else's.
    """
    trace = events.sessions.shown(find_key(request))
    if trace is None or not trace.hits:
        raise InputError("expected a finished ranking, got none; let it finish, then annotate it")
    [item] = import_traces([(SOURCE, trace)])
    person, judging = name_person(request), events.desk.judging
    mine = [view.project.project_id for view in judging.store.list_projects(person)]
    if not mine:
        project_id = make_project_id(NAME)
        judging.store.create_project(Project(project_id=project_id, name=NAME), person)
    elif project_id not in mine:
        project_id = mine[0]
    require_role(judging, project_id, person, OWNERS)
    judging.store.add_items(project_id, [item])
    judging.assignments.assign(project_id, person, [item.item_id])
    return events.show(project_id, "judge", request, item.item_id)
