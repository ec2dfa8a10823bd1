"""Where compared runs come from: uploaded files, and rankings as this program saves them.

Takes paths or traces, returns `Material`. Knows no component, no HTML and no comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from app.compare.comparison import Material
from app.compare.experiments import gather_experiments
from app.rank.share_events import read_saved
from reranker.candidates import read_candidates
from reranker.corpora import list_corpora, load_qrels, load_queries
from reranker.errors import InputError
from reranker.evaluation.experiment_archive import unpack_experiment
from reranker.evaluation.run_set import MAX_RUNS, NamedRun, load_run
from reranker.evaluation.topics import read_topics
from reranker.textfile import read_text
from reranker.trec import Qrels, rank_by_position, read_qrels
from reranker.types import Justification, Passage, RankingTrace

MAX_UNPACKED_BYTES = 64 * 2**20
"""Of all files of one comparison together, unpacked: eight runs of 1,000 queries by 100 passages
take about 40 MB."""
TEXT_SUFFIXES = (".jsonl", ".json")


def read_files(paths: Sequence[Path], qrels: Path | None, texts: Path | None) -> Material:
    """TREC runs, saved traces and zips of experiments, with qrels and perhaps texts.

    texts: topics (TREC's tsv or BEIR's jsonl) or a candidate file, which has passages too. qrels
    may be None where an experiment brings its own, or traces over a bundled corpus do. Raises
    InputError naming file and line, and TraceError.
    """
    if not paths or len(paths) > MAX_RUNS:
        raise InputError(
            f"expected 2 to {MAX_RUNS} run files, got {len(paths)}; choose them together"
        )
    traces = [path for path in paths if path.name.lower().endswith(".json")]
    zips = [path for path in paths if path.name.lower().endswith(".zip")]
    rest = [path for path in paths if path not in traces and path not in zips]
    check_size([*rest, *(path for path in (qrels, texts) if path is not None)])
    held = [gather_experiments([unpack_experiment(path) for path in zips])] if zips else []
    held += [gather_traces([read_saved(path) for path in traces])] if traces else []
    if qrels is None and not held:
        raise InputError("expected qrels beside the runs, got none; choose a qrels file")
    queries, passages = read_texts(texts) if texts else ({}, {})
    return Material(
        runs=tell_apart([*(load_run(path) for path in rest), *(r for m in held for r in m.runs)]),
        qrels=read_qrels(qrels) if qrels else held[0].qrels,
        collection=qrels.name.split(".")[0] if qrels else held[0].collection,
        queries={**{q: text for m in held for q, text in m.queries.items()}, **queries},
        passages={**{d: p for m in held for d, p in m.passages.items()}, **passages},
        notes=tuple(note for material in held for note in material.notes),
    )


def check_size(paths: Iterable[Path]) -> None:
    """Raises InputError when the files together hold more text than one comparison may."""
    left = MAX_UNPACKED_BYTES
    for path in paths:
        left -= len(read_text(path, max_bytes=left).encode("utf-8"))


def read_texts(path: Path) -> tuple[dict[str, str], dict[str, Passage]]:
    """query_id -> text and doc_id -> passage from topics or candidates. Raises InputError."""
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(TEXT_SUFFIXES) or not _holds_lists(path):
        return {topic.query_id: topic.text for topic in read_topics(path)}, {}
    queries: dict[str, str] = {}
    passages: dict[str, Passage] = {}
    for candidates in read_candidates(path):
        queries[candidates.query.query_id] = candidates.query.text
        passages.update((hit.passage.doc_id, hit.passage) for hit in candidates.hits)
    return queries, passages


def gather_traces(traces: Sequence[RankingTrace]) -> Material:
    """Rankings over one bundled corpus as runs: BM25, and each student's stages.

    A ranking counts for the corpus's own query with the same words, whose judgements measure it;
    others are named in `notes`. Of several rankings by the same means the latest counts. Raises
    InputError for several corpora, a corpus without judgements, and where no query is judged.
    """
    if not traces:
        raise InputError("expected rankings to compare, got none; choose some")
    corpora = sorted({trace.corpus_id for trace in traces})
    if len(corpora) > 1:
        raise InputError(
            f"expected rankings over one corpus, got {', '.join(corpora)}; choose those of one"
        )
    known, qrels = _load_judged(corpora[0])
    runs: dict[str, NamedRun] = {}
    passages: dict[str, Passage] = {}
    queries: dict[str, str] = {}
    left_out = []
    for trace in traces:
        query_id = known.get(_normalise(trace.query.text), "")
        if not query_id:
            left_out.append(trace.query.text)
            continue
        queries[query_id] = trace.query.text
        passages.update((hit.passage.doc_id, hit.passage) for hit in trace.hits)
        for run in _split_stages(trace, query_id):
            runs[run.name] = _join(runs[run.name], run) if run.name in runs else run
    if not queries:
        example = next(iter(known))
        raise InputError(
            f"expected a query that {corpora[0]!r} has judgements for, got {left_out[0][:60]!r}; "
            f"rank one of its own, such as {example!r}"
        )
    skipped = f"{len(set(left_out))} queries without judgements are left out." if left_out else ""
    return Material(
        runs=tuple(runs.values()),
        qrels={query_id: qrels[query_id] for query_id in queries},
        collection=corpora[0],
        queries=queries,
        passages=passages,
        notes=(skipped,) if skipped else (),
    )


def tell_apart(runs: Sequence[NamedRun]) -> tuple[NamedRun, ...]:
    """The runs with names of their own: a name given again gets a number."""
    taken: set[str] = set()
    named = []
    for run in runs:
        name, number = run.name, 1
        while name in taken:
            number += 1
            name = f"{run.name} ({number})"
        taken.add(name)
        named.append(replace(run, name=name))
    return tuple(named)


def _holds_lists(path: Path) -> bool:
    """Whether a JSON file's beginning looks like candidates, not like BEIR's queries."""
    head = read_text(path, max_bytes=MAX_UNPACKED_BYTES).lstrip()[:100_000].split("\n", 1)[0]
    return head.startswith("[") or ": [" in head or ":[" in head


def _load_judged(corpus_id: str) -> tuple[dict[str, str], Qrels]:
    """normalised text -> query_id of a bundled corpus's judged queries, and the judgements."""
    bundled = {info.corpus_id for info in list_corpora()}
    qrels = load_qrels(corpus_id, allow_paths=False) if corpus_id in bundled else {}
    asked = load_queries(corpus_id, allow_paths=False) if qrels else ()
    known = {_normalise(query.text): query.query_id for query in asked if query.query_id in qrels}
    if not known:
        raise InputError(
            f"expected rankings over a corpus with judgements, got {corpus_id!r}, which has none; "
            "take everyday-science, or upload TREC runs with qrels"
        )
    return known, qrels


