"""What can be done with the adapter a job has made: used to rank with, packed, published.

Takes a job's id and the controls' values, returns what to show. The adapter itself is only read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.html import render_message
from app.library import Library
from app.messages import Message, explain_error
from app.rank.events import SKIP, find_key
from app.session import Sessions
from reranker.errors import DearError
from reranker.jobs.job import Job, read_job
from reranker.jobs.publish import push_adapter
from reranker.jobs.trained import offer_adapter, require_adapter

USED = (
    "This page's Rank tab now ranks with “{title}”. It stands in the Student list under Advanced "
    "for everybody, also after a restart, until its job is deleted."
)
PUSHED = "Pushed to {url}"


class AdapterEvents:
    """The events around one job's adapter."""

    def __init__(self, library: Library, sessions: Sessions, root: Path) -> None:
        self.library, self.sessions, self.root = library, sessions, root

    def use(self, chosen: str | None) -> tuple[Any, Any]:
        """Makes the adapter the one this page ranks with: a message, and the Rank tab's list of
        students with the adapter's own chosen."""
        try:
            profile = offer_adapter(self._read(chosen))
        except DearError as error:
            return render_message(explain_error(error)), SKIP
        message = Message(text=USED.format(title=profile.title), tone="done")
        return render_message(message), gr.update(**self._offer(), value=profile.name)

    def list_students(self) -> Any:
        """The Rank tab's list of students as it is now."""
        return gr.update(**self._offer())

    def zip_adapter(self, chosen: str | None, request: gr.Request) -> tuple[Any, Any]:
        """The adapter's folder as one file: an error, and the button that fetches it."""
        try:
            job = require_adapter(self._read(chosen))
        except DearError as error:
            return render_message(explain_error(error)), SKIP
        path = self.sessions.folder(find_key(request)) / f"{job.job_id}-adapter.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted((job.folder / "adapter").iterdir()):
                archive.write(file, f"{job.job_id}/{file.name}")
        return "", gr.DownloadButton(value=str(path), visible=True)

    def push(
        self, chosen: str | None, repo_id: str, token: str, private: bool
    ) -> Iterator[tuple[Any, Any]]:
        """The adapter on the hub: what came of it, and the emptied box of the token, which is
        used for this one upload and kept nowhere."""
        yield render_message(Message(text="Pushing to the hub…", tone="busy")), ""
        try:
            url = push_adapter(self._read(chosen), repo_id, token, private=private)
        except DearError as error:
            yield render_message(explain_error(error)), ""
            return
        yield render_message(Message(text=PUSHED.format(url=url), tone="done")), ""

    def _read(self, chosen: str | None) -> Job:
        return read_job(str(chosen or ""), self.root)

    def _offer(self) -> dict[str, Any]:
        profiles = self.library.list_profiles()
        return {"choices": [(profile.title, name) for name, profile in profiles.items()]}
