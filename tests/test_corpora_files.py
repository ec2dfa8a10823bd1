"""Files of passages: what is read, and what is refused with file, line and mend."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.corpora import limits, load_corpus, make_corpus, reading, rows
from reranker.corpora.files import load_file, read_passages
from reranker.errors import InputError
from reranker.types import Passage

ONE = (Passage(doc_id="a", text="Alpha one", title="T"), Passage(doc_id="b", text="Beta, two"))
JSONL = '{"_id": "a", "title": "T", "text": "Alpha one"}\n{"_id": "b", "text": "Beta, two"}\n'
CSV = 'id,title,text\na,T,Alpha one\nb,,"Beta, two"\n'
TSV = "doc_id\ttext\ttitle\na\tAlpha one\tT\nb\tBeta, two\t\n"


def read(name: str, content: bytes | str) -> tuple[Passage, ...]:
    data = content.encode() if isinstance(content, str) else content
    return read_passages(io.BytesIO(data), name)


def refuse(name: str, content: bytes | str) -> InputError:
    with pytest.raises(InputError) as caught:
        read(name, content)
    message = str(caught.value)
    assert message.startswith(caught.value.where + ": expected ")
    assert ", got " in message and "; " in message, "an error says expected, got, and the mend"
    return caught.value


@pytest.mark.parametrize(("name", "text"), [("c.jsonl", JSONL), ("c.csv", CSV), ("c.tsv", TSV)])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_formats_line_ends_and_marks(name: str, text: str, line_end: str, mark: bytes) -> None:
    assert read(name, mark + text.replace("\n", line_end).encode()) == ONE


def test_file_names_of_ids_and_texts() -> None:
    text = '{"id": 7, "contents": "seven"}\n\n{"doc_id": "8", "text": "eight", "other": [1]}\n'
    assert [(p.doc_id, p.text) for p in read("c.jsonl", text)] == [("7", "seven"), ("8", "eight")]
    assert read("c.csv", "ID, Contents \n1,x\n") == (Passage(doc_id="1", text="x"),)


def test_csv_field_with_line_breaks_and_quotes() -> None:
    found = read("c.csv", '_id,text\n1,"two\r\nlines, ""quoted"""\n2,y\n')
    assert [p.text for p in found] == ['two\nlines, "quoted"', "y"]


def test_paragraphs_of_a_text_file() -> None:
    text = "\ufeffFirst line\r\nsecond line\r\n \t\r\n\r\nNext\u2028still the same\r\n\r\n"
    found = read("notes.txt", text)
    assert [(p.doc_id, p.text) for p in found] == [
        ("p1", "First line\nsecond line"),
        ("p2", "Next\u2028still the same"),
    ]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(JSONL.encode()))
    assert load_file(path) == ONE
    corpus = load_corpus(path)
    assert (corpus.corpus_id, corpus.title, corpus.passages) == ("c.jsonl.gz", "c", ONE)