def _split_stages(trace: RankingTrace, query_id: str) -> list[NamedRun]:
    """The orders one ranking went through, each as a run of one query."""
    student = f"{trace.student.name} {trace.student.quantization}"
    seconds = {timing.stage: timing.seconds for timing in trace.timings}
    first = seconds.get("stage1", 0.0)
    second = seconds.get("stage2", 0.0) + seconds.get("shuffles", 0.0)
    runs = []
    if trace.hits and trace.hits[0].bm25_score is not None:
        runs.append(_make_run("BM25", query_id, trace.bm25_order, 0.0))
    if trace.stage1:
        runs.append(_make_run(f"{student} stage 1", query_id, trace.stage1_order, first))
    if trace.readings:
        after = {"blend": "blended", "agreed": "agreed"}.get(trace.final_source, "stage 2")
        notes = tuple(trace.justifications.values())
        name = f"{student} {after}"
        runs.append(_make_run(name, query_id, trace.final_order, first + second, notes))
    return runs


def _make_run(
    name: str,
    query_id: str,
    order: Sequence[str],
    seconds: float,
    notes: tuple[Justification, ...] = (),
) -> NamedRun:
    return NamedRun(
        name=name,
        run={query_id: rank_by_position(order)},
        origin="rankings of this program",
        seconds={query_id: seconds},
        justifications={query_id: notes} if notes else {},
    )


def _join(earlier: NamedRun, later: NamedRun) -> NamedRun:
    return replace(
        later,
        run={**earlier.run, **later.run},
        seconds={**earlier.seconds, **later.seconds},
        justifications={**earlier.justifications, **later.justifications},
    )


def _normalise(text: str) -> str:
    return " ".join(text.casefold().split())
