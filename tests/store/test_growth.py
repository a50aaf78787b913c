"""What the loops, a claim and a cancel read does not grow with the store: their batch, by an index.

``GROWTH_JOBS`` says how many jobs there are.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import apsw
import psycopg
import pytest

from full import fill_postgres, fill_sqlite
from postgres import Server
from rescind.clock import SystemClock
from rescind.engines.inline import InlineEngine
from rescind.lifecycle import Evidence, Status
from rescind.model import Actor, Job, Registration, RunEnd, RunRef, RunRelease
from rescind.runtime.canceller import Canceller
from rescind.runtime.loop import Loop
from rescind.runtime.operator import Operator
from rescind.runtime.pruner import Pruner
from rescind.runtime.rescuer import Rescuer
from rescind.runtime.scheduler import Scheduler
from rescind.runtime.stopper import Stopper
from rescind.service.operations import rights
from rescind.service.policy import Profile
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store.harness import SYSTEM, USER, WORKER, metadata, new_job, submit_all

JOBS = int(os.environ.get("GROWTH_JOBS", "50000"))
QUEUED, FAILING = (6, 7, 8), 49
"""Numbers of job metadata some of whose jobs are queued; of one that no worker knows."""
EXPORTS = "status = 'QUEUED' AND job_metadata LIKE 'export%'"
READS_MAX = 400
"""Rows, or steps of SQLite by ten, that a look may take that finds nothing."""
READS_PER_JOB_MAX = 60
"""The same, for each job that is moved: it, its events, and what several indexes know of it."""


class Counted(Protocol):
    """A full store, and what it reads."""

    @property
    def store(self) -> Store: ...

    def reads(self, act: Callable[[], object]) -> int:
        """How many rows, or steps by ten, ``act`` reads."""
        ...

    def make_late(self) -> None:
        """Let everything that is queued have been due for long."""
        ...


class Sqlite:
    """Counts the steps of SQLite's machine; a row that is looked at takes several."""

    STEPS = 10

    def __init__(self, path: Path) -> None:
        migrate(path)
        fill_sqlite(str(path), JOBS * 4 // 5, JOBS // 5)
        self._sqlite = SqliteStore(path, SystemClock())
        self.store: Store = self._sqlite
        self._steps = 0
        connect = self._sqlite._database._connect

        def connected() -> apsw.Connection:
            connection = connect()
            connection.set_progress_handler(self._count, self.STEPS)
            return connection

        self._sqlite._database._connect = connected  # type: ignore[method-assign]  # it counts
        self._sqlite._database._writer.set_progress_handler(self._count, self.STEPS)

    def _count(self) -> bool:
        self._steps += 1
        return False

    def reads(self, act: Callable[[], object]) -> int:
        self._steps = 0
        act()
        return self._steps

    def make_late(self) -> None:
        with self._sqlite._database.write() as connection:
            connection.execute(
                "UPDATE job SET run_at = 0 WHERE status = 'QUEUED' AND job_metadata LIKE 'export%'"
            )

    def close(self) -> None:
        self.store.close()


class Postgres:
    """Counts what tables and indexes say was read of them."""

    def __init__(
        self, url: str, finished: int = JOBS * 4 // 5, unfinished: int = JOBS // 5
    ) -> None:
        self._url = url
        fill_postgres(url, finished, unfinished)
        self._postgres = PostgresStore(url)
        self.store: Store = self._postgres

    def _read(self) -> int:
        with self._postgres._database.statement() as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
        with psycopg.connect(self._url, autocommit=True) as other:
            found = other.execute(
                "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)"
                " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
            ).fetchone()
        assert found is not None
        return int(found[0])

    def reads(self, act: Callable[[], object]) -> int:
        before = self._read()
        act()
        return self._read() - before

    def execute(self, text: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as other:
            other.execute(text.encode())
            # What it has read is counted now, not when its process has ended, some time later.
            other.execute("SELECT pg_stat_force_next_flush()")

    def make_late(self) -> None:
        self.execute(f"UPDATE job SET run_at = 'epoch' WHERE {EXPORTS}")
        self.execute("VACUUM ANALYZE job")

    def close(self) -> None:
        self.store.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def full(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Counted]:
    if request.param == "sqlite":
        counted = Sqlite(tmp_path_factory.mktemp("full") / "rescind.db")
        yield counted
        counted.close()
        return
    server: Server = request.getfixturevalue("postgres_server")
    with server.database() as url:
        other = Postgres(url)
        yield other
        other.close()


def test_a_loop_that_finds_nothing_reads_next_to_nothing(full: Counted) -> None:
    store = full.store
    registration = Registration(id=WORKER.by, host="here", pid=7, slots=2)
    known = [metadata(name=f"export_{number}__c") for number in range(FAILING)]
    store.register(registration, known)
    engine = InlineEngine([], clock=SystemClock())
    loops: list[Loop] = [
        Scheduler(store, SystemClock()),
        Rescuer(store),
        Canceller(store),
        Stopper(store, engine, worker_id=WORKER.by),
        Pruner(store, retention_days=3650),
        Operator(store, rights(Profile.OPEN)),
    ]
    for loop in loops:
        assert full.reads(loop.step) <= READS_MAX, loop.name
    looks: dict[str, Callable[[], object]] = {
        "held": lambda: store.held(WORKER.by),
        "may enter": lambda: store.may_enter(WORKER.by, [RunRef(1, 1)]),
        "a claim of others' names": lambda: store.claim(WORKER, names=["other__c"], limit=2),
        "fail": lambda: store.fail(SYSTEM, unknown_seconds=60, limit=500),
        "heartbeat": lambda: store.heartbeat(registration, known),
        "prune": lambda: store.prune_jobs(age_seconds=90 * 86_400, limit=500),
        "what a user submitted": lambda: store.latest_jobs(limit=20, below=2**62, owner=7),
    }
    for name, look in looks.items():
        assert full.reads(look) <= READS_MAX, name


def test_a_move_reads_what_it_moves(full: Counted) -> None:
    store, batch = full.store, 100
    kind = metadata()

    def moved(expected: int, act: Callable[[], int]) -> None:
        reads = full.reads(lambda: found.append(act()))
        assert found.pop() == expected
        assert reads <= READS_MAX + READS_PER_JOB_MAX * expected, act

    found: list[int] = []
    ids = submit_all(store, [new_job(metadata=kind) for _ in range(5 * batch)])
    random = [id_ for id_ in ids if id_ % 7 != 3][: 2 * batch]
    store.lease(WORKER.by)
    moved(
        len(random),
        lambda: sum(
            verdict.landed
            for verdict in store.cancel(random, USER, running_allowed=True, owner=None).values()
        ),
    )
    moved(batch, lambda: len(store.settle(SYSTEM, limit=batch)))
    moved(4, lambda: len(store.claim(WORKER, names=[kind.name], limit=4)))
    ends = [
        RunEnd(run=run, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)
        for run in store.held(WORKER.by)
    ]
    moved(4, lambda: len(store.turn(WORKER, ends, names=[kind.name], limit=4).claimed))
    given = [RunRelease(run=run, evidence=Evidence.KILLED) for run in store.held(WORKER.by)]
    moved(4, lambda: len(store.release(WORKER.by, given)))
    moved(4, lambda: len(store.rescue(SYSTEM, limit=batch)))


def test_a_claim_reads_its_own_queues_alone(full: Counted) -> None:
    """Behind others' jobs of every priority, and where somebody holds the first of its own."""
    store = full.store
    names = [f"export_{number}__c" for number in QUEUED]
    worker = Actor(by="worker-3")
    store.lease(worker.by)
    read = full.reads(lambda: store.claim(worker, names=names, limit=2))
    assert read <= READS_MAX + 2 * READS_PER_JOB_MAX
    held = store.held(worker.by)
    assert len(held) == 2


def test_fail_reads_the_jobs_of_unknown_names_alone(full: Counted) -> None:
    store, batch = full.store, 50
    full.make_late()
    known = [metadata(name=f"export_{number}__c") for number in range(FAILING)]
    store.register(Registration(id=WORKER.by, host="here", pid=7, slots=2), known)
    failed: list[Job] = []

    def fail() -> list[Job]:
        failed[:] = store.fail(SYSTEM, unknown_seconds=3600, limit=batch)
        return failed

    assert full.reads(fail) <= READS_MAX + 2 * READS_PER_JOB_MAX * batch
    assert len(failed) == batch
    assert {job.job_metadata for job in failed} == {f"export_{FAILING}__c"}
    while fail():
        pass


@pytest.fixture
def surprised(postgres_server: Server) -> Iterator[Postgres]:
    """A database that was looked at when it had jobs, but none that waits or stops."""
    with postgres_server.database() as url:
        counted = Postgres(url, finished=2000, unfinished=0)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("VACUUM ANALYZE")
        yield counted
        counted.close()


Moving = Callable[[Store, list[int], int], int]
WAITING = "run_at = now() - interval '1 minute'"
MOVING: dict[str, tuple[str, Moving]] = {
    "stage": (
        f"status = 'SCHEDULED', queued_at = NULL, {WAITING}",
        lambda store, _, limit: len(store.stage(SYSTEM, limit=limit)),
    ),
    "queue": (
        f"status = 'QUEUEING', queued_at = NULL, held_until = created_at, {WAITING}",
        lambda store, _, limit: len(store.queue(SYSTEM, limit=limit)),
    ),
    "claim": (
        WAITING,
        lambda store, _, limit: len(store.claim(WORKER, names=["export_1__c"], limit=limit)),
    ),
    "settle": (
        "status = 'CANCELLING'",
        lambda store, _, limit: len(store.settle(SYSTEM, limit=limit)),
    ),
    "miss": (
        f"status = 'SCHEDULED', queued_at = NULL, {WAITING}",
        lambda store, ids, limit: len(store.miss(ids[:limit], SYSTEM)),
    ),
    "fail": (
        WAITING,
        lambda store, _, limit: len(store.fail(SYSTEM, unknown_seconds=1, limit=limit)),
    ),
    "cancel": (
        WAITING,
        lambda store, ids, limit: len(
            store.cancel(ids[:limit], USER, running_allowed=True, owner=None)
        ),
    ),
    "rerun": (
        "status = 'SUCCESS', finished_at = now()",
        lambda store, ids, limit: len(store.rerun(ids[:limit], USER, undo=False, owner=None)),
    ),
}
"""Each move out of what there may be a million of, what makes jobs its sources, and how it is
made.
"""


@pytest.mark.parametrize("move", MOVING)
def test_a_move_reads_what_it_moves_whatever_the_statistics_say(
    surprised: Postgres, move: str
) -> None:
    """A plan that loops over all jobs in a status is cheap where there were none at the time."""
    store, (placed, moving) = surprised.store, MOVING[move]
    kind = metadata(name="export_1__c")
    store.register(Registration(id=WORKER.by, host="here", pid=7, slots=2), [kind])
    store.lease(WORKER.by)
    ids = [id_ for _ in range(8) for id_ in submit_all(store, [new_job(metadata=kind)] * 500)]
    surprised.execute("ALTER TABLE job DISABLE TRIGGER job_moves")
    surprised.execute(f"UPDATE job SET {placed} WHERE finished_at IS NULL")
    surprised.execute(
        "UPDATE processor SET seen_at = 'epoch'; UPDATE known_job SET seen_at = 'epoch'"
    )
    moved: list[int] = []
    reads = surprised.reads(lambda: moved.append(moving(store, ids, 50)))
    assert moved == [50]
    assert reads <= READS_MAX + READS_PER_JOB_MAX * 50
