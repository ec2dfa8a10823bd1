"""Who may open the page: names and passwords from a file, for a server that others can reach.

Takes the path given on the command line, returns the pairs Gradio's login checks; without it there
is no login. A proxy's own login (docs/deploy.md) keeps hashed passwords and is to be preferred.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

MAX_LOGIN_BYTES = 100_000

Logins = list[tuple[str, str]]


def read_logins(name: str) -> Logins:
    """The pairs of a file with one `name:password` a line; blank lines and # lines are skipped.

    Raises ArgumentTypeError for a file that cannot be read, is open to others than its owner,
    names nobody, or has a line without both. No message repeats a password.
    """
    path = Path(name)
    try:
        if path.stat().st_mode & 0o077:
            raise ArgumentTypeError(
                f"expected a file only its owner can read, got one open to others; chmod 600 {name}"
            )
        with path.open("rb") as file:
            lines = file.read(MAX_LOGIN_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentTypeError(
            f"expected a file of logins, got {type(error).__name__} at {name}; give its path"
        ) from error
    logins: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, password = line.strip().partition(":")
        if not user or not password or user in logins:
            raise ArgumentTypeError(
                f"{name}:{number}: expected name:password with a name used once, got something "
                "else; correct the line"
            )
        logins[user] = password
    if not logins:
        raise ArgumentTypeError(f"{name}: expected at least one name:password, got none; add one")
    return list(logins.items())
