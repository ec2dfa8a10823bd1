"""Files of questions with answers, in the forms open-domain QA is published in.

Takes SQuAD's json, DPR's tsv (`question<TAB>['answer', ...]`, as NQ, WebQ and TriviaQA are
handed round) or jsonl (`question`/`text` with `answer`/`answers`), plain or gzip; returns
`Question` records, and with a corpus a `Collection`. Knows no ranking.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reranker.corpora import load_corpus
from reranker.corpora.corpus import make_corpus
from reranker.corpora.files import parse_object
from reranker.corpora.reading import Line
from reranker.errors import InputError
from reranker.evaluation.collection import DEFAULT_DEPTH, Collection, retrieve_collection
from reranker.textfile import iterate_lines, read_text
from reranker.trec import Qrels, read_qrels
from reranker.types import Passage, Query

_SUFFIXES = (".tsv", ".csv", ".jsonl", ".json")
_QUESTION_NAMES = ("question", "text", "query")
_ANSWER_NAMES = ("answers", "answer", "golden_answers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question and what counts as an answer. doc_id: the passage it was asked about, or ""."""

    query: Query
    answers: tuple[str, ...]
    doc_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SquadFile:
    """SQuAD v1.1 or v2 taken apart: one passage a paragraph, and the questions on it."""

    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]


def is_question_file(path: Path) -> bool:
    """Whether a file's name says that it can hold questions."""
    return path.name.lower().removesuffix(".gz").endswith(_SUFFIXES)


def load_questions(
    path: Path,
    *,
    corpus: str = "",
    depth: int = DEFAULT_DEPTH,
    qrels: Path | None = None,
    limit: int | None = None,
) -> Collection:
    """The questions of `path` with BM25's candidates from `corpus`.

    SQuAD's json brings its own paragraphs, which are the corpus where none is named. Where
    questions name the passage they were asked about, it is the qrels' one relevant passage.
    limit: only the first so many questions (None: all).
    Raises InputError.
    """
    squad = read_squad(path) if is_squad(path) else None
    questions = (squad.questions if squad else read_questions(path))[:limit]
    if squad and not corpus:
        texts = make_corpus(squad.passages, corpus_id=path.name.split(".")[0], licence="CC BY-SA")
    else:
        texts = load_corpus(corpus)
    judged: Qrels = {q.query.query_id: {q.doc_id: 1} for q in questions if q.doc_id in texts}
    return retrieve_collection(
        texts,
        [question.query for question in questions],
        read_qrels(qrels) if qrels else judged,
        depth=depth,
        answers={q.query.query_id: q.answers for q in questions},
    )


def is_squad(path: Path) -> bool:
    """Whether a file opens like SQuAD's json: one object with `data` or `version`."""
    if not path.name.lower().removesuffix(".gz").endswith(".json"):
        return False
    start = read_text(path).lstrip()[:40].replace(" ", "")
    return start.startswith(('{"data":', '{"version":'))


def read_squad(path: Path) -> SquadFile:
    """Paragraphs and questions of SQuAD's json; unanswerable questions (v2) are left out.

    A paragraph's doc_id is "<article>-<paragraph>", counted from 0. Raises InputError.
    """
    passages: list[Passage] = []
    questions: list[Question] = []
    place = "data"
    try:
        articles = json.loads(read_text(path))["data"]
        for number, article in enumerate(articles):
            for index, paragraph in enumerate(article["paragraphs"]):
                place = f"data[{number}].paragraphs[{index}]"
                doc_id = f"{number}-{index}"
                title = str(article.get("title", "")).replace("_", " ")
                passages.append(Passage(doc_id=doc_id, title=title, text=paragraph["context"]))
                questions += _read_squad_questions(paragraph["qas"], doc_id)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"expected SQuAD's json (data, paragraphs, context, qas), got {type(error).__name__}: "
            f"{str(error)[:120]} in {place}; correct the file",
            where=path.name,
        ) from error
    return SquadFile(passages=tuple(passages), questions=_require_unique(questions, path.name))


def _read_squad_questions(records: list[dict[str, object]], doc_id: str) -> list[Question]:
    found = []
    for record in records:
        answers = record["answers"]
        texts = [a["text"] for a in answers] if isinstance(answers, list) else []
        if texts:
            query = Query(query_id=str(record["id"]), text=str(record["question"]).strip())
            found.append(Question(query=query, answers=tuple(dict.fromkeys(texts)), doc_id=doc_id))
    return found


def read_questions(path: Path) -> tuple[Question, ...]:
    """The questions of a tsv, jsonl or json file, in file order.

    A question without an id gets its 1-based place. Raises InputError naming file and line.
    """
    text = read_text(path)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".jsonl", ".json")):
        found = list(_read_json_questions(text, path.name))
    else:
        found = list(_read_tsv_questions(text, path.name))
    return _require_unique(found, path.name)


def _read_json_questions(text: str, name: str) -> Iterator[Question]:
    for place, (where, record) in enumerate(_iterate_objects(text, name), start=1):
        words = next((record[key] for key in _QUESTION_NAMES if key in record), None)
        answers = next((record[key] for key in _ANSWER_NAMES if key in record), None)
        answers = [answers] if isinstance(answers, str) else answers
        query_id = next((record[key] for key in ("_id", "id", "query_id") if key in record), place)
        doc_id = record.get("doc_id")
        yield _make_question(
            str(query_id), words, answers, doc_id if isinstance(doc_id, str) else "", where
        )


def _iterate_objects(text: str, name: str) -> Iterator[tuple[str, dict[str, object]]]:
    if not text.lstrip().startswith("["):
        for number, line in iterate_lines(text):
            yield f"{name}:{number}", parse_object(Line(number=number, text=line), name)
        return
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a JSON list, got {error}; mend the file", where=name) from error
    for place, record in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(
                "expected a list of questions as objects, got something else; mend it",
                where=f"{name}[{place}]",
            )
        yield f"{name}[{place}]", record


def _read_tsv_questions(text: str, name: str) -> Iterator[Question]:
    for place, (number, line) in enumerate(iterate_lines(text), start=1):
        where = f"{name}:{number}"
        words, tab, cell = line.partition("\t")
        try:
            answers = ast.literal_eval(cell.strip())  # a literal only: nothing is run
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise InputError(
                "expected question, tab and a list like ['answer'], got "
                f"{(cell if tab else line)[:60]!r}; mend the line",
                where=where,
            ) from error
        yield _make_question(str(place), words.strip(), answers, "", where)


def _make_question(
    query_id: str, words: object, answers: object, doc_id: str, where: str
) -> Question:
    usable = isinstance(answers, list) and answers and all(isinstance(a, str) for a in answers)
    if not isinstance(words, str) or not words.strip() or not usable:
        raise InputError(
            "expected a question and at least one answer as text, got something else; write "
            '{"question": "...", "answers": ["..."]}',
            where=where,
        )
    assert isinstance(answers, list)
    query = Query(query_id=query_id, text=words.strip())
    return Question(query=query, answers=tuple(answers), doc_id=doc_id)


def _require_unique(questions: list[Question], name: str) -> tuple[Question, ...]:
    ids = [question.query.query_id for question in questions]
    if not ids or len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next((i for i in ids if i in seen or seen.add(i)), "")  # type: ignore[func-returns-value]
        raise InputError(
            f"expected questions, each with an id of its own, got "
            f"{f'{twice!r} again' if ids else 'none'}; correct the file",
            where=name,
        )
    return tuple(questions)
