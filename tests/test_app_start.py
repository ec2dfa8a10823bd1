"""How the page starts: quick, silent, and listening where it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "peft", "bitsandbytes")


def run_python(code: str, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_building_the_page_loads_no_model_library_and_no_telemetry() -> None:
    code = (
        "import os, sys\n"
        "from app.library import Library\n"
        "from app.ui import build_page\n"
        "page = build_page(Library())\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))\n"
        "print(os.environ['GRADIO_ANALYTICS_ENABLED'], page.analytics_enabled)\n"
    )
    assert run_python(code).splitlines() == ["", "False False"]


def test_it_listens_on_this_machine_only_unless_on_a_space() -> None:
    code = (
        "import os, runpy, sys\n"
        "sys.argv = ['app.py']\n"
        "read = runpy.run_path('app.py')['read_flags']\n"
        "print(read().host)\n"
        "os.environ['SPACE_ID'] = 'somebody/space'\n"
        "print(read().host)\n"
    )
    assert run_python(code).splitlines() == ["127.0.0.1", "None"]


def test_an_unknown_student_ends_with_a_sentence() -> None:
    command = [sys.executable, "app.py", "--student", "no-such-student"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: expected a student")


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ],
)
def test_threads_wait_briefly_unless_told_otherwise(given: dict[str, str], spins: str) -> None:
    """It has to be set before the models' library is there, which reads it once."""
    code = "import os, sys, app\nprint(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)\n"
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    assert run_python(code, {**kept, **given}) == f"{spins} False\n"
