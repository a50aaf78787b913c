"""Leases: what keeps them, what ends them, and who may write afterwards. On PostgreSQL they end by
the database's clock; on SQLite when the next owner of the file says so.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic

import pytest

from rescind.lifecycle import Evidence, Status
from rescind.model import Actor, LogChunk, Registration, RunEnd, RunProgress, RunRef
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.store import SqliteStore
from store import harness
from store.harness import SYSTEM, WORKER, new_job, place, row

LEASE_SECONDS = 0.4
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
    """Wait until the lease of a job is over."""
    if isinstance(store, SqliteStore):
        store.end_leases()

    started_at = row(store, job_id).started_at
    assert started_at is not None
    ends_at = started_at + timedelta(seconds=LEASE_SECONDS)
    assert isinstance(store, SqliteStore) or harness.eventually(lambda: store.now() >= ends_at)


def test_a_lease_that_is_renewed_does_not_end(brief: Store) -> None:
    job_id = place(brief, Status.RUNNING)
    end = monotonic() + 2 * LEASE_SECONDS
    while monotonic() < end:
        assert brief.renew(WORKER.by) == [RunRef(job_id, 1)]
        assert brief.rescue(SYSTEM, limit=9) == []
    assert row(brief, job_id).status is Status.RUNNING


def test_a_lease_that_is_over_cannot_be_renewed_even_if_nobody_took_the_job(brief: Store) -> None:
    job_id = place(brief, Status.RUNNING)
    lapse(brief, job_id)
    assert brief.renew(WORKER.by) == []
    assert brief.rescue(SYSTEM, limit=9) == [job_id]


def test_what_was_given_back_is_not_renewed(brief: Store) -> None:
    job_id = place(brief, Status.CANCELLING)
    assert harness.release(brief, job_id)
    assert brief.renew(WORKER.by) == []
    assert brief.settle(SYSTEM, limit=9) == [job_id]


def test_only_its_worker_renews_a_lease(brief: Store) -> None:
    place(brief, Status.RUNNING)
    assert brief.renew(OTHER.by) == []


def test_a_cancelled_job_of_a_lost_worker_settles_when_its_lease_is_over(brief: Store) -> None:
    job_id = place(brief, Status.CANCELLING)
    assert brief.settle(SYSTEM, limit=9) == []
    lapse(brief, job_id)
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
    assert brief.rescue(SYSTEM, limit=9) == [job_id]
    assert harness.claim(brief, job_id, OTHER)
    before, events = row(brief, job_id), brief.events(job_id)

    assert not brief.may_enter(WORKER.by, lost)
    brief.write_progress(WORKER.by, [RunProgress(run=lost, done=1, total=2)])
    brief.append_log(WORKER.by, [LogChunk(run=lost, text="too late\n")])
    assert not harness.release(brief, job_id)
    end = RunEnd(run=lost, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)
    assert brief.finish(WORKER, [end]) == set()
    assert brief.renew(WORKER.by) == []
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
