"""Zip files: a collection is read in place, an attack is refused before anything is read."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from reranker.corpora import archive, limits, load_corpus, load_qrels, load_queries, reading
from reranker.errors import InputError

CORPUS = '{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n'
QUERIES = '{"_id": "q", "text": "what is x"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq\ta\t2\n"


def pack(
    path: Path,
    entries: Mapping[str | zipfile.ZipInfo, str | bytes],
    method: int = zipfile.ZIP_DEFLATED,
) -> Path:
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return path


def refuse(path: Path, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_corpus(path)
    message = str(caught.value)
    assert said in message
    assert message.startswith(path.name) and "expected " in message and "; " in message


@pytest.mark.parametrize("top", ["", "tiny/"])
def test_a_beir_zip(tmp_path: Path, top: str) -> None:
    path = pack(
        tmp_path / "tiny.zip",
        {
            f"{top}corpus.jsonl.gz": gzip.compress(CORPUS.encode()),
            f"{top}queries.jsonl": QUERIES,
            f"{top}qrels/test.tsv": QRELS,
            f"{top}README.txt": "about",
            "__MACOSX/corpus.jsonl": "rubbish",
            ".DS_Store": "rubbish",
        },
    )
    corpus = load_corpus(path)
    assert [p.doc_id for p in corpus.passages] == ["a", "b"]
    assert corpus.corpus_id == "tiny.zip" and corpus.example_queries == ("what is x",)
    assert [q.query_id for q in load_queries(path)] == ["q"]
    assert load_qrels(path) == {"q": {"a": 2}}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.zip"], "nothing is unpacked"


def test_a_zip_with_one_data_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "one.zip", {"notes/all.txt": "first\n\nsecond", "LICENSE.txt": "MIT"})
    assert [p.text for p in load_corpus(path).passages] == ["first", "second"]
    assert load_queries(path) == () and load_qrels(path) == {}


def test_errors_inside_name_archive_entry_and_line(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"corpus.jsonl": CORPUS + CORPUS})
    with pytest.raises(InputError) as caught:
        load_corpus(path)
    assert caught.value.where == "z.zip/corpus.jsonl:3"


@pytest.mark.parametrize(
    "name", ["../corpus.jsonl", "a/../../b", "/etc/passwd", "C:/x", "a\\..\\b", "tiny/.."]
)
def test_entries_that_lead_outside(tmp_path: Path, name: str) -> None:
    refuse(pack(tmp_path / "z.zip", {"corpus.jsonl": CORPUS, name: "x"}), repr(name))


@pytest.mark.parametrize(("mode", "said"), [(0o120777, "a link"), (0o010644, "a special file")])
def test_links_and_special_files(tmp_path: Path, mode: int, said: str) -> None:
    entry = zipfile.ZipInfo("corpus.jsonl")
    entry.external_attr = mode << 16
    refuse(pack(tmp_path / "z.zip", {entry: "/etc/passwd"}), said)


def test_an_entry_that_inflates_without_bound(tmp_path: Path) -> None:
    refuse(pack(tmp_path / "z.zip", {"corpus.jsonl": b" " * 2 * limits.MIB}), "inflate")


def test_too_much_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ARCHIVE_UNPACKED_BYTES", limits.MIB)
    content = {f"{n}.txt": bytes(range(32, 127)) * 3000 for n in range(5)}
    refuse(pack(tmp_path / "z.zip", content), "MiB unpacked")


def test_a_nested_gzip_is_counted_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 10_000)
    bomb = gzip.compress(b"a\n\n" * 50_000)
    refuse(pack(tmp_path / "z.zip", {"c.txt.gz": bomb}, zipfile.ZIP_STORED), "got more")


def test_an_entry_that_declares_too_little(tmp_path: Path) -> None:
    """Sizes are the attacker's word: an entry gives no more than it declared, and is refused."""
    path = pack(tmp_path / "z.zip", {"c.txt": b"line\n\n" * 1000})
    data = bytearray(path.read_bytes())
    real = struct.pack("<L", 6000)
    for _ in range(data.count(real)):
        at = data.find(real)
        data[at : at + 4] = struct.pack("<L", 60)
    path.write_bytes(data)
    refuse(path, "damaged")


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(
        tmp_path / "z.zip", {f"{n}.txt": "x" for n in range(limits.MAX_ARCHIVE_ENTRIES + 1)}
    )
    refuse(path, "1,000 entries, got 1,001")
    monkeypatch.setattr(limits, "MAX_ARCHIVE_DIRECTORY_BYTES", 1000)
    refuse(path, "got more (or a zip64 archive)")


def test_a_zip64_directory_cannot_hide_its_size(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"corpus.jsonl": CORPUS})
    data = path.read_bytes()
    locator = b"PK\x06\x07" + bytes(16)
    path.write_bytes(data[:-22] + locator + data[-22:])
    refuse(path, "zip64")


def test_repeated_encrypted_and_oddly_packed_entries(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("corpus.jsonl", CORPUS)
        packed.writestr("corpus.jsonl", CORPUS)
    refuse(path, "twice")
    path = pack(tmp_path / "locked.zip", {"corpus.jsonl": CORPUS})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + offset] |= 1
    path.write_bytes(data)
    refuse(path, "encrypted")
    refuse(pack(tmp_path / "l.zip", {"corpus.jsonl": CORPUS}, zipfile.ZIP_LZMA), "another way")


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", b"PK\x05\x06", b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "z.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^z\.zip: expected "):
        load_corpus(path)


def test_a_damaged_entry(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"corpus.jsonl": CORPUS}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b'"x"', b'"z"', 1))
    refuse(path, "damaged")


def test_what_holds_no_corpus_or_several(tmp_path: Path) -> None:
    refuse(pack(tmp_path / "two.zip", {"a.txt": "x", "b.csv": "id,text\n1,y"}), "a.txt, b.csv")
    refuse(pack(tmp_path / "none.zip", {"a.exe": "x"}), "no data file")
    refuse(pack(tmp_path / "nested.zip", {"inner.zip": b"PK"}), "the archive inner.zip")
    both = {"x/corpus.jsonl": CORPUS, "y/corpus.jsonl": CORPUS}
    refuse(pack(tmp_path / "both.zip", both), "x/corpus.jsonl, y/corpus.jsonl")


def test_an_archive_too_large_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.limits, "MAX_ARCHIVE_BYTES", 10)
    refuse(pack(tmp_path / "z.zip", {"corpus.jsonl": CORPUS}), "a larger one")
