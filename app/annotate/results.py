"""What is made of judgements on the page: the agreement report, files, a backup, training data.

Takes a project and who asks, returns what to show. Every act asks for the role it needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.annotate.desk import Desk, name_person
from app.annotate.html_agreement import render_agreement
from app.html import render_message
from app.messages import explain_error
from app.rank.events import find_key
from app.session import Sessions
from reranker.annotation.access import READERS, AccessError, require_role
from reranker.annotation.backup import write_backup
from reranker.annotation.exports import write_exports
from reranker.annotation.report import report_agreement
from reranker.errors import DearError, InputError

TRAINING = {"stage1": ("stage1", "annotations"), "stage2": ("stage2", "annotations")}
"""What a stage learns from: export, format on the Train tab."""


class ResultEvents:
    """The results of one desk; files go into the folder of the page that asks."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self.desk, self.sessions = desk, sessions

    def measure(self, project_id: str, request: gr.Request) -> str:
        """The agreement report."""
        try:
            require_reader(self.desk, project_id, request)
            judging = self.desk.judging
            report = report_agreement(
                judging.store.list_items(project_id), judging.history(project_id)
            )
        except DearError as error:
            return render_message(explain_error(error))
        return render_agreement(report)

    def export(self, project_id: str, names: Sequence[str], request: gr.Request) -> tuple[Any, Any]:
        """Files of these formats: an error or nothing, then the files."""
        try:
            paths = self._export(project_id, names, request)
        except DearError as error:
            return render_message(explain_error(error)), gr.File(value=None, visible=False)
        return "", gr.File(value=[str(path) for path in paths], visible=True)

    def back_up(self, request: gr.Request) -> tuple[Any, Any]:
        """A backup of every project, for somebody who owns all of them."""
        try:
            store, person = self.desk.judging.store, name_person(request)
            owned = {v.project.project_id for v in store.list_projects(person) if v.role == "owner"}
            others = [v for v in store.list_projects() if v.project.project_id not in owned]
            if others:
                raise AccessError(
                    "expected an owner of every project, since a backup holds all of them; run "
                    "`python -m reranker annotate backup` on the server"
                )
            path = self._folder(request) / "annotations.zip"
            write_backup(store, path)
        except DearError as error:
            return render_message(explain_error(error)), gr.File(value=None, visible=False)
        return "", gr.File(value=[str(path)], visible=True)

    def offer_training(
        self, project_id: str, stage: str, request: gr.Request
    ) -> tuple[str, str | None, str]:
        """(error, file, its format) of what a stage can learn from this project."""
        name, data_format = TRAINING[stage]
        try:
            [path] = self._export(project_id, [name], request)
            if not path.stat().st_size:
                raise InputError(
                    "expected judgements this stage can learn from, got none; it needs grades, and "
                    "stage 2 a justification found correct or written anew as well"
                )
        except DearError as error:
            return render_message(explain_error(error)), None, data_format
        return "", str(path), data_format

    def _export(self, project_id: str, names: Sequence[str], request: gr.Request) -> list[Path]:
        require_reader(self.desk, project_id, request)
        return list(write_exports(self.desk.judging, project_id, names, self._folder(request)))

    def _folder(self, request: gr.Request) -> Path:
        """A fresh folder each time: a file somebody is still downloading stays as it is."""
        return Path(tempfile.mkdtemp(dir=self.sessions.folder(find_key(request))))


def require_reader(desk: Desk, project_id: str | None, request: gr.Request) -> None:
    """Raises AccessError for who may not read everybody's answers, InputError without project."""
    if not project_id:
        raise InputError("expected a project, got none; create or choose one")
    require_role(desk.judging, project_id, name_person(request), READERS)
