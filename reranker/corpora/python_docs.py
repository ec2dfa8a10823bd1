"""The `python-docs` corpus: the running interpreter's own documentation as passages.

Takes nothing but the interpreter, returns a corpus: the language reference's topics, the
docstrings in the standard library's sources (parsed, never imported) and those of builtins
and of a fixed list of C modules that are harmless to import. Built at first use, then kept as
a .jsonl in the cache folder under the interpreter's version. Knows nothing of retrieval.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import json
import logging
import os
import platform
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from reranker.config import cache_dir
from reranker.corpora.corpus import Corpus, make_corpus
from reranker.corpora.doc_text import count_words, pack_paragraphs, split_docstring, split_topic
from reranker.corpora.files import load_file
from reranker.corpora.rows import Row, collect_passages
from reranker.errors import InputError
from reranker.types import Passage

logger = logging.getLogger(__name__)

CORPUS_ID = "python-docs"
TITLE = "Python documentation"
DESCRIPTION = "Language reference topics and standard-library docstrings of this interpreter"
LICENCE = "PSF-2.0 (Python Software Foundation)"
EXAMPLE_QUERIES = (
    "How do I split a string at a separator?",
    "What does the else clause of a for loop do?",
    "combine several mappings into a single view",
    "temporary directory that is deleted automatically",
    "difference between __str__ and __repr__",
    "run a command and capture what it prints",
)

_LAYOUT = 1  # raise by one when what is built changes
_MIN_DOC_WORDS = 6  # a shorter docstring says no more than the name does
_SKIPPED_PACKAGES = frozenset(
    """
    __phello__ antigravity distutils ensurepip idlelib lib2to3 msilib pydoc_data site-packages
    dist-packages test tests this tkinter turtle turtledemo encodings
    """.split()
)
_C_MODULES = {  # C module: the name people know it by
    "_bisect": "bisect", "_collections": "collections", "_csv": "csv", "_datetime": "datetime",
    "_decimal": "decimal", "_functools": "functools", "_io": "io", "_random": "random",
    "_socket": "socket", "_sqlite3": "sqlite3", "_struct": "struct", "_thread": "_thread",
    "array": "array", "binascii": "binascii", "cmath": "cmath", "gc": "gc",
    "itertools": "itertools", "math": "math", "nt": "os", "posix": "os",
    "select": "select", "sys": "sys", "time": "time", "unicodedata": "unicodedata",
    "zlib": "zlib",
}  # fmt: skip


def load_python_docs() -> Corpus:
    """The corpus, from the cache where it is there and whole, else built (seconds) and cached.

    A cache folder that cannot be written costs a log line and a build each time.
    """
    file = cache_file()
    passages: tuple[Passage, ...] | None = None
    if file.is_file():
        try:
            passages = load_file(file)
        except InputError as error:
            logger.warning("the cached corpus is unusable (%s); building it again", error)
    if passages is None:
        passages = build_passages()
        try:
            _save(passages, file)
        except OSError as error:
            logger.warning("the corpus could not be cached: %s", error)
    return make_corpus(
        passages,
        corpus_id=CORPUS_ID,
        title=f"{TITLE} ({platform.python_version()})",
        description=DESCRIPTION,
        licence=LICENCE,
        example_queries=EXAMPLE_QUERIES,
    )


def cache_file() -> Path:
    """Where the built corpus of this interpreter is kept."""
    version = f"{platform.python_implementation().lower()}-{platform.python_version()}"
    return cache_dir() / "corpora" / f"{CORPUS_ID}-{version}-{_LAYOUT}.jsonl"


def build_passages() -> tuple[Passage, ...]:
    """Every passage: topics, then builtins and C modules, then the library's sources.

    Of texts that appear twice the first is kept. Ids are titles, numbered where a title has
    several passages.
    """
    seen: set[str] = set()
    counts: dict[str, int] = {}
    rows: list[Row] = []
    for title, text in (*_read_topics(), *_read_c_docs(), *_read_source_docs()):
        if text in seen:
            continue
        seen.add(text)
        base = "_".join(title.replace(":", "").split())
        counts[base] = counts.get(base, 0) + 1
        doc_id = base if counts[base] == 1 else f"{base}#{counts[base]}"
        rows.append(Row(line=0, doc_id=doc_id, title=title, text=text))
    return collect_passages(rows, CORPUS_ID)


def _read_topics() -> Iterator[tuple[str, str]]:
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:  # some distributions leave it out
        return
    for topic, text in sorted(topics.items()):
        for section in split_topic(text):
            is_name = "." in section.title and " " not in section.title
            title = section.title if is_name else f"topic: {section.title or topic}"
            for part in pack_paragraphs(section.paragraphs):
                yield title, part


def _read_c_docs() -> Iterator[tuple[str, str]]:
    yield from _read_members(builtins, "")
    for module_name, known_as in sorted(_C_MODULES.items()):
        try:
            module = importlib.import_module(module_name)
        except ImportError:  # not every build has every module
            continue
        yield from _read_members(module, f"{known_as}.")


def _read_members(module: ModuleType, prefix: str) -> Iterator[tuple[str, str]]:
    for name, member in sorted(vars(module).items()):
        if name.startswith("_") or not (inspect.isclass(member) or inspect.isroutine(member)):
            continue
        title = f"{prefix}{name}"
        yield from _make_texts(title, _read_signature(member), inspect.getdoc(member))
        if inspect.isclass(member) and not issubclass(member, BaseException):
            for method_name, method in sorted(vars(member).items()):
                if not method_name.startswith("_"):
                    # vars() holds what the class itself defines; inherited ones are elsewhere
                    doc = getattr(method, "__doc__", None)
                    signature = _read_signature(method)
                    doc = inspect.cleandoc(doc) if isinstance(doc, str) else None
                    yield from _make_texts(f"{title}.{method_name}", signature, doc)


def _read_signature(member: object) -> str:
    # Not inspect.signature, which evaluates the defaults and fails on some.
    signature = getattr(member, "__text_signature__", None)
    return signature.replace("$", "") if isinstance(signature, str) else ""


def _read_source_docs() -> Iterator[tuple[str, str]]:
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py")):
        *packages, name = path.relative_to(library).with_suffix("").parts
        hidden = any(package.startswith("_") for package in packages) or name == "__main__"
        if hidden or _SKIPPED_PACKAGES.intersection((*packages, name)):
            continue
        # What a private module of a package defines is known by the package's name:
        # pathlib.Path, not pathlib._local.Path.
        private = name.startswith("_")
        module = ".".join(packages if private else (*packages, name))
        if not module:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old escapes in sources that are not ours
                tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        if not private or name == "__init__":
            yield from _make_texts(module, "", ast.get_docstring(tree))
        yield from _read_definitions(tree, module)


def _read_definitions(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    for node in parent.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if node.name.startswith("_"):
            continue
        title = f"{prefix}.{node.name}"
        signature = "" if isinstance(node, ast.ClassDef) else f"({ast.unparse(node.args)})"
        yield from _make_texts(title, signature, ast.get_docstring(node))
        if isinstance(node, ast.ClassDef):
            yield from _read_definitions(node, title)


def _make_texts(title: str, signature: str, doc: str | None) -> Iterator[tuple[str, str]]:
    if doc is None or count_words(doc) < _MIN_DOC_WORDS:
        return
    paragraphs = split_docstring(doc)
    if signature and not paragraphs[0].startswith(title.rsplit(".", 1)[-1] + "("):
        paragraphs.insert(0, f"{title}{signature}")
    for text in pack_paragraphs(paragraphs):
        yield title, text


def _save(passages: tuple[Passage, ...], file: Path) -> None:
    """Writes beside the final place and renames, so that `file` is whole or absent."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".building-", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for p in passages:
                row = {"_id": p.doc_id, "title": p.title, "text": p.text}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        os.replace(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
