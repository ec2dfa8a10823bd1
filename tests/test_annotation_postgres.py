"""The same store on a real PostgreSQL server, started here from the installed programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.live_app import find_free_port
from reranker.annotation.backup import restore_backup, write_backup
from reranker.annotation.judging import Judging
from reranker.annotation.store import Store
from tests.annotation_cases import make_answers, make_case, open_judging, save
from tests.test_annotation_kill import run_kills

KILLS = 10


def find_program(name: str) -> str | None:
    """A server program on the path or where Debian keeps it, the newest first."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(debian[0]) if debian else shutil.which(name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    initdb, pg_ctl = find_program("initdb"), find_program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("no PostgreSQL server is installed (initdb, pg_ctl): install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    user: dict[str, str] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = {"user": "postgres"}
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:2]:
            parent.chmod(parent.stat().st_mode | 0o011)
    data, port = folder / "data", find_free_port()

    def call(*command: str) -> None:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **user)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr

    call(initdb, "-D", str(data), "-U", "dear", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    call(pg_ctl, "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://dear@127.0.0.1:{port}"
    finally:
        call(pg_ctl, "-D", str(data), "-m", "immediate", "stop")


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """An empty database of its own for each test."""
    name = request.node.name
    store = Store(f"{server}/postgres")
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    store.close()
    return f"{server}/{name}"


def test_four_people_save_at_once(url: str) -> None:
    judging, project_id = open_judging(url, items=20, overlap=2)

    def work(person: str) -> None:
        while (item_id := judging.assignments.next_item(project_id, person)) is not None:
            save(judging, person, item_id, make_answers({"d1": 1}, comment="é\u0000<b>"))

    threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = judging.history(project_id)
    assert len({(j.item_id, j.person) for j in history}) == len(history) == 40
    assert history[0].answers.comment == "é\u0000<b>"
    judging.store.close()


def test_concurrent_versions(url: str) -> None:
    judging, project_id = open_judging(url)
    item_id = make_case().item_id
    judging.assignments.assign(project_id, "ann", [item_id])

    def work(name: str) -> None:
        for n in range(5):
            save(judging, "ann", item_id, make_answers({"d1": n % 4}), save_key=f"{name}{n}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(j.version for j in judging.history(project_id)) == list(range(1, 21))
    judging.store.close()


def test_a_backup_moves_between_databases(url: str, tmp_path: Path) -> None:
    small, project_id = open_judging(tmp_path, items=3)
    for item in small.store.list_items(project_id):
        save(small, "ann", item.item_id, make_answers({"d1": 2}))
    write_backup(small.store, tmp_path / "a.zip")
    large = Judging(Store(url.replace("postgresql://", "postgres://")))
    restore_backup(large.store, tmp_path / "a.zip")
    assert large.history(project_id) == small.history(project_id)
    assert large.store.list_items(project_id) == small.store.list_items(project_id)
    item_id = make_case().item_id
    assert save(large, "ann", item_id, make_answers({"d1": 1}), base_version=1).version == 2
    write_backup(large.store, tmp_path / "b.zip")
    back = Judging(Store(f"sqlite:///{tmp_path / 'back.db'}"))
    restore_backup(back.store, tmp_path / "b.zip")
    assert back.history(project_id) == large.history(project_id)
    large.store.close()


def test_kills_lose_no_acknowledged_judgement(url: str) -> None:
    judging, _ = open_judging(url)
    judging.store.close()
    assert run_kills(url, KILLS)["lost"] == []
