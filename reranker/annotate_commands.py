"""The command line of annotation: create, import, people, export, agreement, backup, restore.

Takes parsed arguments, writes results to standard output and files where they are asked for. Knows
no page; the person at the command line has the database and needs no role.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reranker.errors import InputError
from reranker.textfile import read_text

if TYPE_CHECKING:
    from reranker.annotation.item import Item
    from reranker.annotation.judging import Judging

DEFAULT_ITEM_DEPTH = 10
ROLES = ("annotator", "adjudicator", "owner")


def add_annotate_commands(added: Any) -> None:
    """Adds `annotate` with its own commands to the subparsers."""
    parser = added.add_parser("annotate", help="projects of human judgements")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    create = commands.add_parser("create", help="a new project, from a YAML file or a name")
    create.add_argument("file", nargs="?", type=Path, help="project.yaml")
    create.add_argument("--name", help="instead of a file: all defaults under this name")
    create.add_argument("--owner", help="who owns it (default: your user name)")
    create.set_defaults(run=run_create)

    commands.add_parser("list", help="all projects").set_defaults(run=run_list)

    take = commands.add_parser("import", help="adds items to a project")
    take.add_argument("project")
    take.add_argument("--traces", type=Path, nargs="+", metavar="FILE", help="saved traces")
    take.add_argument(
        "--runs", type=Path, nargs="+", metavar="FILE", help="TREC runs over --corpus"
    )
    take.add_argument(
        "--items", type=Path, nargs="+", metavar="FILE", help="jsonl (docs/annotate.md)"
    )
    take.add_argument("--corpus", help="a corpus with queries; alone: BM25's best of each query")
    take.add_argument("--depth", type=int, default=DEFAULT_ITEM_DEPTH, help="passages an item")
    take.set_defaults(run=run_import)

    people = commands.add_parser("people", help="who is in a project, and how far")
    people.add_argument("project")
    people.add_argument("--set", nargs=2, metavar=("NAME", "ROLE"), help="give a role")
    people.add_argument(
        "--assign", nargs=2, metavar=("NAME", "COUNT"),
        help="give them the first items not theirs; as COUNT also: gold",
    )  # fmt: skip
    people.add_argument("--unassign", metavar="NAME", help="take back what they have not judged")
    people.add_argument(
        "--remove", metavar="NAME", help="take the role away, and back what they have not judged"
    )
    people.set_defaults(run=run_people)

    export = commands.add_parser("export", help="judgements as files")
    export.add_argument("project")
    export.add_argument("--format", nargs="+", default=["history"], metavar="NAME", help="or all")
    export.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    export.set_defaults(run=run_export)

    agreement = commands.add_parser("agreement", help="alpha and kappa with intervals")
    agreement.add_argument("project")
    agreement.set_defaults(run=run_agreement)

    for name, run, words in (
        ("backup", run_backup, "the whole store as one .zip"),
        ("restore", run_restore, "a backup into an empty store"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("file", type=Path)
        command.set_defaults(run=run)


def run_create(options: argparse.Namespace) -> int:
    """A new project; prints its id."""
    from reranker.annotation.project import Project, make_project_id, read_project

    if (options.file is None) == (options.name is None):
        raise InputError("expected a project file or --name, got neither or both; give one")
    if options.file is not None:
        project = read_project(read_text(options.file), options.file.name)
    else:
        project = Project(project_id=make_project_id(options.name), name=options.name)
    _open().store.create_project(project, options.owner or getpass.getuser())
    _print(project.project_id)
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line a project: id, items, name."""
    for view in _open().store.list_projects():
        _print(f"{view.project.project_id}\t{view.items}\t{view.project.name}")
    return 0


def run_import(options: argparse.Namespace) -> int:
    """Adds items; prints how many were new."""
    judging = _open()
    items = _read_items(options)
    added = judging.store.add_items(options.project, items)
    _print(f"{added} of {len(items)} items added")
    return 0


