"""(a) A cancel of 500 queued jobs beside its floor, in stores of 10,000 and 1,000,000 jobs.

    .venv/bin/python bench/cancels.py [--rounds N] [--sizes N …] [--stores …]

The floor, in the same database and with the same ids and settings: a table of id and status with
one partial index, and a table of events; one UPDATE of 500 rows, one INSERT of 500 events, one
commit. The bare application parses and answers the same bytes, and does nothing.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from service import JOBS, Service
from side_by_side import STORES, empty_database, in_turns, median, spread, table

from full import fill_postgres, fill_sqlite
from rescind.databases import open_store
from rescind.model import Actor
from rescind.service.passwords import hashed
from rescind.service.policy import Permission
from rescind.store.protocol import Store
from rescind.store.sqlite.database import connect as connect_sqlite

BATCH = 500
PASSWORD = "a password of this bench"
WHO = Actor(user_id=2, by="user", reason="a bench", request_id="r-1")
FLOOR = (
    "CREATE TABLE floor_job (id bigint PRIMARY KEY, status text NOT NULL)",
    "INSERT INTO floor_job SELECT id, status FROM job",
    "CREATE INDEX floor_queued ON floor_job (id) WHERE status = 'QUEUED'",
    "CREATE TABLE floor_event (id {serial}, job_id bigint, was text, became text, at bigint)",
)
QUEUED = (
    "UPDATE job SET status = 'QUEUED', queued_at = run_at WHERE status IN ('SCHEDULED', 'QUEUEING')"
)


class Sqlite:
    """A full store and its floor."""

    def __init__(self, url: str, size: int) -> None:
        path = Path(url.removeprefix("sqlite:///"))
        unfinished = min(size * 9 // 10, 100_000)
        fill_sqlite(str(path), size - unfinished, unfinished)
        self._connection = connect_sqlite(path)
        self._connection.execute(QUEUED)
        for text in FLOOR:
            self._connection.execute(text.format(serial="INTEGER PRIMARY KEY"))
        self._connection.execute("ANALYZE")

    def queued(self) -> list[int]:
        found = self._connection.execute("SELECT id FROM job WHERE status = 'QUEUED' ORDER BY id")
        return [row[0] for row in found]

    def floor(self, ids: list[int]) -> None:
        given = json.dumps(ids)
        with self._connection as connection:
            moved = connection.execute(
                "UPDATE floor_job SET status = 'CANCELLING' WHERE id IN (SELECT value FROM "
                "json_each(?)) AND status = 'QUEUED' RETURNING id",
                (given,),
            ).fetchall()
            connection.execute(
                "INSERT INTO floor_event (job_id, was, became, at) "
                "SELECT value, 'QUEUED', 'CANCELLING', 1 FROM json_each(?)",
                (json.dumps([row[0] for row in moved]),),
            )


class Postgres:
    """A full store and its floor."""

    def __init__(self, url: str, size: int) -> None:
        unfinished = min(size * 9 // 10, 100_000)
        fill_postgres(url, size - unfinished, unfinished)
        self._connection = psycopg.connect(url, prepare_threshold=0)
        for text in (QUEUED, *FLOOR):
            serial = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
            self._connection.execute(text.format(serial=serial).encode())
        self._connection.commit()
        self._connection.autocommit = True
        self._connection.execute("VACUUM ANALYZE")
        self._connection.autocommit = False

    def queued(self) -> list[int]:
        found = self._connection.execute("SELECT id FROM job WHERE status = 'QUEUED' ORDER BY id")
        ids = [row[0] for row in found]
        self._connection.commit()
        return ids

    def floor(self, ids: list[int]) -> None:
        with self._connection.transaction():
            moved = self._connection.execute(
                "UPDATE floor_job SET status = 'CANCELLING' WHERE id = ANY(%s) "
                "AND status = 'QUEUED' RETURNING id",
                [ids],
            ).fetchall()
            self._connection.execute(
                "INSERT INTO floor_event (job_id, was, became, at) "
                "SELECT id, 'QUEUED', 'CANCELLING', 1 FROM unnest(%s::bigint[]) AS id",
                [[row[0] for row in moved]],
            )


BARE = """
import json, sys
import uvicorn
ANSWER = open(sys.argv[2], "rb").read()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part["body"], part.get("more_body", False)
    json.loads(body)
    answer = json.dumps(json.loads(ANSWER)).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


