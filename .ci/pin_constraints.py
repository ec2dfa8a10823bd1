"""Prints constraints.txt: exact pins of what the requirements pull into this environment.

Takes the requirements files' names and the installed distributions' metadata; knows no
registry and installs nothing. Distributions nobody asked for are left out. A pin whose
distribution does not support every Python this project suits carries a marker, so that an
older Python resolves that one from the ranges instead of failing.

Usage: python .ci/pin_constraints.py requirements.txt requirements-dev.txt
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
NEVER_PINNED = {"pip", "wheel"}
HEADER = """\
# Regenerate with `make constraints` after upgrading .venv and running the tests; do not edit.
# Exact versions the tests ran with on Python {python}. Local build tags (+cpu) are dropped.
"""


def read_requirements(files: list[str]) -> list[Requirement]:
    """The requirements in `files`; comments, blank lines and -r lines are skipped."""
    lines = [line.split("#")[0].strip() for f in files for line in Path(f).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def collect_distributions(requirements: list[Requirement]) -> dict[str, Distribution]:
    """Every installed distribution the requirements need, directly or through others.

    Raises SystemExit when a direct requirement is missing from this environment.
    """
    found: dict[str, Distribution] = {}
    queue = [(requirement, True) for requirement in requirements]
    while queue:
        requirement, direct = queue.pop()
        extras = requirement.extras or {""}
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": e}) for e in extras
        ):
            continue
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        try:
            found[name] = distribution(requirement.name)
        except PackageNotFoundError:
            if direct:
                raise SystemExit(
                    f"expected {requirement.name} in this environment, got nothing; "
                    "run `make test` first"
                ) from None
            continue
        for text in found[name].requires or []:
            queue.append((inherit_extras(Requirement(text), extras), False))
    return found


def inherit_extras(requirement: Requirement, extras: set[str]) -> Requirement:
    """`requirement` as its parent asked for it: its marker resolved for the parent's extras."""
    if requirement.marker and any(requirement.marker.evaluate({"extra": e}) for e in extras):
        requirement.marker = None
    return requirement


def format_pin(dist: Distribution) -> str:
    """`name==version`, with a marker where a Python in PYTHONS is not supported."""
    version = dist.version.split("+")[0]
    supported = SpecifierSet(dist.metadata["Requires-Python"] or "")
    fitting = [python for python in PYTHONS if supported.contains(f"{python}.99")]
    marker = ""
    if fitting and fitting[0] != PYTHONS[0]:
        marker = f' ; python_version >= "{fitting[0]}"'
    return f"{canonicalize_name(dist.metadata['Name'])}=={version}{marker}"


def main(files: list[str]) -> None:
    pinned = collect_distributions(read_requirements(files))
    lines = [format_pin(dist) for name, dist in sorted(pinned.items()) if name not in NEVER_PINNED]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    sys.stdout.write(HEADER.format(python=python) + "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
