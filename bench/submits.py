"""(b) Submits, one by one and 500 at once, beside their floor.

    .venv/bin/python bench/submits.py [--rounds N] [--stores …]

The floor, in the same database and with the same settings: an INSERT of as many rows of id and
status with one partial index, one of their events, one commit.
"""

import argparse
import sys
from collections.abc import Callable

import psycopg
from cancels import WHO, seconds
from side_by_side import STORES, empty_database, in_turns, median, spread, table
from throughput import path_of

from rescind.databases import open_store
from rescind.store.sqlite.database import connect as connect_sqlite
from store.harness import metadata, new_job, register

TABLES = (
    "CREATE TABLE floor_job (id {serial}, status text NOT NULL)",
    "CREATE INDEX floor_queued ON floor_job (id) WHERE status = 'QUEUED'",
    "CREATE TABLE floor_event (id {serial}, job_id bigint, was text, became text, at bigint)",
)
INSERTS = (
    "INSERT INTO floor_job (status) SELECT 'QUEUED' FROM {numbers}",
    "INSERT INTO floor_event (job_id, was, became, at) SELECT n, NULL, 'QUEUED', 1 FROM {numbers}",
)


def floor_of(url: str) -> Callable[[int], None]:
    """Inserts so many rows and events, and commits."""
    if url.startswith("sqlite"):
        connection = connect_sqlite(path_of(url))
        for text in TABLES:
            connection.execute(text.format(serial="INTEGER PRIMARY KEY"))
        numbers = (
            "(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
            "WHERE n < ?) SELECT n FROM numbers)"
        )

        def insert(count: int) -> None:
            with connection:
                for text in INSERTS:
                    connection.execute(text.format(numbers=numbers), (count,))

        return insert
    other = psycopg.connect(url, prepare_threshold=0)
    for text in TABLES:
        serial = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        other.execute(text.format(serial=serial).encode())
    other.commit()

    def insert_there(count: int) -> None:
        with other.transaction():
            for text in INSERTS:
                series = "generate_series(1, %s::bigint) AS n"
                other.execute(text.format(numbers=series).encode(), [count])

    return insert_there


def of(options: argparse.Namespace, kind: str) -> list[list[str]]:
    """Rows of the table."""
    rows = []
    with empty_database(kind) as url:
        store = open_store(url)
        store.add_user("bench", "hash", frozenset())
        job = metadata()
        register(store, job)
        insert = floor_of(url)
        for batch, repeats in ((1, 50), (500, 1)):

            def submit(batch: int = batch, repeats: int = repeats) -> None:
                for _ in range(repeats):
                    store.submit([new_job(metadata=job) for _ in range(batch)], WHO)

            def floor(batch: int = batch, repeats: int = repeats) -> None:
                for _ in range(repeats):
                    insert(batch)

            found, bounds = in_turns(
                options.rounds,
                lambda submit=submit: seconds(submit),
                lambda floor=floor: seconds(floor),
            )
            scale = 1000 / repeats
            rows.append(
                [
                    *(kind, str(batch), spread(found, scale, 2), spread(bounds, scale, 2)),
                    f"{median(found) / median(bounds):.2f}",
                ]
            )
        store.close()
    return rows


def main() -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    options, _ = parser.parse_known_args()
    rows = [row for kind in options.stores for row in of(options, kind)]
    print(rows, file=sys.stderr, flush=True)
    head = ["store", "jobs at once", "submit, ms", "floor, ms", "ratio"]
    return table("(b) Submits", head, rows)


if __name__ == "__main__":
    print(main())
