"""ARCHITECTURE.md's annotated tree and the files on disk say the same.

Takes the tree between the two markers of ARCHITECTURE.md: one file or folder a line, two spaces
a level, then two spaces or more and a note. `python tests/test_architecture.py` prints the tree
as it should be, with the notes that are there and, for new files, the first sentence of the
module's docstring; with --write it puts that tree into ARCHITECTURE.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "ARCHITECTURE.md"
START, END = "<!-- tree:start -->", "<!-- tree:end -->"

ROOTS = ("app", "reranker", "assets", "benchmarks", "tests", ".ci", "docs")
TOP_FILES = (
    "Makefile",
    "NOTICE",
    "app.py",
    "constraints.txt",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
)
# Files that carry code or configuration stand one by one. Data does not: its folder does, down
# to this many names (assets/students/mini).
CODE_SUFFIXES = {".py", ".css", ".js"}
CODE_NAMES = {"profile.json", "run"}
FOLDER_DEPTH = 3
SKIPPED = {"__pycache__", ".DS_Store"}
MISSING_NOTE = "(say what it is for)"
NOTE_COLUMN = 28


def is_shown(path: Path) -> bool:
    return path.suffix in CODE_SUFFIXES or path.name in CODE_NAMES


def list_on_disk() -> set[str]:
    """Every path that must stand in the tree; folders end in a slash."""
    shown = {name for name in TOP_FILES if (ROOT / name).is_file()}
    for path in (p for root in ROOTS for p in (ROOT / root).rglob("*") if p.is_file()):
        relative = path.relative_to(ROOT)
        if SKIPPED & set(relative.parts) or is_empty_init(path):
            continue
        folders = ["/".join(relative.parts[:n]) + "/" for n in range(1, len(relative.parts))]
        if is_shown(path):
            shown |= {relative.as_posix(), *folders}
        else:
            shown |= set(folders[:FOLDER_DEPTH])
    return shown


def is_empty_init(path: Path) -> bool:
    """An __init__.py that defines nothing of its own is the folder's own line."""
    if path.name != "__init__.py":
        return False
    body = ast.parse(path.read_text("utf-8")).body
    return not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


def read_tree(document: str) -> dict[str, str]:
    """path -> note, from the lines between the markers. Raises ValueError on a bad line."""
    body = document.split(START)[1].split(END)[0]
    notes: dict[str, str] = {}
    folders: list[str] = []
    for line in body.splitlines():
        if not line.strip() or line.startswith("```"):
            continue
        match = re.fullmatch(r"((?:  )*)(\S+)(?:\s{2,}(\S.*))?", line)
        if not match or len(match[1]) // 2 > len(folders):
            raise ValueError(f"expected 'name  note' under its folder, got {line!r}")
        folders = folders[: len(match[1]) // 2]
        path = "".join(folders) + match[2]
        notes[path] = match[3] or ""
        if path.endswith("/"):
            folders.append(match[2])
    return notes


def draft_note(path: str) -> str:
    """The first sentence of a module's (or package's) docstring."""
    file = ROOT / path
    file = file / "__init__.py" if path.endswith("/") else file
    if file.suffix != ".py" or not file.is_file():
        return MISSING_NOTE
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"(?<=[.!?])\s|\n\n", text, maxsplit=1)[0]
    return " ".join(sentence.split()).rstrip(".") or MISSING_NOTE


def order_paths(paths: set[str]) -> list[str]:
    """Depth first; files before folders at the top, names in order below."""

    def key(path: str) -> tuple[tuple[bool, str], ...]:
        parts = [part for part in re.split(r"(?<=/)", path) if part]
        return tuple((part.endswith("/"), part) for part in parts)

    return sorted(paths, key=key)


def render_tree(notes: dict[str, str]) -> Iterator[str]:
    """The lines of the tree for what lies on disk."""
    for path in order_paths(list_on_disk()):
        depth = path.rstrip("/").count("/")
        name = path.rstrip("/").split("/")[-1] + ("/" if path.endswith("/") else "")
        label = "  " * depth + name
        yield f"{label:<{NOTE_COLUMN}}  {notes.get(path) or draft_note(path)}"


def write_tree() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    lines = "\n".join(render_tree(read_tree(document)))
    before, after = document.split(START)[0], document.split(END)[1]
    tree = f"{START}\n```text\n{lines}\n```\n{END}"
    DOCUMENT.write_text(before + tree + after, encoding="utf-8")


def test_every_file_stands_in_the_tree() -> None:
    missing = list_on_disk() - set(read_tree(DOCUMENT.read_text(encoding="utf-8")))
    assert not missing, (
        f"not in ARCHITECTURE.md: {', '.join(order_paths(missing))}; "
        "run python tests/test_architecture.py --write"
    )


def test_every_line_of_the_tree_exists() -> None:
    gone = {
        path
        for path in read_tree(DOCUMENT.read_text(encoding="utf-8"))
        if not ((ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file())
    }
    assert not gone, f"in ARCHITECTURE.md but not on disk: {', '.join(order_paths(gone))}"


def test_every_line_of_the_tree_says_what_it_is_for() -> None:
    notes = read_tree(DOCUMENT.read_text(encoding="utf-8"))
    bare = [path for path, note in notes.items() if not note or note == MISSING_NOTE]
    assert not bare, f"without a note in ARCHITECTURE.md: {', '.join(bare)}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        write_tree()
    else:
        sys.stdout.writelines(f"{line}\n" for line in render_tree(read_tree(DOCUMENT.read_text())))
