"""The frozen teacher of stage 1: scores to distil, worked out once and kept on disk.

Takes queries with passages, returns one score a passage. Knows the scorers, no training. Scores
are kept under the hash of everything they depend on (weights, templates, lengths, texts), so
they are never used for another teacher, and a list is always scored as a whole: what is read
from the disk is what would be computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from reranker.config import Profile, Stage1Profile, cache_dir
from reranker.errors import InputError
from reranker.jobs.folder import hash_file
from reranker.jobs.settings import BASE, GIVEN, TeacherSettings
from reranker.retrieval import Retriever
from reranker.stage1.scorer import Scorer
from reranker.student.locate import resolve_weights
from reranker.student.student import Student
from reranker.types import Passage

BM25_DEPTH = 1_000


class Teacher:
    """Scores lists; `load` is called when the first list is not in the file of known scores."""

    def __init__(
        self,
        load: Callable[[], Scorer] | None,
        *,
        identity: str = "",
        bm25_weight: float = 0.0,
        folder: Path | None = None,
    ) -> None:
        self._load, self._bm25_weight = load, bm25_weight
        self._identity = identity
        self._scorer: Scorer | None = None
        self._file = (folder or cache_dir() / "teacher-scores") / f"{identity[:32]}.jsonl"
        self._known = _read_scores(self._file) if load else {}

    def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        given: Sequence[float | None] = (),
        bm25: Sequence[float] = (),
    ) -> list[float | None]:
        """One score a passage, BM25 blended in; None where scores are given and this one is not."""
        if self._load is None:
            return list(given)
        key = self._name_list(query, passages)
        if key not in self._known:
            self._known[key] = self._compute(query, passages)
            self._append(key)
        scores = np.array(self._known[key])
        if self._bm25_weight and len(bm25):
            scores = scores + self._bm25_weight * match_spread(np.array(bm25), scores)
        return [float(score) for score in scores]

    def _compute(self, query: str, passages: Sequence[Passage]) -> list[float]:
        if self._scorer is None:
            assert self._load is not None
            self._scorer = self._load()
        forget = getattr(self._scorer, "forget", None)
        if forget:
            forget()  # the batches, and so the last digits, must not depend on what came before
        return [score.score for score in self._scorer.score(query, passages)]

    def _name_list(self, query: str, passages: Sequence[Passage]) -> str:
        row = json.dumps([self._identity, query, [[p.title, p.text] for p in passages]])
        return hashlib.sha256(row.encode()).hexdigest()

    def _append(self, key: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"list": key, "scores": self._known[key]}).encode()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, b"\n" + line + b"\n")
        finally:
            os.close(descriptor)


def make_teacher(
    settings: TeacherSettings, student: Profile, *, device: str, folder: Path | None = None
) -> Teacher | None:
    """The teacher the settings name; None for none. Raises StudentError when it is not there."""
    if not settings.weights:
        return None
    if settings.weights == GIVEN:
        return Teacher(None)
    if settings.weights == BASE:
        stage1 = Stage1Profile(**{**asdict(student.stage1), "adapter": ""})
    else:
        stage1 = Stage1Profile(
            form=settings.form,
            base=settings.weights,
            query_template=settings.query_template,
            passage_template=settings.passage_template,
            max_query_tokens=settings.max_query_tokens,
            max_passage_tokens=settings.max_passage_tokens,
        )
    profile = Profile(
        name="teacher",
        title="",
        description="",
        licence="",
        stage1=stage1,
        quantization=settings.quantization,
        folder=student.folder,
    )
    weights = resolve_weights(stage1.base, student.folder)
    described = [asdict(stage1), settings.quantization, hash_weights(weights)]
    identity = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    return Teacher(
        lambda: Student(profile, device=device).scorer,
        identity=identity,
        bm25_weight=settings.bm25_weight,
        folder=folder,
    )


def hash_weights(weights: str) -> str:
    """SHA-256 over a folder's safetensors and JSON files; the name of a hub id."""
    folder = Path(weights)
    if not folder.is_dir():
        return weights
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    return hashlib.sha256("".join(map(hash_file, files)).encode()).hexdigest()


def find_bm25_scores(
    query: str, passages: Sequence[Passage], retriever: Retriever | None
) -> list[float]:
    """BM25 scores of these passages; 0 for one that shares no word or ranks below BM25_DEPTH."""
    if retriever is None:
        return []
    hits = retriever.search(query, min(len(retriever.corpus), BM25_DEPTH))
    scores = {hit.passage.doc_id: hit.bm25_score or 0.0 for hit in hits}
    return [scores.get(passage.doc_id, 0.0) for passage in passages]


def match_spread(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]],
    like: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """`scores` around 0 with the spread of `like`; zeros where all are the same."""
    if scores.shape != like.shape:
        raise InputError(f"expected as many BM25 scores as passages, got {len(scores)}")
    spread = float(scores.std())
    if spread < 1e-9:
        return np.zeros_like(like)
    return (scores - scores.mean()) / spread * like.std()


def _read_scores(file: Path) -> dict[str, list[float]]:
    """What an earlier job worked out; a torn line is worked out again."""
    known: dict[str, list[float]] = {}
    if file.is_file():
        for line in file.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
                known[record["list"]] = [float(score) for score in record["scores"]]
            except (ValueError, KeyError, TypeError):
                continue
    return known
