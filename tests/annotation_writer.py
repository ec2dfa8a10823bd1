"""A server with four clients that save without a pause, killed again and again.

Run as `python -m tests.annotation_writer DATABASE_URL ROUNDS`: prints one JSON object, which says
how many saves were acknowledged and which of them a later look into the store did not find.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time

from reranker.annotation.judging import Judging
from reranker.annotation.store import Store
from tests.annotation_cases import make_answers, make_case, save

CLIENTS = 4
MIN_SAVES = 6
"""Before a kill, so that every kill falls among saves."""


def serve(url: str, number: int, pipe: int) -> None:
    """Four clients in one process. A line of the pipe acknowledges one save, after it returned."""
    judging = Judging(Store(url))
    item_id = make_case().item_id

    def work(client: int) -> None:
        for count in range(1_000_000):
            key = f"{number}.{client}.{count}"
            save(judging, f"client {client}", item_id, make_answers({"d1": 1}), save_key=key)
            os.write(pipe, f"{key}\n".encode())

    for client in range(CLIENTS):
        threading.Thread(target=work, args=(client,), daemon=True).start()
    signal.pause()


def kill_once(url: str, number: int) -> set[str]:
    """The keys that were acknowledged before the server was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            serve(url, number, writing)
        finally:
            os._exit(1)
    os.close(writing)
    told = b""
    while told.count(b"\n") < MIN_SAVES and (piece := os.read(reading, 65536)):
        told += piece
    time.sleep(random.Random(number).uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while piece := os.read(reading, 65536):
        told += piece
    os.close(reading)
    return set(told.decode().split())


def main(url: str, rounds: int) -> None:
    lost: list[str] = []
    acknowledged = 0
    for number in range(rounds):
        keys = kill_once(url, number)
        store = Store(url)
        with store.reading.begin() as connection:
            found = connection.exec_driver_sql(
                f"SELECT save_key FROM judgements WHERE save_key LIKE '{number}.%%'"
                if url.startswith("postgresql")
                else f"SELECT save_key FROM judgements WHERE save_key LIKE '{number}.%'"
            )
            present = {row[0] for row in found}
            if url.startswith("sqlite") and number % 10 == 9:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        store.close()
        acknowledged += len(keys)
        lost += sorted(keys - present)
        assert len(keys) >= MIN_SAVES, "the server ended by itself"
    print(json.dumps({"rounds": rounds, "acknowledged": acknowledged, "lost": lost}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
