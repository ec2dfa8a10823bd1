"""What happens on the Rank tab: values of controls in, what to show instead out.

Takes the library and the sessions; every method serves one event of the page. Knows which
parts the screen has, not where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gradio as gr

from app import messages
from app.html import (
    clean_stream,
    render_asked,
    render_cards,
    render_corpus,
    render_message,
    render_note,
    render_strip,
    render_waiting,
)
from app.library import Library, Source
from app.messages import Message, explain_error
from app.rank.chart_panel import show_charts
from app.rank.examples import MAX_EXAMPLES, Example, list_examples
from app.rank.offers import offer_ranking, withdraw_ranking
from app.rank.ranking import AS_PROFILE, WINDOWS, RankJob, RankView, check_query, stream_views
from app.session import Sessions
from reranker.corpora import load_corpus, parse_pasted
from reranker.errors import DearError, InputError
from reranker.retrieval import build_retriever
from reranker.types import RankingTrace, RankSettings

SKIP = gr.skip()


class Screen(NamedTuple):
    """The parts a run may change: once the components themselves, then what they get."""

    status: Any = SKIP
    query_error: Any = SKIP
    corpus_error: Any = SKIP
    examples: Any = SKIP
    intro: Any = SKIP
    results: Any = SKIP
    stop: Any = SKIP
    cards: Any = SKIP
    flow: Any = SKIP
    flow_tools: Any = SKIP
    scores: Any = SKIP
    scores_tools: Any = SKIP
    distribution: Any = SKIP
    distribution_tools: Any = SKIP
    terms: Any = SKIP
    terms_tools: Any = SKIP
    strip: Any = SKIP
    report_file: Any = SKIP
    trace_file: Any = SKIP
    trec_file: Any = SKIP
    table_file: Any = SKIP
    link: Any = SKIP
    first: Any = SKIP
    second: Any = SKIP


class Choices(NamedTuple):
    """The controls a run reads, in the order `run` takes their values."""

    source: Any
    query: Any
    student: Any
    quantization: Any
    stages: Any
    mode: Any
    final: Any
    depth: Any
    window: Any
    grounding: Any


class RankEvents:
    """The tab's events over one library; visitors are told apart by their session."""

    def __init__(self, library: Library, sessions: Sessions) -> None:
        self.library, self.sessions = library, sessions

    def begin(self, request: gr.Request, *values: Any) -> Screen:
        """Begins a run of what the controls hold and ends the page's earlier one; an unusable
        query begins none, and ends none."""
        choices = Choices(*values)
        try:
            check_query(choices.query)
        except InputError as error:
            return Screen(query_error=render_message(explain_error(error)))
        run_id = self.sessions.begin_run(find_key(request), choices)
        return Screen(
            query_error="",
            corpus_error="",
            status=render_waiting(
                Message(text=messages.WAITING, tone="busy"), self.library.pace.seconds
            ),
            stop=gr.Button(interactive=True),
            cards=gr.HTML(run=run_id),
            examples=gr.Accordion(open=False),
        )

    def run(self, request: gr.Request) -> Iterator[Screen]:
        """The screens of the page's latest run, whichever press this turn was asked for by; one
        that changes nothing when it has had its turn or never began (Gradio empties the outputs
        of a generator that yields nothing)."""
        ticket = self.sessions.start_run(find_key(request))
        if ticket is None:
            yield Screen()
            return
        choices = Choices(*ticket.asked)
        try:
            source = self.find_source(choices.source, find_key(request))
        except DearError as error:
            yield _make_failed(corpus_error=error)
            return
        try:
            shown: frozenset[str] = frozenset()
            for view in stream_views(self.library, make_job(choices, source), ticket.is_cancelled):
                if ticket.replaced.is_set():
                    yield Screen()  # at a run's end Gradio sends the page its last screen again
                    return
                if view.over:
                    self.sessions.keep_trace(find_key(request), view.trace)
                yield self._show(view, shown, find_key(request))
                shown = _list_marked(view)
        except InputError as error:
            yield _make_failed(query_error=error)

    def stop(self, request: gr.Request) -> Screen:
        """Ends the page's run; what it has found stays.

        A run under way tells its own end: a word from here could arrive after it, or after the
        beginning of the next run, and would then be wrong.
        """
        if self.sessions.stop_run(find_key(request)):
            return Screen()
        message = Message(text=messages.STOPPED_WAITING, tone="stopped")
        return Screen(status=render_message(message), stop=gr.Button(interactive=False))

    def choose_source(self, source_key: str, request: gr.Request) -> tuple[Any, ...]:
        """The corpus line, its error, the drawer of examples, which goes where there are none, and
        the examples: a button and a note each."""
        try:
            source = self.find_source(source_key, find_key(request))
        except DearError as error:
            return SKIP, render_message(explain_error(error)), *[SKIP] * (1 + 2 * MAX_EXAMPLES)
        shown: list[Any] = []
        examples = pad_examples(source, self.library.student)
        for example in examples:
            shown.append(gr.Button(value=example.query, visible=bool(example.query)))
            shown.append(render_note(example.shows))
        drawer = gr.Accordion(visible=bool(examples[0].query))
        return render_source(source), "", drawer, *shown

    def add_file(self, path: str | None, request: gr.Request) -> tuple[Any, Any]:
        """An uploaded file as a corpus of this page only: the chooser, and an error beside it."""
        if path is None:
            return SKIP, ""
        try:
            corpus = load_corpus(path)
            source = Source(
                key=f"upload:{corpus.sha256}", corpus=corpus, retriever=build_retriever(corpus)
            )
        except DearError as error:
            return SKIP, render_message(explain_error(error))
        return self._offer(source, request), ""

    def begin_pasted(self, request: gr.Request, text: str, *values: Any) -> tuple[Any, ...]:
        """Makes a pasted list this page's candidates and begins a run over it: the chooser, an
        error beside the list, then what `begin` gives."""
        try:
            corpus = parse_pasted(text)
        except DearError as error:
            return SKIP, render_message(explain_error(error)), *Screen()
        source = Source(key=f"pasted:{corpus.sha256}", corpus=corpus, retriever=None)
        choices = Choices(*values)._replace(source=source.key)
        return self._offer(source, request), "", *self.begin(request, *choices)

    def forget(self, request: gr.Request) -> None:
        """The page was closed."""
        self.sessions.forget(find_key(request))

    def show_trace(self, trace: RankingTrace, message: Message, key: str, run_id: int) -> Screen:
        """A ranking that was made before, exactly as it was, with nothing selected."""
        view = RankView(trace=trace, message=message, over=True)
        cards = gr.HTML(value=render_asked(trace) + render_cards(trace, {}), live={}, run=run_id)
        return self._show(view, frozenset(), key)._replace(cards=cards)

    def _offer(self, source: Source, request: gr.Request) -> Any:
        self.sessions.add_source(find_key(request), source)
        own = [(s.corpus.title, s.key) for s in self.sessions.list_sources(find_key(request))]
        return gr.Dropdown(choices=[*list_choices(self.library), *own], value=source.key)

    def find_source(self, source_key: str, key: str) -> Source:
        """A corpus of the page `key` itself, else one of the server's. Raises InputError."""
        return self.sessions.find_source(key, source_key) or self.library.open_source(source_key)

    def _show(self, view: RankView, shown: frozenset[str], key: str) -> Screen:
        """The screen for a view. shown: which cards were marked in the view before."""
        screen = Screen(status=render_message(view.message))
        live = {doc_id: clean_stream(text) for doc_id, text in view.live.items()}
        if view.changed == "text" and shown == _list_marked(view):
            return screen._replace(cards=gr.HTML(live=live))
        if view.changed != "status":
            cards = render_asked(view.trace)
            cards += render_cards(view.trace, view.live, view.reading)
            screen = screen._replace(cards=gr.HTML(value=cards, live=live))
        if view.changed == "order":
            screen = screen._replace(
                intro="",
                results=gr.Column(visible=True),
                strip=render_strip(view.trace),
                **show_charts(view.trace),
            )
        if view.over or view.changed == "order":
            self.sessions.note_shown(key, view.trace if view.over else None)
        if view.over:
            offered = offer_ranking(view.trace, self.library, self.sessions, key)
            return screen._replace(stop=gr.Button(interactive=False), **offered)
        return screen._replace(**withdraw_ranking()) if view.changed == "order" else screen


