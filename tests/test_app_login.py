"""Files of logins, and the flag that names one."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from app.login import read_logins

ROOT = Path(__file__).resolve().parent.parent


def write(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "logins.txt"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return str(file)


def test_names_and_passwords_as_they_stand(tmp_path: Path) -> None:
    file = write(tmp_path, "# people\n\nada:s3cret: with colon\nbob:ünï\n")
    assert read_logins(file) == [("ada", "s3cret: with colon"), ("bob", "ünï")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ada:hidden\nnonsense\n", "logins.txt:2: expected name:password"),
        ("ada:hidden\nada:other\n", "logins.txt:2"),
        (":hidden\n", "logins.txt:1"),
        ("ada:\n", "logins.txt:1"),
        ("# nobody\n", "expected at least one"),
    ],
)
def test_a_file_that_lets_nobody_or_anybody_in_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ArgumentTypeError) as refused:
        read_logins(write(tmp_path, text))
    assert told in str(refused.value) and "hidden" not in str(refused.value)


def test_a_file_open_to_others_or_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentTypeError, match="chmod 600"):
        read_logins(write(tmp_path, "ada:s\n", mode=0o644))
    with pytest.raises(ArgumentTypeError, match="FileNotFoundError"):
        read_logins(str(tmp_path / "absent"))


def test_the_program_ends_with_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "app.py", "--login", str(tmp_path / "absent")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "argument --login: expected a file of logins" in ended.stderr
