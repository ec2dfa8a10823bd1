"""A student without weights, for tests of the page: it scores by shared words and writes notes.

Satisfies what the pipeline asks of a student (scorer, reader, profile, lock, info). `pace` is
the pause between two words it writes; with `hold`, it stops after the first words of a window
and goes on only when `release` is set or the ranking is cancelled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from reranker.config import Profile, Stage2Profile, load_profile
from reranker.errors import CancelledError
from reranker.progress import Cancelled, TextDelta
from reranker.retrieval import tokenize
from reranker.sentences import split_sentences
from reranker.stage2.reader import OnDelta, WindowView
from reranker.types import (
    Defect,
    Evidence,
    Generation,
    Justification,
    Mode,
    Passage,
    PassageScore,
    Quantization,
    StudentInfo,
    Verdict,
    WindowReading,
)


def make_profile() -> Profile:
    """mini's profile with a second stage, as long as the bundled one has none."""
    stage2 = Stage2Profile(template="digest", base="fake", window_size=20, stride=10)
    return replace(load_profile("mini"), stage2=stage2)


def count_shared(query: str, text: str) -> int:
    return len(set(tokenize(query)) & set(tokenize(text)))


@dataclass(kw_only=True)
class FakeScorer:
    """Shared words, longer passages behind shorter ones."""

    def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Cancelled = lambda: False,
    ) -> list[PassageScore]:
        if cancelled():
            raise CancelledError("stage 1 was stopped")
        progress(len(passages), len(passages))
        return [
            PassageScore(
                doc_id=p.doc_id,
                score=count_shared(query, p.text) - len(p.text) / 1000,
                passage_tokens=len(p.text.split()),
                truncated=len(p.text) > 2000,
            )
            for p in passages
        ]


@dataclass(kw_only=True)
class FakeReader:
    """Quotes the best sentence, judges by shared words, writes word by word; ranks by verdict,
    the shorter passage first."""

    pace: float = 0.0
    hold: bool = False
    release: threading.Event = field(default_factory=threading.Event)
    holding: threading.Event = field(default_factory=threading.Event)
    note: str = "It speaks of {words} and leaves the rest of the question open."
    failure: Exception | None = None

    def read(
        self,
        view: WindowView,
        *,
        mode: Mode,
        grounding: bool,
        on_delta: OnDelta,
        cancelled: Cancelled,
    ) -> WindowReading:
        started = time.perf_counter()
        justifications = [self._judge(view, p) for p in view.passages]
        texts = [f"<|quote|> {j.evidence[0].text}<|/quote|><|{j.verdict}|>{j.text}<|end|>"
                 for j in justifications]  # fmt: skip
        self._write(view, texts, on_delta, cancelled)
        if self.failure is not None:
            raise self.failure
        order = sorted(
            range(len(justifications)),
            key=lambda i: (-_weigh(justifications[i].verdict), len(view.passages[i].text), i),
        )
        last = view.passages[-1].doc_id
        return WindowReading(
            index=view.index,
            window=view.window,
            doc_ids=tuple(p.doc_id for p in view.passages),
            permutation=tuple(order),
            justifications=tuple(justifications),
            generations=tuple(
                Generation(purpose="note", prompt_sha256="0" * 64, prompt_tokens=90, text=text,
                           tokens=len(text.split()), doc_id=j.doc_id)
                for j, text in zip(justifications, texts, strict=True)
            ),
            defects=(
                Defect(kind="quote_not_found", detail="words that are not there",
                       window_index=view.index, doc_id=last),
            ),
            seconds=time.perf_counter() - started,
        )  # fmt: skip

    def _judge(self, view: WindowView, passage: Passage) -> Justification:
        spans = split_sentences(passage.text) or [(0, len(passage.text))]
        start, end = max(spans, key=lambda s: count_shared(view.query, passage.text[s[0] : s[1]]))
        shared = count_shared(view.query, passage.text)
        verdicts: tuple[Verdict, ...] = ("off_topic", "related", "partial", "answers")
        words = f"{shared} word{'' if shared == 1 else 's'} of the query"
        return Justification(
            doc_id=passage.doc_id,
            verdict=verdicts[min(shared, 3)],
            text=self.note.format(words=words),
            evidence=(Evidence(start=start, end=end, text=passage.text[start:end]),),
        )

    def _write(
        self, view: WindowView, texts: list[str], on_delta: OnDelta, cancelled: Cancelled
    ) -> None:
        """All notes side by side, a word each at a time, as a batch is decoded."""
        rows = [text.split(" ") for text in texts]
        for position in range(max(map(len, rows))):
            for passage, words in zip(view.passages, rows, strict=True):
                if position < len(words):
                    on_delta(TextDelta(window_index=view.index, doc_id=passage.doc_id,
                                       purpose="note", text=f" {words[position]}"))  # fmt: skip
            if self.hold and position == 3:
                self.holding.set()
                while not self.release.wait(0.05) and not cancelled():
                    pass
            if cancelled():
                raise CancelledError("stage 2 was stopped")
            time.sleep(self.pace)


def _weigh(verdict: Verdict | None) -> int:
    return {"answers": 3, "partial": 2, "related": 1}.get(verdict or "", 0)


@dataclass(kw_only=True)
class FakeStudent:
    """Both fakes behind the interface the pipeline uses."""

    quantization: Quantization = "nf4"
    profile: Profile = field(default_factory=make_profile)
    scorer: FakeScorer = field(default_factory=FakeScorer)
    reader: FakeReader = field(default_factory=FakeReader)
    lock: threading.RLock = field(default_factory=threading.RLock)  # type: ignore[valid-type]

    def seed(self, seed: int) -> None: ...

    def activate(self, stage: str) -> None: ...

    def info(self) -> StudentInfo:
        return StudentInfo(
            name=self.profile.name,
            quantization=self.quantization,
            device="cpu",
            stage1_base="fake",
            stage2_base="fake",
            stage1_adapter_sha256="1f" * 32,
            stage2_adapter_sha256="2e" * 32,
            memory_bytes=29 * 2**20,
        )
