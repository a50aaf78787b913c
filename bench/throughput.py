"""(c) No-op jobs per second: a service that finds them queued, beside what bounds it.

    .venv/bin/python bench/throughput.py [--jobs N] [--rounds N] [--stores …] [--slots …]

In one run, in turns: the service; pairs of forks and waits that one process makes a second; commits
of one row a second on one connection to the same database, as durable. From the first claim to the
last end, by the jobs' own instants.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from engine import floor
from side_by_side import STORES, empty_database, in_turns, median, spread, table

from rescind.databases import open_store
from rescind.lifecycle import Status
from rescind.model import Actor
from rescind.store.protocol import Store
from rescind.store.sqlite.database import connect as connect_sqlite
from store.harness import metadata, new_job, register

HERE = Path(__file__).parent
BENCH = Actor(user_id=1, by="bench")


def path_of(url: str) -> Path:
    """Of a SQLite database."""
    return Path(url.removeprefix("sqlite:///"))


def commits(url: str, count: int) -> float:
    """One-row commits a second."""
    if url.startswith("sqlite"):
        connection = connect_sqlite(path_of(url))
        connection.execute("CREATE TABLE IF NOT EXISTS floor (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.execute("INSERT OR IGNORE INTO floor VALUES (1, 0)")
        begin = time.perf_counter()
        for _ in range(count):
            connection.execute("UPDATE floor SET n = n + 1 WHERE id = 1")
        seconds = time.perf_counter() - begin
        connection.close()
        return count / seconds
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE IF NOT EXISTS floor (id bigint PRIMARY KEY, n bigint)")
        other.execute("INSERT INTO floor VALUES (1, 0) ON CONFLICT DO NOTHING")
        begin = time.perf_counter()
        for _ in range(count):
            other.execute("UPDATE floor SET n = n + 1 WHERE id = 1", prepare=True)
        return count / (time.perf_counter() - begin)


def jobs_a_second(url: str, name: str, jobs: int, slots: int, engine: str) -> float:
    """Of a service with so many slots, which finds them queued."""
    store = open_store(url)
    processor = f"noop_jobs:{name.removesuffix('__c')}"
    kind = metadata(name=name, processor=processor, idempotent=True)
    register(store, kind)
    ids: list[int] = []
    while len(ids) < jobs:
        batch = min(500, jobs - len(ids))
        submitted = store.submit([new_job(metadata=kind) for _ in range(batch)], BENCH)
        ids += [job.id for job in submitted if job.id is not None]
    service = subprocess.Popen(
        [
            *(sys.executable, "-m", "rescind.cli", "serve", "--port", "0", "--database", url),
            *("--jobs", "noop_jobs", "--slots", str(slots), "--engine", engine),
        ],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while store.job(ids[-1]).status is not Status.SUCCESS:
            time.sleep(0.2)
        while any(job.status is not Status.SUCCESS for job in _rows(store, ids)):
            time.sleep(0.2)
    finally:
        service.terminate()
        service.wait()
    rows = _rows(store, ids)
    began = min(row.started_at for row in rows)
    ended = max(row.finished_at for row in rows)
    store.close()
    return jobs / (ended - began).total_seconds()


def _rows(store: Store, ids: list[int]) -> list:
    return store.latest_jobs(limit=len(ids), below=ids[-1] + 1, owner=None)


KINDS = {
    "process": ("process", "noop__c"),
    "process, runs_per_process=1000": ("process", "noop_again__c"),
    "inline": ("inline", "noop__c"),
}


def row(options: argparse.Namespace, store: str, kind: str, slots: int) -> list[str]:
    """Of the table."""
    engine, name = KINDS[kind]
    with empty_database(store) as url:
        found, forks, writes = in_turns(
            options.rounds,
            lambda: jobs_a_second(url, name, options.jobs, slots, engine),
            lambda: 1 / floor(["rescind.engines.process.warm"], 300),
            lambda: commits(url, 2000),
        )
    return [
        *(store, kind, str(slots), spread(found), spread(forks), spread(writes)),
        f"{median(found) / median(forks):.2f}",
        f"{median(found) / median(writes):.2f}",
    ]


def main() -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    parser.add_argument("--slots", nargs="+", type=int, default=[1, 2])
    options, _ = parser.parse_known_args()
    rows = []
    for store in options.stores:
        for kind in KINDS:
            for slots in options.slots if kind != "inline" else [1]:
                rows.append(row(options, store, kind, slots))
                print(rows[-1], file=sys.stderr, flush=True)
    head = ["store", "engine", "slots", "jobs/s", "fork pairs/s", "commits/s"]
    return table("(c) No-op jobs per second", [*head, "of the forks", "of the commits"], rows)


if __name__ == "__main__":
    print(main())
