"""Runs, qrels and the other files of an evaluation when they are broken: read right, or refused
at the line that is wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reranker.candidates import read_candidates
from reranker.errors import InputError
from reranker.evaluation.experiment_folder import open_experiment
from reranker.evaluation.questions import read_questions, read_squad
from reranker.evaluation.topics import read_topics
from reranker.trec import read_qrels, read_run

REUSED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
RUN = [f"q{n // 4} Q0 d{n} {n % 4 + 1} {9 - n % 4}.5 tag" for n in range(20)]
QRELS = [f"q{n // 4} 0 d{n} {n % 4}" for n in range(20)]
BAD_RUN_LINES = [
    "q1 Q0 d1 1 2.5",
    "q1 Q0 d1 1 2.5 tag more",
    "q1 Q0 d1 1 nan tag",
    "q1 Q0 d1 1 NaN tag",
    "q1 Q0 d1 1 inf tag",
    "q1 Q0 d1 1 -Infinity tag",
    "q1 Q0 d1 1 1e999 tag",
    "q1 Q0 d1 1 high tag",
    "q1 Q0 d1 -1 2.5 tag",
    "q1 Q0 d1 one 2.5 tag",
    "q0 Q0 d0 9 0.5 tag",
    "q1,Q0,d1,1,2.5,tag",
]
BAD_QRELS_LINES = ["q1 0 d1", "q1 0 d1 1 x", "q1 0 d1 nan", "q1 0 d1 1.5", "q0 0 d0 1"]


@pytest.mark.parametrize("bad", BAD_RUN_LINES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_one_bad_line_in_a_run_is_named(tmp_path: Path, bad: str, end: str, packed: bool) -> None:
    lines = [*RUN[:7], "", bad, *RUN[7:]]
    path = tmp_path / "r.trec"
    data = ("\ufeff" + end.join(lines)).encode("utf-8")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(InputError, match=r"^r\.trec:9: expected .*, got .*; "):
        read_run(path)


@pytest.mark.parametrize("bad", BAD_QRELS_LINES)
def test_one_bad_line_in_qrels_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "qrels.txt"
    path.write_bytes("\r\n".join([*QRELS[:7], bad, *QRELS[7:]]).encode("utf-8"))
    with pytest.raises(InputError, match=r"^qrels\.txt:8: expected .*, got .*; "):
        read_qrels(path)


@REUSED
@given(
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    packed=st.booleans(),
    blank=st.sampled_from(["", " ", "\t"]),
    separator=st.sampled_from([" ", "\t", "   "]),
    order=st.permutations(range(20)),
)
def test_every_harmless_form_reads_the_same(
    tmp_path: Path,
    end: str,
    mark: bool,
    packed: bool,
    blank: str,
    separator: str,
    order: list[int],
) -> None:
    def write(name: str, rows: list[str]) -> Path:
        lines = [rows[n].replace(" ", separator) for n in order]
        text = ("\ufeff" if mark else "") + end.join([blank, *lines, blank])
        path = tmp_path / name
        data = text.encode("utf-8")
        path.write_bytes(gzip.compress(data) if packed else data)
        return path

    def write_plain(name: str, rows: list[str]) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(rows), encoding="utf-8")
        return path

    assert read_run(write("a", RUN)) == read_run(write_plain("b", RUN))
    assert read_qrels(write("c", QRELS)) == read_qrels(write_plain("d", QRELS))


@REUSED
@given(
    place=st.integers(0, 19),
    start=st.integers(0, 24),
    noise=st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=8),
)
def test_a_mangled_line_is_read_or_named(
    tmp_path: Path, place: int, start: int, noise: str
) -> None:
    """Whatever is written over a part of one line, only that line can be blamed."""
    lines = list(RUN)
    lines[place] = lines[place][:start] + noise + lines[place][start + len(noise) :]
    path = tmp_path / "r.trec"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        run = read_run(path)
    except InputError as error:
        # A line that now repeats another may be the first or the second of the two.
        number = int(error.where.rpartition(":")[2])
        assert number == place + 1 or "again" in str(error)
    else:
        assert sum(map(len, run.values())) in (19, 20)


def test_repeated_lines_are_passed_over_where_they_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.trec"
    path.write_text("\n".join([*RUN, "q0 Q0 d3 5 99 tag", RUN[4]]), encoding="utf-8")
    places: list[str] = []
    run = read_run(path, duplicates=places)
    assert places == ["r.trec:21", "r.trec:22"]
    assert run["q0"][0] == ("d3", 99.0)
    assert len(run["q0"]) == 4


@pytest.mark.slow
def test_a_run_of_100_megabytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.trec"
    doc = "d" * 1000
    with path.open("w", encoding="utf-8", newline="\r\n") as file:
        for n in range(100_000):
            file.write(f"q{n // 100} Q0 {doc}{n} {n % 100 + 1} {100 - n % 100} tag\n")
    assert path.stat().st_size > 100 * 2**20 * 0.95
    run = read_run(path)
    assert (len(run), len(run["q0"])) == (1000, 100)
    assert run["q999"][0][0].endswith("d99900")
    with path.open("a", encoding="utf-8") as file:
        file.write("q0 Q0 d 1 nan tag\n")
    with pytest.raises(InputError, match=r"large\.trec:100001: expected a finite number"):
        read_run(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "query candidates hits ctxs question answers qid text docid doc score id contents "
                "data paragraphs context qas title answer _id doc_id query_id".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@REUSED
@given(value=JSON, wrapped=st.booleans())
def test_any_json_gives_records_or_an_input_error(
    tmp_path: Path, value: object, wrapped: bool
) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([value] if wrapped else value), encoding="utf-8")
    (tmp_path / "experiment.json").write_bytes(path.read_bytes())
    for read in (read_candidates, read_questions, read_squad, read_topics):
        try:
            read(path)
        except InputError as error:
            assert "expected" in str(error) and "got" in str(error)
    with pytest.raises(InputError):
        open_experiment(tmp_path)


@REUSED
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(lambda t: t.encode("utf-8")))
def test_any_bytes_give_records_or_an_input_error(tmp_path: Path, content: bytes) -> None:
    for name, read in (("x.tsv", read_questions), ("x.jsonl", read_questions), ("t", read_topics)):
        path = tmp_path / name
        path.write_bytes(content)
        try:
            read(path)
        except InputError as error:
            assert name in str(error)
