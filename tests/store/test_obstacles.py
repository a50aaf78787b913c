"""Why a job that is QUEUED is not started, where it waits for something else than its turn."""

import pytest

from rescind import limits
from rescind.lifecycle import Status
from rescind.model import EVERY_JOB, Obstacle, Registration
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from store.harness import metadata, new_job, place, submit

UNKNOWN = Obstacle(None, "No worker that is alive knows this job.")
LARGE = 'No node is large enough: it "asks" for 64 \N{MULTIPLICATION SIGN} 8.'


def worker(name: str, **obstacles: str) -> Registration:
    return Registration(id=name, host="h", pid=1, slots=2, obstacles=obstacles)


def obstacles(store: Store, job_id: int) -> list[Obstacle]:
    details = store.details(job_id)
    assert details is not None
    return details.obstacles


def test_what_workers_that_are_alive_say_is_told(store: Store) -> None:
    known, other = metadata(), metadata()
    job_id = submit(store, new_job(metadata=known))
    for one in (worker("w-0", **{known.name: LARGE, other.name: "another"}), worker("w-1")):
        store.lease(one.id)
        assert store.register(one, [known, other]) == []
    assert obstacles(store, job_id) == [Obstacle("w-0", LARGE)]
    assert [one.obstacles.get(known.name) for one in store.workers()] == [LARGE, None]
    store.heartbeat(worker("w-0"), [known, other])
    store.heartbeat(worker("w-1", **{known.name: "later"}), [known, other])
    assert obstacles(store, job_id) == [Obstacle("w-1", "later")]
    store.unregister("w-1")
    assert obstacles(store, job_id) == []


def test_what_keeps_a_worker_from_starting_anything_is_told_of_all_that_it_knows(
    store: Store,
) -> None:
    large, other = metadata(), metadata()
    ids = [submit(store, new_job(metadata=known)) for known in (large, other)]
    store.lease("w-0")
    said = {large.name: LARGE, EVERY_JOB: "broken", other.name: "broken"}
    store.register(worker("w-0", **said), [large, other])
    assert obstacles(store, ids[0]) == [Obstacle("w-0", LARGE)]
    assert obstacles(store, ids[1]) == [Obstacle("w-0", "broken", is_general=True)]
    stranger = submit(store)
    assert obstacles(store, stranger) == [UNKNOWN], "it knows no such job"


def test_a_worker_that_is_lost_says_nothing(store: Store) -> None:
    known = metadata()
    job_id = submit(store, new_job(metadata=known))
    store.register(worker("w-0", **{known.name: LARGE}), [known])  # it has no lease
    assert obstacles(store, job_id) == (
        [] if isinstance(store, PostgresStore) else [Obstacle("w-0", LARGE)]
    )


def test_a_name_that_nobody_has_said_lately_is_unknown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = metadata()
    job_id = submit(store, new_job(metadata=known))
    assert obstacles(store, job_id) == [UNKNOWN]
    store.register(worker("w-0"), [known])
    assert obstacles(store, job_id) == []
    monkeypatch.setattr(limits, "NAME_KNOWN_SECONDS", 0)
    assert obstacles(store, job_id) == [UNKNOWN]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.QUEUED}))
def test_nothing_keeps_a_job_that_is_not_queued(store: Store, status: Status) -> None:
    assert obstacles(store, place(store, status)) == []
