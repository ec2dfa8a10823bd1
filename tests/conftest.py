"""Fixtures shared by the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test measures time: a busy machine may be slow at any example.
settings.register_profile("dear", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dear")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections ($DEAR_DATA, else ../shared/data); skips where absent."""
    folder = Path(os.environ.get("DEAR_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real collections at {folder}: set DEAR_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the cache or the annotations of the person running it; one session shares
    them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("DEAR_ANNOTATIONS", str(tmp_path_factory.mktemp("annotations")))
        patch.delenv("DATABASE_URL", raising=False)
        yield


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEAR_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with both adapters on one Llama base; see replicas.py, as for those below."""
    from tests.replicas import build_shared_student

    return build_shared_student(tmp_path_factory.mktemp("students") / "shared")


@pytest.fixture(scope="session")
def two_base_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with a Llama base for each adapter, as the published ones are."""
    from tests.replicas import build_two_base_student

    return build_two_base_student(tmp_path_factory.mktemp("students") / "two-bases")


@pytest.fixture(scope="session")
def digest_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student in `mini`'s form: bi-encoder and digest reader, each with an adapter."""
    from tests.replicas import build_digest_student

    return build_digest_student(tmp_path_factory.mktemp("students") / "digest")


@pytest.fixture(scope="session")
def bert_crossencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of one BERT cross-encoder without adapter or stage 2."""
    from tests.replicas import build_bert_crossencoder

    return build_bert_crossencoder(tmp_path_factory.mktemp("students") / "bert")