@contextmanager
def bare(answer: bytes) -> Iterator[Callable[[bytes], None]]:
    """Asks the bare application."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile() as file:
        file.write(answer)
        file.flush()
        process = subprocess.Popen([sys.executable, "-c", BARE, str(port), file.name])
        client = httpx2.Client(base_url=f"http://127.0.0.1:{port}")
        while True:
            try:
                client.post("/", content=b"[]")
                break
            except httpx2.ConnectError:
                time.sleep(0.05)
        yield lambda body: client.post("/", content=body).raise_for_status() and None
        process.terminate()
        process.wait()


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def administrator(store: Store) -> None:
    """Who may cancel everything, with the id 2."""
    store.add_user("admin", hashed(PASSWORD), frozenset(map(str, Permission)))


def of(options: argparse.Namespace, kind: str, size: int) -> list[list[object]]:
    with empty_database(kind) as url:
        store = open_store(url)
        administrator(store)
        full: Sqlite | Postgres = (Sqlite if kind == "sqlite" else Postgres)(url, size)
        rows = []
        for order in ("consecutive", "random"):
            ids = full.queued()
            need = BATCH * options.rounds
            chosen = ids[: 2 * need] if order == "consecutive" else random.sample(ids, 2 * need)
            batches = iter([chosen[n : n + BATCH] for n in range(0, len(chosen), BATCH)])
            floors = iter([chosen[n : n + BATCH] for n in range(0, need, BATCH)])

            def cancel(ids: list[int]) -> None:
                verdicts = store.cancel(ids, WHO, running_allowed=True, owner=None)
                assert all(verdict.landed for verdict in verdicts.values())

            product, floor = in_turns(
                options.rounds,
                lambda batches=batches: seconds(lambda: cancel(next(batches))),
                lambda floors=floors: seconds(lambda: full.floor(next(floors))),
            )
            whole, bare_ = http(url, list(batches), options.rounds)
            beside = median(product) / median(floor)
            rows.append(
                [
                    *(kind, f"{size:,}", order, spread(product, 1000, 1), spread(floor, 1000, 1)),
                    f"{beside:.2f}",
                    *(spread(whole, 1000, 1), spread(bare_, 1000, 1)),
                    f"{(median(whole) - median(bare_)) / median(floor):.2f}",
                    median(product),
                    median(floor),
                ]
            )
        store.close()
    return rows


def http(url: str, batches: list[list[int]], rounds: int) -> list[list[float]]:
    """Seconds of whole requests, and of those to the bare application."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(folder, None, [], database=url, password=PASSWORD)
        path = f"{JOBS}/actions/cancel"
        bodies = [json.dumps([{"job_id": id_} for id_ in batch]).encode() for batch in batches]
        answers: list[bytes] = []

        def ask(body: bytes) -> None:
            answers.append(service.post(path, body))
            assert answers[-1].count(b"SUCCESS") > BATCH

        ask(bodies[0])
        rest = iter(bodies[1:rounds] + bodies[:1])
        with bare(answers[0]) as ask_bare:
            found = in_turns(
                rounds - 1,
                lambda: seconds(lambda: ask(next(rest))),
                lambda: seconds(lambda: ask_bare(bodies[0])),
            )
        service.end()
    return found


def main() -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 1_000_000])
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    options, _ = parser.parse_known_args()
    rows: list[list[Any]] = []
    for kind in options.stores:
        for size in options.sizes:
            rows += of(options, kind, size)
            print(rows[-2:], file=sys.stderr, flush=True)
    shown = []
    for row in rows:
        *cells, product, floor = row
        first = next(one for one in rows if one[0] == row[0] and one[2] == row[2])
        growth = (product / first[-2]) / (floor / first[-1])
        shown.append([*cells, f"{growth:.2f}"])
    head = ["store", "jobs", "ids", "cancel, ms", "floor, ms", "ratio", "HTTP, ms", "bare, ms"]
    head += ["(HTTP - bare) / floor", "growth / floor's"]
    return table("(a) A cancel of 500 queued jobs", head, shown)


if __name__ == "__main__":
    print(main())
