"""(e) All that match: pinned, cancelled, settled, undone, each beside raw SQL; and single cancels
meanwhile.

    .venv/bin/python bench/operations.py [--jobs N] [--stores …]

N queued jobs beside N others. The floor, in a second database with the same schema, indexes,
triggers and jobs: for each batch raw SQL that writes the same jobs and events, and one commit; it
keeps no outcomes, asks nobody's rights and judges nothing. Batches of product and floor are done
in turns. The single cancels are whole HTTP requests to a service that works an operation off.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from service import JOBS, Service
from side_by_side import STORES, empty_database, table

from rescind import limits
from rescind.databases import open_store
from rescind.model import Actor, JobMetadata, NewJob, Registration
from rescind.operation import Action, Rights, Wanted
from rescind.selection import Column, Compare, Operator, Selection
from rescind.service.passwords import hashed
from rescind.service.policy import Permission
from rescind.store.protocol import Store
from rescind.store.sqlite.database import connect as connect_sqlite

PASSWORD = "a password of this bench"
WHO = Actor(user_id=2, by="user", reason="a bench", request_id="r-1")
WANTED = JobMetadata(name="wanted__c", processor="bench:wanted", title="Wanted")
OTHER = JobMetadata(name="other__c", processor="bench:other", title="Other")
MEANT = Selection(where=Compare(Column.JOB_METADATA, Operator.EQ, WANTED.name))
ALL = Rights(owner=None, running_allowed=True, hold_seconds=0)
PART, SETTLED = limits.SELECTION_PART_JOBS, limits.LOOP_BATCH_JOBS_MAX
BATCHES = {
    "sqlite": limits.SQLITE_OPERATION_BATCH_JOBS,
    "postgres": limits.POSTGRES_OPERATION_BATCH_JOBS,
}

_COLUMNS = (
    "job_metadata, title, status, method, priority, parameters, queue, processor, cancellable_in, "
    "grace_seconds, timeout_seconds, inactivity_seconds, idempotent, attempts_max, retry_seconds, "
    "interrupt_seconds, terminate_seconds, created_by, created_at, modified_by, modified_at, "
    "run_at, queued_at"
)
_EVENT = "job_id, move, from_status, to_status, at, user_id, by, reason, request_id, attempt"
_TIMES = "SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < {}"


class Raw:
    """Raw SQL on one database: {now}, and {ids} of a set that is given, differ."""

    def __init__(self, url: str) -> None:
        self._sqlite = url.startswith("sqlite")
        self._connection: Any
        if self._sqlite:
            self._connection = connect_sqlite(url.removeprefix("sqlite:///"))  # type: ignore[arg-type]
            self._words = {"ids": "IN (SELECT value FROM json_each(?))", "now": "1764000000000"}
        else:
            self._connection = psycopg.connect(url, prepare_threshold=0)
            self._words = {"ids": "= ANY(%s)", "now": "now()"}

    def multiply(self, times: int) -> None:
        """So many copies of each of the few jobs that are there."""
        numbers = f"WITH RECURSIVE times (n) AS ({_TIMES.format(times)})"
        if not self._sqlite:
            numbers = f"WITH times (n) AS (SELECT generate_series(1, {times}))"
        self.commit(
            f"{numbers} INSERT INTO job ({_COLUMNS}) SELECT {_COLUMNS} FROM times, job "
            "ORDER BY n, job.id"
        )
        if self._sqlite:
            self._connection.execute("ANALYZE")
        else:
            self._connection.autocommit = True
            self._connection.execute("VACUUM ANALYZE")
            self._connection.autocommit = False

    def ids(self, where: str) -> list[int]:
        found = self._connection.execute(f"SELECT id FROM job WHERE {where} ORDER BY id")
        return [row[0] for row in found]

    def commit(self, *statements: str, ids: Sequence[int] | None = None) -> None:
        """Statements, each with these ids, if given, in a transaction."""
        given: list[Any] = []
        if ids is not None:
            given = [json.dumps(ids) if self._sqlite else list(ids)]
        with self._connection if self._sqlite else self._connection.transaction():
            for text in statements:
                self._connection.execute(text.format(**self._words), given)

    def pin(self) -> list[int]:
        ids = self.ids(f"job_metadata = '{WANTED.name}'")
        mark = "?" if self._sqlite else "%s"
        with self._connection if self._sqlite else self._connection.transaction():
            for first in range(0, len(ids), PART):
                part = b"".join(one.to_bytes(8, "little") for one in ids[first : first + PART])
                self._connection.execute(f"INSERT INTO floor_part VALUES ({mark})", [part])
        return ids

    def move(self, ids: Sequence[int], move: str, was: str, became: str, more: str = "") -> None:
        self.commit(
            f"UPDATE job SET status = '{became}', modified_by = 2, modified_at = {{now}} {more} "
            f"WHERE id {{ids}} AND status = '{was}'",
            f"INSERT INTO job_event ({_EVENT}) SELECT id, '{move}', '{was}', '{became}', {{now}}, "
            "2, 'user', 'a bench', 'r-1', 0 FROM job WHERE id {ids} ORDER BY id",
            ids=ids,
        )

    def undo(self, ids: Sequence[int]) -> None:
        copied = _COLUMNS.replace("status", "'QUEUED'")
        undo = "1" if self._sqlite else "true"
        self.commit(
            f"INSERT INTO job ({_COLUMNS}, rerun_of, undo) SELECT {copied}, id, {undo} FROM job "
            "WHERE id {ids} ORDER BY id",
            f"INSERT INTO job_event ({_EVENT}) SELECT id, 'submit', NULL, 'QUEUED', {{now}}, 2, "
            "'user', 'a bench', 'r-1', 0 FROM job WHERE rerun_of {ids} ORDER BY id",
            ids=ids,
        )


def filled(url: str, jobs: int) -> tuple[Store, Raw]:
    store = open_store(url)
    store.add_user("admin", hashed(PASSWORD), frozenset(map(str, Permission)))
    store.register(Registration(id="w", host="h", pid=1, slots=1), [WANTED, OTHER])
    seeds = [NewJob(metadata=WANTED, title="Wanted"), NewJob(metadata=OTHER, title="Other")]
    store.submit(seeds, WHO)
    raw = Raw(url)
    raw.commit("CREATE TABLE floor_part (ids bytea)")
    raw.multiply(jobs - 1)
    return store, raw


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def in_turns(product: Iterator[object], floor: Iterator[object]) -> tuple[float, float]:
    """The seconds of both, batch by batch."""
    seconds, going = [0.0, 0.0], [product, floor]
    while any(one is not None for one in going):
        for which, one in enumerate((product, floor)):
            if going[which] is not None:
                seconds[which] += timed(lambda one=one, which=which: _next(one, going, which))
    return seconds[0], seconds[1]


def _next(one: Iterator[object], going: list[Any], which: int) -> None:
    if next(one, None) is None:
        going[which] = None


def operated(store: Store) -> Iterator[object]:
    while running := store.running_operations(limit=1):
        yield store.operate(running[0], lambda _user, _action: ALL, leave_held=True)


def parts(ids: Sequence[int], size: int, act: Callable[[Sequence[int]], None]) -> Iterator[object]:
    for first in range(0, len(ids), size):
        act(ids[first : first + size])
        yield True


def measured(kind: str, jobs: int) -> list[list[object]]:
    with empty_database(kind) as url, empty_database(kind) as floor_url:
        store, _ = filled(url, jobs)
        floor_store, raw = filled(floor_url, jobs)
        floor_store.close()
        rows: list[list[object]] = []

        def row(what: str, product: float, floor: float) -> None:
            each = [f"{seconds / jobs * 1e6:,.0f}" for seconds in (product, floor)]
            rows.append([kind, what, f"{product:.2f}", f"{floor:.2f}", *each, product / floor])
            print(rows[-1], file=sys.stderr, flush=True)

        pinning = {"owner": None, "skip": 0, "rows_max": None, "seconds": 600}
        product = timed(lambda: store.pin("s-1", 2, "a query", MEANT, **pinning))  # type: ignore[arg-type]
        found: list[int] = []
        row("pin", product, timed(lambda: found.extend(raw.pin())))
        assert store.begin(Wanted(id="o-1", action=Action.CANCEL, actor=WHO), "s-1") == "BEGUN"
        batch = BATCHES[kind]
        cancelled = parts(found, batch, lambda ids: raw.move(ids, "cancel", "QUEUED", "CANCELLING"))
        row("cancel", *in_turns(operated(store), cancelled))
        operation = store.operation("o-1", owner=None)
        assert operation is not None
        assert operation.outcomes == {"ACCEPTED": jobs}

        def settle() -> Iterator[object]:
            while store.settle(Actor(by="canceller"), limit=SETTLED):
                yield True

        end = ", evidence = 'NEVER_STARTED', finished_at = {now}"
        settled = parts(
            found, SETTLED, lambda ids: raw.move(ids, "settle", "CANCELLING", "CANCELLED", end)
        )
        row("settle", *in_turns(settle(), settled))
        wanted = Wanted(id="u-1", action=Action.UNDO, actor=WHO)
        assert store.undo(wanted, "o-1", owner=None) == "BEGUN"
        row("undo", *in_turns(operated(store), parts(found, batch, raw.undo)))
        operation = store.operation("u-1", owner=None)
        assert operation is not None
        assert operation.outcomes == {"SUBMITTED": jobs}
        store.close()
        return rows


def meanwhile(kind: str, jobs: int) -> list[list[object]]:
    """Single cancels by HTTP, one after another: of the others, with nothing else to do, then while
    an operation cancels, and while one undoes that.
    """
    rows: list[list[object]] = []
    with empty_database(kind) as url, tempfile.TemporaryDirectory() as folder:
        store, raw = filled(url, jobs)
        others = iter(raw.ids(f"job_metadata = '{OTHER.name}'"))
        service = Service(folder, None, [], database=url, password=PASSWORD)

        def cancels(done: Callable[[], bool]) -> list[float]:
            found: list[float] = []
            while not done():
                job = json.dumps([{"job_id": next(others)}]).encode()
                found.append(timed(lambda job=job: service.post(f"{JOBS}/actions/cancel", job)))
            return sorted(found)

        def row(what: str, found: list[float]) -> None:
            at = (found[len(found) // 2], found[len(found) * 99 // 100], found[-1])
            shown = [f"{seconds * 1000:.1f}" for seconds in at]
            rows.append([kind, what, f"{len(found):,}", *shown])
            print(rows[-1], file=sys.stderr, flush=True)

        until = time.perf_counter() + 5
        row("nothing", cancels(lambda: time.perf_counter() > until))
        query = f"SELECT id FROM job__sys WHERE job_name__sys = '{WANTED.name}'"
        _, pinned = service.request("POST", f"{JOBS}/selections", {"query": query})
        began = f"{JOBS}/selections/{pinned['data']['selection_id']}/actions/cancel"
        for what in ("cancel", "undo"):
            _, answer = service.request("POST", began)
            path = f"{JOBS}/operations/{answer['data']['operation_id']}"
            ended = threading.Event()

            def watch(path: str = path, ended: threading.Event = ended) -> None:
                while store.operation(path.rpartition("/")[2], owner=None).status == "RUNNING":  # type: ignore[union-attr]
                    time.sleep(0.2)
                ended.set()

            watcher = threading.Thread(target=watch)
            watcher.start()
            row(what, cancels(ended.is_set))
            watcher.join()
            began = f"{path}/actions/undo"
        service.end()
        store.close()
    return rows


def main() -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    options, _ = parser.parse_known_args()
    rows = [row for kind in options.stores for row in measured(kind, options.jobs)]
    shown = [[*row[:-1], f"{row[-1]:.2f}"] for row in rows]
    head = ["store", "what", "seconds", "floor, s", "µs a job", "floor, µs", "ratio"]
    jobs = f"{options.jobs:,} jobs beside as many others"
    first = table(f"(e) An operation on {jobs}", head, shown)
    head = ["store", "meanwhile", "cancels", "p50, ms", "p99, ms", "most, ms"]
    rows = [row for kind in options.stores for row in meanwhile(kind, options.jobs)]
    return f"{first}\n{table(f'Single cancels beside an operation on {jobs}', head, rows)}"


if __name__ == "__main__":
    print(main())