GOOD = '{"_id": "a", "text": "x"}\n'
BAD_FILES = [
    ("latin.txt", "gut\nschön".encode("latin-1"), "latin.txt:2", "UTF-8"),
    ("wide.csv", CSV.encode("utf-16"), "wide.csv:1", "UTF-16"),
    ("bin.jsonl", GOOD.encode() + b'{"_id": "b\0"}', "bin.jsonl:2", "binary"),
    ("image.txt", b"\x89PNG\r\n\x1a\n\0\0", "image.txt:1", "PNG"),
    ("sheet.csv", b"PK\x03\x04rest", "sheet.csv:1", "zip archive"),
    ("c.jsonl", GOOD + "{oops}\n", "c.jsonl:2", "invalid JSON"),
    ("c.jsonl", GOOD + "\n[1, 2]\n", "c.jsonl:3", "a list"),
    ("c.jsonl", "[" * 100_000, "c.jsonl:1", "invalid JSON"),
    ("c.jsonl", '{"text": "x"}', "c.jsonl:1", "'_id', 'doc_id', 'id'"),
    ("c.jsonl", '{"_id": "a", "body": "x"}', "c.jsonl:1", "'text', 'contents'"),
    ("c.jsonl", '{"_id": true, "text": "x"}', "c.jsonl:1", "true or false"),
    ("c.jsonl", '{"_id": "a", "text": ["x"]}', "c.jsonl:1", "a list"),
    ("c.jsonl", '{"_id": "a", "title": {}, "text": "x"}', "c.jsonl:1", "an object"),
    ("c.jsonl", GOOD + '{"_id": " ", "text": "x"}', "c.jsonl:2", "empty one"),
    ("c.jsonl", GOOD + '{"_id": "b c", "text": "x"}', "c.jsonl:2", "without spaces"),
    ("c.jsonl", GOOD + GOOD, "c.jsonl:2", "first on line 1"),
    ("c.jsonl", GOOD + '{"_id": "b", "text": " \\n"}', "c.jsonl:2", "got none"),
    ("c.jsonl", '{"_id": "a", "text": "x\\ud800"}', "c.jsonl:1", "surrogate"),
    ("c.jsonl", '{"_id": "a", "text": "x\\u0000"}', "c.jsonl:1", "NUL"),
    ("c.jsonl", '{"_id": "' + "a" * 257 + '", "text": "x"}', "c.jsonl:1", "257"),
    ("c.jsonl", "", "c.jsonl", "at least one passage"),
    ("c.txt", "\n \n", "c.txt", "at least one passage"),
    ("c.csv", "id,title\n1,x\n", "c.csv:1", "'text', 'contents'"),
    ("c.csv", "title,text\n1,x\n", "c.csv:1", "'_id', 'doc_id', 'id'"),
    ("c.csv", "id;text\n1;x\n", "c.csv:1", "commas"),
    ("c.tsv", "id,text\n1,x\n", "c.tsv:1", "tabs"),
    ("c.csv", "id,text,text\n1,x,y\n", "c.csv:1", "every column once"),
    ("c.csv", 'id,text\n1,"a\nb"\n2,x,y\n', "c.csv:4", "2 columns"),
    ("c.csv", 'id,text\n1,x\n2,"open\nand on\n', "c.csv:4", "begins on line 3"),
    ("c.csv", 'id,text\n1,"a"b\n', "c.csv:2", "double every"),
    ("c.csv", 'id,text\n1,x\n1,"a\nb"\n', "c.csv:3", "first on line 2"),
    ("c.csv", "id,text\n1,\n", "c.csv:2", "got none"),
    ("c.csv", "id,text\n,x\n", "c.csv:2", "empty one"),
    ("c.parquet", "PAR1", "c.parquet", ".jsonl, .csv, .tsv, .txt"),
    ("c", "x", "c", "no ending"),
]


@pytest.mark.parametrize(("name", "content", "where", "said"), BAD_FILES)
def test_bad_files_name_file_line_and_mend(
    name: str, content: bytes | str, where: str, said: str
) -> None:
    error = refuse(name, content)
    assert error.where == where
    assert said in str(error)


@pytest.mark.parametrize(
    ("content", "said"), [(gzip.compress(JSONL.encode())[:-12], "damaged"), (b"plain", "damaged")]
)
def test_damaged_gzip(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_file(path)
    assert caught.value.where.startswith("c.jsonl.gz:")


def test_a_gzip_inside_a_gzip_is_not_unpacked_twice(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.compress(JSONL.encode())))
    with pytest.raises(InputError, match="gzip data"):
        load_file(path)


def test_over_size_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(reading, "MAX_LINE_BYTES", 500)
    assert refuse("c.txt", b"ok\n" + b"a" * 501).where == "c.txt:2"
    assert refuse("c.txt", b"a" * 400 + b"\n" + b"a\n" * 400).where == "c.txt:301"
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(b"a\n\n" * 1000))
    assert path.stat().st_size < 1000
    with pytest.raises(InputError, match="got more"):
        load_file(path)
    path = tmp_path / "long.txt"
    path.write_bytes(b"a\n" * 600)
    with pytest.raises(InputError, match="got more"):
        load_file(path)


