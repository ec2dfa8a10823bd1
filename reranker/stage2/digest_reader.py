"""Stage 2 of a student of our own: notes on all passages at once, then one ranking.

Takes a `WindowView`, returns a `WindowReading`. Reason-first writes the notes and ranks by its
own verdicts; rank-first ranks by the facts and writes the notes afterwards.
"""

from __future__ import annotations

import time

from reranker.config import Stage2Profile
from reranker.digest import Digest, digest_window
from reranker.parsing import ParsedRanking, parse_ranking
from reranker.progress import Cancelled, TextDelta
from reranker.prompts.digest import (
    note_grammar,
    parse_note,
    ranking_grammar,
    show_delta,
    write_note_prompt,
    write_ranking_prompt,
)
from reranker.stage2.decode import Decoder
from reranker.stage2.reader import (
    OnDelta,
    WindowView,
    justify,
    make_defect,
    ranking_defects,
    record_generation,
)
from reranker.types import Defect, Generation, Justification, Mode, Verdict, WindowReading


class DigestReader:
    """Reads windows through evidence digests."""

    def __init__(self, decoder: Decoder, profile: Stage2Profile) -> None:
        self.decoder, self.profile = decoder, profile

    def read(
        self,
        view: WindowView,
        *,
        mode: Mode,
        grounding: bool,
        on_delta: OnDelta,
        cancelled: Cancelled,
    ) -> WindowReading:
        """Raises CancelledError when stopped."""
        started = time.perf_counter()
        call = _Call(self, view, grounding, on_delta, cancelled)
        if mode == "rank_first":
            parsed = call.rank([None] * len(view.passages))
            justifications = call.write_notes()
        else:
            justifications = call.write_notes()
            parsed = call.rank([j.verdict for j in justifications])
        return WindowReading(
            index=view.index,
            window=view.window,
            doc_ids=tuple(p.doc_id for p in view.passages),
            permutation=parsed.permutation,
            justifications=tuple(justifications),
            generations=tuple(call.generations),
            defects=tuple(call.defects),
            seconds=time.perf_counter() - started,
        )


class _Call:
    """One reading under way: what has been generated and found wanting so far."""

    def __init__(
        self,
        reader: DigestReader,
        view: WindowView,
        grounding: bool,
        on_delta: OnDelta,
        cancelled: Cancelled,
    ) -> None:
        self.reader, self.view = reader, view
        self.grounding, self.on_delta, self.cancelled = grounding, on_delta, cancelled
        self.digests: tuple[Digest, ...] = digest_window(
            view.query, view.passages, view.scores, view.ranks, guard=view.guard
        )
        self.generations: list[Generation] = []
        self.defects: list[Defect] = []

    def write_notes(self) -> list[Justification]:
        view, lead = self.view, min(self.digests, key=lambda digest: digest.rank)
        size = len(view.passages)
        prompts, grammars = [], []
        for digest, passage in zip(self.digests, view.passages, strict=True):
            prompts.append(write_note_prompt(view.query, digest, lead, passage, guard=view.guard))
            grammars.append(note_grammar(digest, size) if self.grounding else None)

        def stream(row: int, text: str) -> None:
            passage = view.passages[row]
            self.on_delta(
                TextDelta(
                    window_index=view.index,
                    doc_id=passage.doc_id,
                    purpose="note",
                    text=show_delta(text, self.digests[row], passage),
                )
            )

        decoded = self.reader.decoder.decode(
            prompts,
            grammars,
            max_new_tokens=self.reader.profile.max_new_tokens,
            on_text=stream,
            cancelled=self.cancelled,
        )
        justifications = []
        for position, (prompt, answer) in enumerate(zip(prompts, decoded, strict=True)):
            doc_id = view.passages[position].doc_id
            self.generations.append(record_generation("note", prompt, answer, doc_id))
            justifications.append(self._take_apart(position, answer.text))
        return justifications

    def _take_apart(self, position: int, text: str) -> Justification:
        note = parse_note(text, self.digests[position])
        passage = self.view.passages[position]
        quotes = []
        if note is None:
            self.defects.append(make_defect(self.view, "wrong_format", text, passage.doc_id))
        else:
            quotes = [passage.text[note.sentence.start : note.sentence.end]]
        justification, defects = justify(
            self.view,
            position,
            note.verdict if note else None,
            note.reason if note else "",
            quotes,
        )
        self.defects.extend(defects)
        return justification

    def rank(self, verdicts: list[Verdict | None]) -> ParsedRanking:
        size = len(self.view.passages)
        prompt = write_ranking_prompt(self.view.query, self.digests, verdicts)
        grammar = ranking_grammar(size) if self.grounding else None
        index = self.view.index

        def stream(row: int, text: str) -> None:
            self.on_delta(TextDelta(window_index=index, doc_id="", purpose="ranking", text=text))

        answer = self.reader.decoder.decode(
            [prompt],
            [grammar],
            max_new_tokens=self.reader.profile.max_ranking_tokens,
            on_text=stream,
            cancelled=self.cancelled,
        )[0]
        self.generations.append(record_generation("ranking", prompt, answer))
        parsed = parse_ranking(answer.text, size)
        self.defects.extend(ranking_defects(self.view, parsed))
        return parsed