def _read_items(options: argparse.Namespace) -> tuple[Item, ...]:
    from reranker.annotation.importing import import_corpus, import_runs, import_trace_files
    from reranker.annotation.item_files import read_item_file

    if options.traces:
        return import_trace_files(options.traces, options.depth)
    if options.items:
        return tuple(i for path in options.items for i in read_item_file(path, options.depth))
    if options.runs and options.corpus:
        return import_runs(options.runs, options.corpus, options.depth)
    if options.corpus:
        return import_corpus(options.corpus, options.depth)
    raise InputError("expected --traces, --items or --corpus (with --runs or alone); give one")


def run_people(options: argparse.Namespace) -> int:
    """Sets roles, then one line a person: name, role, judged, left."""
    judging = _open()
    if options.set:
        judging.store.set_role(options.project, *options.set)
    if options.remove:
        judging.assignments.dismiss(options.project, options.remove)
    if options.unassign:
        judging.assignments.release(options.project, options.unassign)
    if options.assign:
        _assign(judging, options.project, *options.assign)
    roles = {m.person: m.role for m in judging.store.list_people(options.project)}
    for progress in judging.assignments.list_progress(options.project):
        role = roles.get(progress.person, "none any more")
        _print(f"{progress.person}\t{role}\t{progress.done} judged\t{progress.left} left")
    return 0


def _assign(judging: Judging, project_id: str, person: str, count: str) -> None:
    assignments = judging.assignments
    if count == "gold":
        assignments.assign(project_id, person, judging.store.list_gold(project_id))
    elif count.isdecimal():
        assignments.assign_more(project_id, person, int(count))
    else:
        raise InputError(
            f"expected a number of items or gold, got {count[:20]!r}; give a whole number"
        )


def run_export(options: argparse.Namespace) -> int:
    """Writes the formats into a folder; prints the files."""
    from reranker.annotation.exports import FORMATS, write_exports

    names = list(FORMATS) if options.format == ["all"] else options.format
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"expected a folder to write in, got {error.strerror}; choose another",
            where=str(options.out),
        ) from error
    for path in write_exports(_open(), options.project, names, options.out):
        _print(str(path))
    return 0


def run_agreement(options: argparse.Namespace) -> int:
    """The agreement report as text."""
    from reranker.annotation.card import describe_coefficient
    from reranker.annotation.report import report_agreement

    judging = _open()
    judging.store.get_project(options.project)
    report = report_agreement(
        judging.store.list_items(options.project), judging.history(options.project)
    )
    _print(f"{report.judged_items} items judged, {report.shared_items} by two people or more")
    for found in report.questions:
        _print(f"{found.question}\talpha\t{describe_coefficient(found.alpha)}")
        for pair, kappa in found.kappas.pairs.items():
            _print(f"{found.question}\tkappa {' - '.join(pair)}\t{describe_coefficient(kappa)}")
        for person, mean in found.kappas.people.items():
            _print(f"{found.question}\tmean kappa of {person}\t{describe_coefficient(mean)}")
    _print(f"spans\tmean F1\t{describe_coefficient(report.spans)}")
    _print(f"order\tmean tau-b\t{describe_coefficient(report.order)}")
    for person, share in report.gold.items():
        _print(f"gold\t{person}\t{share.right} of {share.total}")
    return 0


def run_backup(options: argparse.Namespace) -> int:
    """Writes a backup; prints rows by table."""
    from reranker.annotation.backup import write_backup

    _tell_rows(write_backup(_open().store, options.file))
    return 0


def run_restore(options: argparse.Namespace) -> int:
    """Restores a backup into an empty store; prints rows by table."""
    from reranker.annotation.backup import restore_backup

    _tell_rows(restore_backup(_open().store, options.file))
    return 0


def _open() -> Judging:
    from reranker.annotation.judging import Judging
    from reranker.annotation.store import Store

    return Judging(Store())


def _tell_rows(counts: dict[str, int]) -> None:
    for name, count in counts.items():
        _print(f"{name}\t{count}")


def _print(message: str) -> None:
    sys.stdout.write(message + "\n")
