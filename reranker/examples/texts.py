"""Texts for stage 2: DeAR-COT records, ready prompts, and annotations turned into answers.

Takes records of a .jsonl file, returns `TextExample`s. Knows no tokenizer and no model.

    DeAR-COT     {"system", "instruction", "input", "output", "history", "think"}; history is a
                 list of [user, assistant] turns that came before; think is the reasoning that
                 goes before output, and is part of the answer
    prompts      {"prompt", "answer"}: rendered already, as reranker/training/reasoning.py writes
    annotations  judged lists with justifications (see lists.py), in the chat form of stage 2
"""

from __future__ import annotations

from collections.abc import Sequence

from reranker.errors import InputError
from reranker.examples.lists import parse_annotation, read_text_field
from reranker.examples.record import JudgedPassage, JudgedQuery, Message, TextExample
from reranker.prompts.chat import RANKING_MARKER, write_messages
from reranker.types import VERDICTS

_Record = dict[str, object]


def parse_dear_cot(record: _Record, where: str) -> TextExample:
    """A DeAR-COT record (arXiv 2508.16998). Raises InputError naming the field."""
    asked = [
        text.strip()
        for name in ("instruction", "input")
        if isinstance(text := record.get(name), str) and text.strip()
    ]
    if not asked:
        raise InputError(
            "expected text in instruction or input, got none; fill one in or remove the line",
            where=where,
        )
    messages = []
    system = record.get("system")
    if isinstance(system, str) and system.strip():
        messages.append(Message(role="system", content=system.strip()))
    messages += _read_history(record.get("history"), where)
    messages.append(Message(role="user", content="\n".join(asked)))
    output = read_text_field(record, ("output",), where)
    think = record.get("think")
    if isinstance(think, str) and think.strip() and think.strip() not in output:
        output = f"{think.strip()}\n{output}"
    return TextExample(messages=tuple(messages), answer=output, where=where)


def parse_prompt(record: _Record, where: str) -> TextExample:
    """A rendered prompt with its answer; white space is kept as it is. Raises InputError."""
    for name in ("prompt", "answer"):
        read_text_field(record, (name,), where)
    return TextExample(prompt=str(record["prompt"]), answer=str(record["answer"]), where=where)


def parse_annotated_text(record: _Record, where: str) -> TextExample:
    """An annotation as a chat example. Raises InputError where nothing was justified."""
    return write_annotated_text(parse_annotation(record, where))


def write_annotated_text(judged: JudgedQuery, order: Sequence[int] | None = None) -> TextExample:
    """What stage 2 should have written for this list: notes, then the ranking.

    order: positions in `judged.passages`, best first, all of them; None ranks by grade, where
    passages of one grade keep their order. Raises InputError without any justification.
    """
    if not any(p.justification for p in judged.passages):
        raise InputError(
            "expected a justification for at least one passage, got none; write one, or use the "
            "line for stage 1",
            where=judged.where,
        )
    passages = [p.passage for p in judged.passages]
    asked = write_messages(judged.query.text, passages, "reason_first")
    notes = [_write_note(label, p) for label, p in enumerate(judged.passages, start=1)]
    if order is None:
        order = sorted(range(len(passages)), key=lambda n: -judged.passages[n].grade)
    ranking = " > ".join(f"[{position + 1}]" for position in order)
    answer = "\n".join([*notes, f"{RANKING_MARKER} {ranking}"])
    messages = tuple(Message(role=m["role"], content=m["content"]) for m in asked)
    return TextExample(messages=messages, answer=answer, where=judged.where)


def _write_note(label: int, judged: JudgedPassage) -> str:
    verdict = VERDICTS[max(0, len(VERDICTS) - 1 - judged.grade)]
    note = f"[{label}] {verdict}: {' '.join(judged.justification.split())}".rstrip(": ")
    quotes = [q for q in judged.quotes if q in judged.passage.text and '"' not in q]
    return f'{note} evidence: "{quotes[0]}"' if quotes else note


def _read_history(history: object, where: str) -> list[Message]:
    messages = []
    turns = history if isinstance(history, list) else []
    for turn in turns:
        good = isinstance(turn, list) and len(turn) == 2 and all(isinstance(t, str) for t in turn)
        if not good:
            raise InputError(
                f"expected history as a list of [user, assistant] texts, got {str(turn)[:40]!r}; "
                "correct it",
                where=where,
            )
        messages += [Message(role="user", content=turn[0])]
        messages += [Message(role="assistant", content=turn[1])]
    return messages
