"""What one visitor's page holds: the run under way, the passages they brought along, its rankings.

Takes the session key Gradio gives every open page; returns tickets, sources and the history.
Nothing here is shared between two keys. Knows neither students nor HTML.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.compare.comparison import Comparison
from app.library import Source
from app.rank.history import History
from reranker.explain.analyses import ResultShelf
from reranker.types import RankingTrace


@dataclass(kw_only=True)
class Ticket:
    """The right of one run to write on one page, until a later run or Stop takes it away.

    asked: what the controls held when the run was begun. It stands here because its turn may come
    when they already hold something else, or when another run of this page has begun.
    stopped: the visitor asked for the end, and what was found stays on the page.
    replaced: a later run owns the page now, and this one may write nothing more.
    """

    run_id: int
    asked: tuple[Any, ...] = ()
    stopped: threading.Event = field(default_factory=threading.Event)
    replaced: threading.Event = field(default_factory=threading.Event)
    started: bool = False

    def is_cancelled(self) -> bool:
        return self.stopped.is_set() or self.replaced.is_set()


@dataclass(kw_only=True)
class _Page:
    ticket: Ticket | None = None
    sources: dict[str, Source] = field(default_factory=dict)
    folder: tempfile.TemporaryDirectory[str] | None = None
    history: History = field(default_factory=History)
    shown: RankingTrace | None = None
    comparison: Comparison | None = None
    evaluation: threading.Event | None = None
    analysis: threading.Event | None = None
    results: ResultShelf = field(default_factory=ResultShelf)


class Sessions:
    """Every open page by its key. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[str, _Page] = {}
        self._runs = 0

    def begin_run(self, key: str, asked: tuple[Any, ...] = ()) -> int:
        """A new run's id, for what is asked; the page's earlier run, if any, is cancelled and may
        write no more."""
        with self._lock:
            page = self._page(key)
            if page.ticket is not None:
                page.ticket.replaced.set()
            self._runs += 1
            page.ticket = Ticket(run_id=self._runs, asked=asked)
            return self._runs

    def start_run(self, key: str) -> Ticket | None:
        """The ticket of the page's latest run, now that the page has a turn; None when there is
        none to start: it was stopped while it waited, or has had a turn already."""
        with self._lock:
            ticket = self._page(key).ticket
            if ticket is None or ticket.started or ticket.is_cancelled():
                return None
            ticket.started = True
            return ticket

    def stop_run(self, key: str) -> bool:
        """Asks the page's run to end. True when it is running and will say so itself; False
        when it still waited for its turn, which it will not take."""
        with self._lock:
            ticket = self._page(key).ticket
            if ticket is None:
                return False
            ticket.stopped.set()
            return ticket.started

    def end_run(self, key: str) -> int:
        """Takes the page from its run, if any: something that was ranked before is shown now,
        under the id that is returned."""
        with self._lock:
            page = self._page(key)
            if page.ticket is not None:
                page.ticket.replaced.set()
            page.ticket = None
            self._runs += 1
            return self._runs

    def keep_trace(self, key: str, trace: RankingTrace, *, saved: bool = False) -> None:
        """Adds a ranking to the page's history."""
        with self._lock:
            page = self._page(key)
            page.history = page.history.add(trace, saved=saved)

    def note_shown(self, key: str, trace: RankingTrace | None) -> None:
        """The finished ranking the page shows now, None while one is being made."""
        with self._lock:
            self._page(key).shown = trace

    def shown(self, key: str) -> RankingTrace | None:
        with self._lock:
            return self._page(key).shown

    def history(self, key: str) -> History:
        with self._lock:
            return self._page(key).history

    def clear_history(self, key: str) -> None:
        with self._lock:
            page = self._page(key)
            page.history = page.history.clear()

    def keep_comparison(self, key: str, comparison: Comparison) -> None:
        """The page compares this now; the comparison before goes."""
        with self._lock:
            self._page(key).comparison = comparison

    def comparison(self, key: str) -> Comparison | None:
        with self._lock:
            return self._page(key).comparison

    def change_comparison(
        self, key: str, change: Callable[[Comparison], Comparison]
    ) -> Comparison | None:
        """Puts what `change` makes of the page's comparison in its place, one change at a time;
        None where there is none. What `change` raises is passed on and nothing changes."""
        with self._lock:
            page = self._page(key)
            if page.comparison is not None:
                page.comparison = change(page.comparison)
            return page.comparison

    def begin_evaluation(self, key: str) -> threading.Event:
        """What ends the evaluation that begins now when it is set; an earlier one is ended."""
        with self._lock:
            page = self._page(key)
            if page.evaluation is not None:
                page.evaluation.set()
            page.evaluation = threading.Event()
            return page.evaluation

    def evaluation(self, key: str) -> threading.Event | None:
        """The evaluation that began last, if any."""
        with self._lock:
            return self._page(key).evaluation

    def stop_evaluation(self, key: str) -> None:
        with self._lock:
            evaluation = self._page(key).evaluation
        if evaluation is not None:
            evaluation.set()

    def begin_analysis(self, key: str) -> threading.Event:
        """What ends the analysis that begins now when it is set; an earlier one is ended."""
        with self._lock:
            page = self._page(key)
            if page.analysis is not None:
                page.analysis.set()
            page.analysis = threading.Event()
            return page.analysis

    def stop_analysis(self, key: str) -> None:
        with self._lock:
            analysis = self._page(key).analysis
        if analysis is not None:
            analysis.set()

    def results(self, key: str) -> ResultShelf:
        """What this page has analysed already."""
        with self._lock:
            return self._page(key).results

    def add_source(self, key: str, source: Source) -> None:
        """Keeps a page's own passages. The latest of a kind (what stands before the : of its
        key) replaces the one before, so that a page holds one upload and one pasted list."""
        kind = source.key.partition(":")[0]
        with self._lock:
            page = self._page(key)
            kept = {k: s for k, s in page.sources.items() if k.partition(":")[0] != kind}
            page.sources = {**kept, source.key: source}

    def list_sources(self, key: str) -> tuple[Source, ...]:
        with self._lock:
            return tuple(self._page(key).sources.values())

    def find_source(self, key: str, source_key: str) -> Source | None:
        with self._lock:
            return self._page(key).sources.get(source_key)

    def folder(self, key: str) -> Path:
        """A folder for this page's downloads; it goes when the page is closed."""
        with self._lock:
            page = self._page(key)
            if page.folder is None:
                page.folder = tempfile.TemporaryDirectory(prefix="dear-studio-")
            return Path(page.folder.name)

    def forget(self, key: str) -> None:
        """The page was closed: its run ends, its passages, rankings and files go."""
        with self._lock:
            page = self._pages.pop(key, None)
        if page is None:
            return
        if page.ticket is not None:
            page.ticket.replaced.set()
        for work in (page.evaluation, page.analysis):
            if work is not None:
                work.set()
        if page.folder is not None:
            page.folder.cleanup()

    def _page(self, key: str) -> _Page:
        return self._pages.setdefault(key, _Page())