def test_limits_of_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_PASSAGES", 2)
    monkeypatch.setattr(rows, "MAX_PASSAGE_CHARS", 10)
    assert refuse("c.txt", "a\n\nb\n\nc").where == "c.txt:5"
    assert refuse("c.txt", "a\n\n" + "b" * 11).where == "c.txt:3"
    assert csv.field_size_limit() == limits.MAX_PASSAGE_CHARS


@pytest.mark.parametrize("path", ["missing.jsonl", "folder.jsonl"])
def test_no_such_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InputError, match="expected a file, got"):
        load_file(tmp_path / path)


def test_a_corpus_is_loaded_whole_or_not_at_all(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(JSONL)
    bad.write_text(JSONL + JSONL)
    held = load_corpus(good)
    with pytest.raises(InputError, match=r"bad\.jsonl:3"):
        load_corpus(bad)
    assert held.passages == ONE and held.get_passage("b") == ONE[1]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
ids = st.text(st.sampled_from("abc123-_.:/é"), min_size=1, max_size=8)
passages = st.lists(
    st.builds(
        lambda doc_id, text, title: Passage(doc_id=doc_id, text=text.strip(), title=title.strip()),
        doc_id=ids,
        text=texts,
        title=st.one_of(st.just(""), texts),
    ),
    min_size=1,
    unique_by=lambda p: p.doc_id,
)


@given(passages=passages, ascii_only=st.booleans())
def test_jsonl_round_trip(passages: list[Passage], ascii_only: bool) -> None:
    lines = [
        json.dumps({"_id": p.doc_id, "title": p.title, "text": p.text}, ensure_ascii=ascii_only)
        for p in passages
    ]
    assert read("c.jsonl", "\n".join(lines)) == tuple(passages)


@given(passages=passages, line_end=st.sampled_from(["\n", "\r\n"]))
def test_csv_and_tsv_round_trip(passages: list[Passage], line_end: str) -> None:
    for name, delimiter in (("c.csv", ","), ("c.tsv", "\t")):
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end)
        writer.writerow(["_id", "title", "text"])
        writer.writerows([p.doc_id, p.title, p.text] for p in passages)
        assert read(name, out.getvalue()) == tuple(passages)


@given(name=st.sampled_from(["c.jsonl", "c.csv", "c.tsv", "c.txt"]), content=st.binary())
def test_any_bytes_give_passages_or_an_input_error(name: str, content: bytes) -> None:
    try:
        found = read(name, content)
    except InputError as error:
        assert error.where.startswith(name)
    else:
        assert len({p.doc_id for p in found}) == len(found) > 0
        assert all(p.text.strip() for p in found)


def test_hash_follows_content_and_order_only() -> None:
    first = make_corpus(ONE, corpus_id="x", title="one")
    assert first.sha256 == make_corpus(ONE, corpus_id="y", licence="MIT").sha256
    assert first.sha256 != make_corpus(ONE[::-1], corpus_id="x").sha256
    moved = (Passage(doc_id="a", text="T", title="Alpha one"), ONE[1])
    assert first.sha256 != make_corpus(moved, corpus_id="x").sha256
    spelled_out = b'["a", "T", "Alpha one"]\n["b", "", "Beta, two"]\n'
    assert first.sha256 == hashlib.sha256(spelled_out).hexdigest()


def test_a_corpus_refuses_no_passages_repeated_ids_and_unknown_keys() -> None:
    with pytest.raises(InputError, match="at least one passage"):
        make_corpus([], corpus_id="x")
    with pytest.raises(InputError, match="'a' twice"):
        make_corpus([ONE[0], ONE[1], ONE[0]], corpus_id="x")
    corpus = make_corpus(ONE, corpus_id="x")
    assert "a" in corpus and "z" not in corpus and len(corpus) == 2
    with pytest.raises(InputError, match="'z'"):
        corpus.get_passage("z")
