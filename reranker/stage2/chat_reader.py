"""Stage 2 of a chat model (the published DeAR students): one prompt and one answer a window.

Takes a `WindowView`, returns a `WindowReading`. Raw passages are cut to the profile's token
limit; quotes and ranking are constrained while decoding unless grounding is off.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace

from reranker.config import Stage2Profile
from reranker.errors import StudentError
from reranker.parsing import parse_ranking
from reranker.progress import Cancelled, TextDelta
from reranker.prompts.chat import (
    count_form_bytes,
    parse_notes,
    reading_grammar,
    write_messages,
)
from reranker.stage2.decode import Decoder, OnText
from reranker.stage2.reader import (
    OnDelta,
    WindowView,
    justify,
    ranking_defects,
    record_generation,
)
from reranker.types import Defect, Justification, Mode, Passage, WindowReading

_LINE_LABEL = re.compile(r"(?:^|\n)\W*\[(\d{1,9})\][^\n]*$")


class ChatReader:
    """Reads windows of raw passages with a chat model."""

    def __init__(self, decoder: Decoder, profile: Stage2Profile) -> None:
        self.decoder, self.profile = decoder, profile
        self._special = [
            token.content
            for token in decoder.tokenizer.added_tokens_decoder.values()
            if token.special and len(token.content) > 1
        ]

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
        passages = [self._cut(passage) for passage in view.passages]
        prompt = self._render(write_messages(view.query, passages, mode, guard=view.guard))
        grammar = None
        if grounding:
            room = self.profile.max_new_tokens - count_form_bytes(len(passages))
            grammar = reading_grammar(passages, mode, max(0, room))
        answer = self.decoder.decode(
            [prompt],
            [grammar],
            max_new_tokens=self.profile.max_new_tokens,
            on_text=_route_text(view, on_delta),
            cancelled=cancelled,
        )[0]
        parsed = parse_ranking(answer.text, len(passages), leads=mode == "rank_first")
        justifications: list[Justification] = []
        defects: list[Defect] = ranking_defects(view, parsed)
        for position, note in enumerate(parse_notes(answer.text, len(passages))):
            justification, found = justify(
                view, position, note.verdict, note.reason, list(note.quotes)
            )
            justifications.append(justification)
            defects.extend(found)
        return WindowReading(
            index=view.index,
            window=view.window,
            doc_ids=tuple(p.doc_id for p in view.passages),
            permutation=parsed.permutation,
            justifications=tuple(justifications),
            generations=(record_generation("reading", prompt, answer),),
            defects=tuple(defects),
            seconds=time.perf_counter() - started,
        )

    def _cut(self, passage: Passage) -> Passage:
        """The passage within max_passage_tokens; a beginning, so offsets stay true."""
        encoded = self.decoder.tokenizer(
            passage.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        offsets = encoded["offset_mapping"]
        limit = self.profile.max_passage_tokens
        if len(offsets) <= limit:
            return passage
        return replace(passage, text=passage.text[: offsets[limit - 1][1]])

    def _render(self, messages: list[dict[str, str]]) -> str:
        """The prompt by the tokenizer's chat template; only the template writes special tokens."""
        safe = [{**message, "content": self._defuse(message["content"])} for message in messages]
        try:
            text: str = self.decoder.tokenizer.apply_chat_template(
                safe, tokenize=False, add_generation_prompt=True
            )
        except ValueError as error:
            raise StudentError(
                f"expected a tokenizer with a chat template for stage 2, got: {error}; choose an "
                "instruction-tuned base"
            ) from error
        return text

    def _defuse(self, text: str) -> str:
        for marker in self._special:
            if marker in text:
                text = text.replace(marker, f"{marker[0]} {marker[1:]}")
        return text


def _route_text(view: WindowView, on_delta: OnDelta) -> OnText:
    """Streams text, told apart by the passage whose line is being written."""
    written = ""

    def stream(row: int, text: str) -> None:
        nonlocal written
        written += text
        match = _LINE_LABEL.search(written)
        label = int(match.group(1)) if match else 0
        doc_id = view.passages[label - 1].doc_id if 1 <= label <= len(view.passages) else ""
        on_delta(TextDelta(window_index=view.index, doc_id=doc_id, purpose="reading", text=text))

    return stream
