"""Fixtures shared by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections ($DEAR_DATA, else ../shared/data); skips where absent."""
    folder = Path(os.environ.get("DEAR_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real collections at {folder}: set DEAR_DATA to their folder")
    return folder
