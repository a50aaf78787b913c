"""How long queries take in a full database, with the plan of each, and cancels beside them.

In a month's database, on SQLite and on PostgreSQL, over HTTP, beside an authenticated request that
asks for one row:

    .venv/bin/python bench/queries.py
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import apsw
import psycopg
from lists import FLOOR, READERS, arguments, cancels, full_database, percentiles, readers
from service import Service

from rescind.clock import SystemClock
from rescind.store.postgres.store import PostgresStore
from rescind.store.sql import filters, queries
from rescind.store.sqlite.store import SqliteStore
from rescind.vql import tree
from rescind.vql.parser import parse
from rescind.vql.planner import plan
from store.harness import WORKER

RUNNING = 16
LEASE_SECONDS = 3600
QUERIES = {
    "RUNNING": "SELECT id FROM job_instance__sys WHERE status__sys = 'RUNNING'",
    "RUNNING, of all jobs": "SELECT id, job_title__sys FROM job__sys WHERE status__sys = 'RUNNING'",
    "one name, run in the last day": (
        "SELECT id, job_title__sys, status__sys, run_date__sys FROM job__sys "
        "WHERE job_name__sys = 'export_7__c' AND run_date__sys >= LAST_DAYS:1"
    ),
    "three statuses, by date": (
        "SELECT id, job_title__sys, status__sys FROM job_instance__sys WHERE status__sys CONTAINS "
        "('SCHEDULED', 'QUEUEING', 'QUEUED') ORDER BY run_date__sys DESC"
    ),
    "CANCELLED": "SELECT id FROM job_history__sys WHERE status__sys = 'CANCELLED'",
    "SUCCESS (unselective)": "SELECT id FROM job_history__sys WHERE status__sys = 'SUCCESS'",
    "LIKE with % in front": "SELECT id FROM job__sys WHERE job_title__sys LIKE '%99 %'",
}


@contextmanager
def store_of(url: str) -> Iterator[SqliteStore | PostgresStore]:
    if url.startswith("sqlite"):
        store: SqliteStore | PostgresStore = SqliteStore(
            Path(url.removeprefix("sqlite:///")), SystemClock()
        )
    else:
        store = PostgresStore(url, lease_seconds=LEASE_SECONDS)
    yield store
    store.close()


def shown_plan(url: str, query: str) -> list[str]:
    """How the database looks for the rows, in its own words."""
    statement = parse(query)
    assert isinstance(statement, tree.Query)
    selection = plan(query, statement, datetime.now(UTC)).selection
    with store_of(url) as store, store._query(60) as transaction:  # noqa: SLF001 - to see the SQL
        where = filters.where(selection.where, transaction.dialect)
        rows = queries.rows_of(transaction, selection)
        text = f"SELECT id FROM ({rows}) AS found WHERE {where.text}"
        values = dict(where.parameters)
    if url.startswith("sqlite"):
        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        unbound = dict.fromkeys(values, 1)  # the plan does not look at them
        found = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", unbound)]
        connection.close()
        return [line for line in found if " job" in line]
    with psycopg.connect(url) as database:
        explained = database.execute(f"EXPLAIN {text}".encode(), values).fetchall()
    return [line.strip().removeprefix("->  ") for (line,) in explained if "Scan" in line]


def measure(url: str, service: Service, rounds: int) -> None:
    floor = percentiles([service.request("GET", FLOOR)[0] for _ in range(rounds)])
    print(f"  {'floor: users/me':34} {floor[0]:8.1f} {floor[1]:8.1f}", flush=True)
    for name, query in QUERIES.items():
        form = {"q": query}
        taken = [
            service.request("POST", "/api/v26.1/query", data=form) for _ in range(rounds // 4 + 3)
        ][3:]
        p50, p99 = percentiles([seconds for seconds, _ in taken])
        total = taken[0][1]["responseDetails"]["total"]
        print(f"  {name:34} {p50:8.1f} {p99:8.1f}   {total}", flush=True)
        for line in shown_plan(url, query):
            print(f"      {line}")
    cancels(service, rounds, "cancel of one job, idle")
    for name in ("three statuses, by date", "SUCCESS (unselective)"):
        with readers(service, f"/api/v26.1/query?q={quote(QUERIES[name])}"):
            cancels(service, rounds, f"the same beside {READERS} of {name}")
    with readers(service, FLOOR):
        cancels(service, rounds, f"the same beside {READERS} of the floor")


def main() -> None:
    given = arguments(__doc__)
    for kind in given.stores:
        with full_database(kind, given) as (url, service):
            with store_of(url) as store:
                store.lease(WORKER.by)
                claimed = store.claim(WORKER, names=["export__c"], limit=RUNNING)
                assert len(claimed) == RUNNING
            print(f"{kind}: milliseconds, p50 and p99; total", flush=True)
            measure(url, service, given.rounds)
            service.end()


if __name__ == "__main__":
    main()
