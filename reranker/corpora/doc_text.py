"""Documentation text to stretches of a readable size.

Takes a topic of the language reference or a docstring, returns titled stretches of MIN_WORDS
to MAX_WORDS words where the source allows it (a short section or docstring stays whole and by
itself). Knows the plain-text conventions of Python's documentation; knows neither where a
text is from nor passages.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field

MIN_WORDS = 60
MAX_WORDS = 200
_PIECE_WORDS = 100  # MIN_WORDS + _PIECE_WORDS stays under MAX_WORDS

_UNDERLINE = re.compile(r"([*=\-~^\"'#+])\1{2,}\s*$")
_DEFINITION = re.compile(r"(?:(?:class|classmethod|staticmethod|async) )*([A-Za-z_][\w.]*)\(.*\)$")
_ITEM = re.compile(r"(?:[*+-]|\(?\w{1,2}[.)]) +\S")
_CODE = re.compile(r">>> |\.\.\. |[+|]|.*::=|.*\S {3,}\S")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(*])")
_BLANK_LINES = re.compile(r"\n(?:[ ]*\n)+")


@dataclass(slots=True)
class Section:
    """A titled stretch of documentation: its paragraphs in order."""

    title: str
    paragraphs: list[str] = field(default_factory=list)


def split_topic(text: str) -> list[Section]:
    """The sections of a reference topic: one for each heading and one for each definition.

    A definition is a line such as "str.split(sep=None)" at the margin; its section is called
    "str.split" and holds the line and what is indented below it.
    """
    sections = [Section("")]
    heading = ""
    previous = ""
    for block in _split_blocks(text):
        lines = block.splitlines()
        definitions = [_DEFINITION.match(line) for line in lines]
        in_definition = sections[-1].title != heading
        if len(lines) == 2 and _UNDERLINE.match(lines[1]):
            heading = lines[0].strip().replace('"', "")
            sections.append(Section(heading))
        elif definitions[0] and all(definitions):
            sections.append(Section(definitions[0][1], ["\n".join(lines)]))
        else:
            if in_definition and not block.startswith(" "):
                sections.append(Section(heading))
            sections[-1].paragraphs.append(_join_lines(block, previous))
        previous = block
    return [section for section in sections if section.paragraphs]


def split_docstring(text: str) -> list[str]:
    """The paragraphs of a docstring whose common indentation is already removed."""
    blocks = _split_blocks(text)
    return [
        _join_lines(block, previous) for previous, block in zip(["", *blocks], blocks, strict=False)
    ]


def pack_paragraphs(paragraphs: list[str]) -> list[str]:
    """Paragraphs put together, or cut at sentences and lines, to texts of readable size.

    What a colon announces stays with the announcement where it fits.
    """
    texts: list[str] = []
    held: list[str] = []
    for piece in (piece for paragraph in paragraphs for piece in _cut(paragraph)):
        words = count_words("\n".join(held))
        announced = bool(held) and held[-1].endswith(":")
        if words + count_words(piece) > MAX_WORDS or (words >= MIN_WORDS and not announced):
            texts.append("\n\n".join(held))
            held = []
        held.append(piece)
    if held:
        texts.append("\n\n".join(held))
    if len(texts) > 1 and count_words(texts[-1]) < MIN_WORDS:
        last = texts.pop()
        if count_words(texts[-1]) + count_words(last) <= MAX_WORDS:
            texts[-1] = f"{texts[-1]}\n\n{last}"
        else:
            texts.append(last)
    return texts


def count_words(text: str) -> int:
    """Words as white space separates them."""
    return len(text.split())


def _split_blocks(text: str) -> list[str]:
    return [block.rstrip() for block in _BLANK_LINES.split(text.expandtabs(4)) if block.strip()]


def _join_lines(block: str, previous: str) -> str:
    """Prose becomes one line; code, tables and grammar keep theirs."""
    lines = textwrap.dedent(block).splitlines()
    hanging = lines[1:] if _ITEM.match(lines[0]) else lines
    indents = {_indent(line) for line in hanging}
    introduced = previous.endswith(":") and _indent(block) > _indent(previous)
    is_item = bool(_ITEM.match(lines[0]))
    if len(indents) > 1 or any(_CODE.match(line) for line in lines) or (introduced and not is_item):
        return "\n".join(lines)
    return " ".join(line.strip() for line in lines)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _cut(paragraph: str) -> list[str]:
    """A paragraph in pieces of at most _PIECE_WORDS words, at sentence or line ends if it can."""
    if count_words(paragraph) <= _PIECE_WORDS:
        return [paragraph]
    glue = "\n" if "\n" in paragraph else " "
    parts = paragraph.split("\n") if glue == "\n" else _SENTENCE_END.split(paragraph)
    pieces: list[str] = []
    for part in (short for long in parts for short in _cut_words(long)):
        if pieces and count_words(pieces[-1]) + count_words(part) <= _PIECE_WORDS:
            pieces[-1] = f"{pieces[-1]}{glue}{part}"
        else:
            pieces.append(part)
    return pieces


def _cut_words(part: str) -> list[str]:
    words = part.split()
    if len(words) <= _PIECE_WORDS:
        return [part]
    return [" ".join(words[at : at + _PIECE_WORDS]) for at in range(0, len(words), _PIECE_WORDS)]
