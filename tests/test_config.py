"""Profiles as files: what is read, and what is refused before any weight is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reranker.config import DEFAULT_STUDENT, list_students, load_profile
from reranker.errors import StudentError

VALID: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "description": "A student of my own.",
    "licence": "MIT",
    "stage1": {"form": "biencoder", "base": "owner/base"},
    "stage2": {"template": "chat", "base": "owner/other", "adapter": "adapters/stage2"},
}


def save_profile(folder: Path, stage: str = "", **changes: Any) -> str:
    profile = json.loads(json.dumps(VALID))
    (profile[stage] if stage else profile).update(changes)
    (folder / "profile.json").write_text(json.dumps(profile), encoding="utf-8")
    return str(folder)


def test_a_folder_is_a_student(tmp_path: Path) -> None:
    profile = load_profile(save_profile(tmp_path, final="blend", bm25_weight=0.3))
    assert profile.name == "mine" and profile.folder == str(tmp_path.resolve())
    assert profile.quantization == "nf4" and profile.bm25_weight == 0.3
    assert profile.stage1.max_passage_tokens == 196
    assert profile.stage2 is not None and (profile.stage2.window_size, profile.stage2.stride) == (
        20,
        10,
    )


def test_stage_2_may_be_left_out(tmp_path: Path) -> None:
    assert load_profile(save_profile(tmp_path, stage2=None)).stage2 is None


@pytest.mark.parametrize("name", list_students())
def test_every_bundled_profile_is_valid_and_explained(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.title and profile.description and profile.licence


def test_the_default_comes_first() -> None:
    assert list_students()[0] == DEFAULT_STUDENT


@pytest.mark.parametrize(
    ("stage", "changes", "message"),
    [
        ("", {"quantization": "int3"}, "quantization"),
        ("", {"trust_remote_code": True}, "trust_remote_code"),
        ("", {"stage1": None}, "stage1"),
        ("stage1", {"form": "colbert"}, "form"),
        ("stage1", {"query_template": "{passage}"}, "query_template"),
        ("stage1", {"query_template": "no field"}, "query_template"),
        ("stage1", {"passage_template": "{title}"}, "passage_template"),
        ("stage1", {"passage_template": "{text"}, "passage_template"),
        ("stage1", {"max_query_tokens": 0}, "max_query_tokens"),
        ("stage2", {"template": "poem"}, "template"),
        ("stage2", {"stride": 21}, "stride"),
        ("stage2", {"window_size": 1, "stride": 1}, "window_size"),
        ("stage2", {"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, stage: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudentError, match=message) as caught:
        load_profile(save_profile(tmp_path, stage, **changes))
    assert "profile.json" in str(caught.value)


def test_a_file_that_is_no_json_and_a_folder_without_one(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="mini"):
        load_profile(str(tmp_path))
    (tmp_path / "profile.json").write_text("{", encoding="utf-8")
    with pytest.raises(StudentError, match=r"profile\.json"):
        load_profile(str(tmp_path))