def _list_marked(view: RankView) -> frozenset[str]:
    """Whose cards look different while stage 2 is at work: being read, or written about."""
    return frozenset({*view.live, *(f"reading {doc_id}" for doc_id in view.reading)})


def list_choices(library: Library) -> list[tuple[str, str]]:
    """The chooser's entries: what is shown, and the key behind it."""
    return [(info.title, info.corpus_id) for info in library.corpora]


def render_source(source: Source) -> str:
    corpus = source.corpus
    size = messages.count(len(corpus), "passage")
    how = source.retriever.description if source.retriever else f"{size}, no retrieval"
    return render_corpus(corpus.description, [how, f"licence: {corpus.licence}"])


def pad_examples(source: Source, student: str) -> tuple[Example, ...]:
    """Exactly MAX_EXAMPLES examples; the query is "" where the source has fewer."""
    missing = (Example(query=""),) * MAX_EXAMPLES
    return (*list_examples(source.corpus, student), *missing)[:MAX_EXAMPLES]


def make_job(choices: Choices, source: Source) -> RankJob:
    """What the controls ask for."""
    window_size, stride = WINDOWS[choices.window]
    settings = RankSettings(
        depth=int(choices.depth),
        window_size=window_size,
        stride=stride,
        stages=choices.stages,
        mode=choices.mode,
        final=None if choices.final == AS_PROFILE else choices.final,
        grounding=bool(choices.grounding),
    )
    return RankJob(
        query=choices.query,
        source=source,
        student=choices.student,
        quantization=choices.quantization,
        settings=settings,
    )


def _make_failed(**errors: DearError) -> Screen:
    """A run that did not get as far as candidates: its error stands at the control it is about."""
    shown = {name: render_message(explain_error(error)) for name, error in errors.items()}
    return Screen(status="", stop=gr.Button(interactive=False), **shown)


def find_key(request: gr.Request) -> str:
    """The key of the open page a request comes from."""
    return str(request.session_hash)
