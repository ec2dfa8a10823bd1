"""kill -9 while four clients save: every acknowledged judgement is there afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from reranker.annotation.judging import Judging
from reranker.annotation.store import Store
from tests.annotation_cases import open_judging

ROOT = Path(__file__).resolve().parent.parent
KILLS = 100


def run_kills(url: str, rounds: int) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.annotation_writer", url, str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_hundred_kills_lose_no_acknowledged_judgement(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    url = str(judging.store.engine.url)
    judging.store.close()
    result = run_kills(url, KILLS)
    assert result["lost"] == []
    assert int(str(result["acknowledged"])) >= 6 * KILLS
    history = Judging(Store(url)).history(project_id)
    for person in {judgement.person for judgement in history}:
        versions = [j.version for j in history if j.person == person]
        assert versions == list(range(1, len(versions) + 1))
