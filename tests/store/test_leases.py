"""Leases: what keeps them, what ends them, and who may write afterwards. On PostgreSQL they end by
the database's clock; on SQLite when the next owner of the file says so.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from rescind.clock import SystemClock
from rescind.lifecycle import Evidence, Status
from rescind.model import Actor, LogChunk, Registration, RunEnd, RunProgress, RunRef, RunRelease
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness
from store.harness import SYSTEM, WORKER, new_job, place, row

LEASE_SECONDS = 1.5
OTHER = Actor(by="worker-2")


@pytest.fixture
def brief(store: Store, request: pytest.FixtureRequest) -> Iterator[Store]:
    """The same store, giving leases that soon are over."""
    if isinstance(store, SqliteStore):
        yield store
        return
    url: str = request.getfixturevalue("postgres_url")
    other = PostgresStore(url, lease_seconds=LEASE_SECONDS)
    yield other
    other.close()


def lapse(store: Store, job_id: int) -> None:
    """Wait until the lease under which a job was claimed is over."""
    if isinstance(store, SqliteStore):
        store.take_over([])
    started_at = row(store, job_id).started_at
    assert started_at is not None
    ends_at = started_at + timedelta(seconds=LEASE_SECONDS)
    assert isinstance(store, SqliteStore) or harness.eventually(lambda: store.now() >= ends_at)


def test_a_lease_that_is_renewed_does_not_end(brief: Store) -> None:
    job_id = place(brief, Status.RUNNING)
    end = monotonic() + 2 * LEASE_SECONDS
    while monotonic() < end:
        assert brief.renew(WORKER.by)
        assert harness.rescued(brief) == []
    assert row(brief, job_id).status is Status.RUNNING


@pytest.fixture
def leases(postgres_url: str) -> Iterator[PostgresStore]:
    """Where leases end by themselves."""
    store = PostgresStore(postgres_url, lease_seconds=LEASE_SECONDS)
    store.add_user("ada", "hash", frozenset())
    yield store
    store.close()


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[SqliteStore]:
    """Where they last as long as the owner of the file."""
    migrate(tmp_path / "rescind.db")
    store = SqliteStore(tmp_path / "rescind.db", SystemClock())
    store.add_user("ada", "hash", frozenset())
    yield store
    store.close()


def test_a_lease_that_is_over_cannot_be_renewed_even_if_nobody_ended_it(
    leases: PostgresStore,
) -> None:
    job_id = place(leases, Status.RUNNING)
    lapse(leases, job_id)
    assert not leases.renew(WORKER.by)
    assert leases.end_leases() == [WORKER.by]
    assert leases.end_leases() == []
    assert harness.rescued(leases) == [job_id]


def test_what_it_held_is_taken_only_when_the_lease_was_ended(leases: PostgresStore) -> None:
    """One conditional write decides between the worker and who takes its jobs."""
    running, cancelled = place(leases, Status.RUNNING), place(leases, Status.CANCELLING)
    lapse(leases, cancelled)
    assert leases.rescue(SYSTEM, limit=9) == []
    assert leases.settle(SYSTEM, limit=9) == []
    assert leases.end_leases() == [WORKER.by]
    assert [job.id for job in leases.rescue(SYSTEM, limit=9)] == [running]
    assert leases.settle(SYSTEM, limit=9) == [cancelled]


def test_who_has_no_lease_claims_nothing(leases: PostgresStore) -> None:
    job_id = harness.submit(leases)
    name = row(leases, job_id).job_metadata
    assert leases.claim(OTHER, names=[name], limit=9) == []
    leases.lease(OTHER.by)
    assert harness.eventually(lambda: leases.end_leases() == [OTHER.by])
    assert leases.claim(OTHER, names=[name], limit=9) == []
    assert harness.claim(leases, job_id, OTHER)


def test_somebody_who_holds_jobs_does_not_hold_up_their_workers_lease(
    leases: PostgresStore, postgres_url: str
) -> None:
    job_id = place(leases, Status.RUNNING)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT FROM job WHERE id = %s FOR UPDATE", [job_id])
        end = monotonic() + 2 * LEASE_SECONDS
        while monotonic() < end:
            assert leases.renew(WORKER.by)
            assert harness.rescued(leases) == []
            harness.log(leases, job_id, "is not waited for\n")
            run = RunProgress(run=RunRef(job_id, 1), done=1, total=2)
            assert leases.write_progress(WORKER.by, [run]) == set()
    assert len(leases.log(job_id)) > 1


def test_a_worker_of_the_version_before_keeps_its_jobs_by_their_rows(
    leases: PostgresStore, postgres_url: str
) -> None:
    """It writes no lease but that on the row; it is lost when that is over, and it has no other."""
    running, cancelled = place(leases, Status.RUNNING), place(leases, Status.CANCELLING)
    old = (
        "UPDATE job SET worker = 'old', lease_expires_at = moment() + CAST(%s AS interval)"
        " WHERE id = ANY(%s)"
    )
    with psycopg.connect(postgres_url, autocommit=True) as program:
        program.execute(old, ["1 hour", [running, cancelled]])
        assert harness.rescued(leases) == leases.settle(SYSTEM, limit=9) == []
        program.execute(old, ["-1 second", [running, cancelled]])
        leases.lease("old")
        assert harness.rescued(leases) == leases.settle(SYSTEM, limit=9) == []
        program.execute("DELETE FROM worker_lease")
        assert harness.rescued(leases) == [running]
        assert leases.settle(SYSTEM, limit=9) == [cancelled]


def test_a_drain_says_nothing_of_the_run_of_a_worker_of_the_version_before(
    leases: PostgresStore, postgres_url: str
) -> None:
    """Its claim does not know that column."""
    metadata = harness.metadata(idempotent=True)
    job_id = place(leases, Status.RUNNING, harness.new_job(metadata=metadata))
    given = RunRelease(run=RunRef(job_id, 1), evidence=Evidence.STOPPED_ITSELF, drained=True)
    assert leases.release(WORKER.by, [given])
    assert harness.rescued(leases) == [job_id]
    claim = (
        "UPDATE job SET status = 'RUNNING', worker = 'old', started_at = moment(),"
        " attempt = attempt + 1, lease_expires_at = 'epoch', evidence = NULL WHERE id = %s"
    )
    with psycopg.connect(postgres_url, autocommit=True) as program:
        program.execute(claim, [job_id])
    assert harness.rescued(leases) == [job_id]
    assert row(leases, job_id).failures == 1
    assert "lost" in (row(leases, job_id).error or "")


def test_programs_of_the_version_before_leave_the_jobs_of_a_worker_alone(
    leases: PostgresStore, postgres_url: str
) -> None:
    place(leases, Status.RUNNING)
    with psycopg.connect(postgres_url, autocommit=True) as program:
        over = "SELECT id FROM job WHERE worker IS NOT NULL AND lease_expires_at <= moment()"
        assert program.execute(over).fetchall() == []
        [wait] = program.execute("SELECT min(lease_expires_at) - moment() FROM job").fetchall()
        assert wait[0] > timedelta(days=365)


def test_a_worker_that_ends_and_holds_nothing_leaves_no_lease(leases: PostgresStore) -> None:
    job_id = place(leases, Status.RUNNING)
    leases.unregister(WORKER.by)
    assert leases.renew(WORKER.by), "what it holds may still run"
    assert harness.release(leases, job_id)
    leases.unregister(WORKER.by)
    assert not leases.renew(WORKER.by)
    assert leases.end_leases() == []


def test_a_new_owner_takes_over_what_goes_on_no_longer(owned: SqliteStore) -> None:
    store = owned
    ended, going, settles = (
        place(store, Status.RUNNING),
        place(store, Status.RUNNING),
        place(store, Status.CANCELLING),
    )
    store.take_over([RunRef(going, 1), RunRef(ended, 2)])
    assert harness.rescued(store) == [ended]
    assert store.settle(SYSTEM, limit=9) == [settles]
    assert row(store, going).status is Status.RUNNING
    store.end_runs([RunRef(going, 2)])
    assert harness.rescued(store) == []
    store.end_runs([RunRef(going, 1)])
    assert harness.rescued(store) == [going]


def test_a_cancelled_job_of_a_lost_worker_settles_when_its_lease_is_over(brief: Store) -> None:
    job_id = place(brief, Status.CANCELLING)
    assert brief.settle(SYSTEM, limit=9) == []
    lapse(brief, job_id)
    brief.end_leases()
    assert brief.settle(SYSTEM, limit=9) == [job_id]
    job = row(brief, job_id)
    assert (job.status, job.evidence) == (Status.CANCELLED, Evidence.WORKER_LOST)


def test_the_rescuer_is_told_when_the_next_lease_ends(brief: Store) -> None:
    assert brief.next_lease_end() is None
    job_id = place(brief, Status.RUNNING)
    if isinstance(brief, PostgresStore):
        wait = brief.next_lease_end()
        assert wait is not None
        assert 0 < wait.total_seconds() <= LEASE_SECONDS
    lapse(brief, job_id)
    wait = brief.next_lease_end()
    assert wait is not None
    assert wait.total_seconds() <= 0


def test_who_lost_its_lease_writes_nothing(brief: Store) -> None:
    job_id = place(brief, Status.RUNNING, new_job(metadata=harness.metadata(idempotent=True)))
    lost = RunRef(job_id, 1)
    lapse(brief, job_id)
    assert harness.rescued(brief) == [job_id]
    assert harness.claim(brief, job_id, OTHER)
    before, events = row(brief, job_id), brief.events(job_id)

    assert not brief.may_enter(WORKER.by, [lost])
    brief.write_progress(WORKER.by, [RunProgress(run=lost, done=1, total=2)])
    brief.append_log(WORKER.by, [LogChunk(run=lost, text="too late\n")])
    assert not harness.release(brief, job_id)
    end = RunEnd(run=lost, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)
    assert brief.finish(WORKER, [end]) == set()
    assert brief.held(WORKER.by) == []
    assert (row(brief, job_id), brief.events(job_id)) == (before, events)
    assert "too late" not in str(brief.log(job_id))


def test_workers_are_known_while_they_live(make_store: Callable[[], Store]) -> None:
    store = make_store()
    ids = ("worker-a", "worker-b")
    for number, worker_id in enumerate(ids):
        store.register(Registration(id=worker_id, host="here", pid=number + 7, slots=3), [])
    assert [(worker.id, worker.pid, worker.slots) for worker in make_store().workers()] == [
        ("worker-a", 7, 3),
        ("worker-b", 8, 3),
    ]
    store.unregister("worker-a")
    [left] = store.workers()
    assert left.id == "worker-b"
    assert left.started_at <= left.seen_at <= store.now()
