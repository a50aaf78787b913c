"""What is kept for a time is deleted after it, and nothing else."""

from collections.abc import Callable

from rescind.lifecycle import FINAL, Status
from rescind.model import JobFilter
from rescind.runtime.pruner import Pruner
from rescind.store.protocol import Store
from store import harness

LONG_AGO = 0.0
"""Whatever has finished, has finished so long ago."""


def test_finished_jobs_go_with_their_events_and_logs_and_others_stay(store: Store) -> None:
    ids = harness.place_all(store)
    logged = harness.submit(store)
    assert harness.claim(store, logged)
    harness.log(store, logged, "2026-11-24T03:00:00.000Z one\n")
    assert harness.finish(store, logged)
    assert store.prune_jobs(age_seconds=3600, limit=100) == 0
    assert harness.eventually(lambda: store.prune_jobs(age_seconds=LONG_AGO, limit=100) > 0)
    for status, job_id in ids.items():
        assert (store.job(job_id) is None) == (status in FINAL)
        assert bool(store.events(job_id)) == (status not in FINAL)
    assert (store.job(logged), store.events(logged), store.log(logged)) == (None, [], [])


def test_a_batch_is_the_oldest_and_no_larger_than_asked(store: Store) -> None:
    ids = [harness.place(store, Status.SUCCESS) for _ in range(3)]
    assert store.prune_jobs(age_seconds=LONG_AGO, limit=2) == 2
    left = store.histories(JobFilter(), limit=10, offset=0, owner=None)
    assert [job.id for job in left.jobs] == [ids[2]]


def test_a_pruned_id_is_never_given_out_again(
    make_store: Callable[[], Store], store: Store
) -> None:
    ids = [harness.place(store, Status.SUCCESS) for _ in range(3)]
    assert store.prune_jobs(age_seconds=LONG_AGO, limit=10) == 3
    assert harness.submit(store) == ids[-1] + 1
    another = make_store()
    assert harness.submit(another) == ids[-1] + 2


def test_sessions_go_when_they_are_over_in_any_case(store: Store) -> None:
    store.open_session(2, b"\x01" * 32, password_hash="hash")
    assert store.prune_sessions(age_seconds=3600, limit=5) == 0
    assert harness.eventually(lambda: store.prune_sessions(age_seconds=0, limit=5) == 1)
    assert store.session(b"\x01" * 32, inactive_seconds=60) is None


def test_the_pruner_keeps_what_is_young_and_comes_back_soon_while_there_is_more(
    store: Store,
) -> None:
    job_id = harness.place(store, Status.SUCCESS)
    assert Pruner(store, retention_days=1).step() == 60
    assert store.job(job_id) is not None
    for _ in range(50):
        harness.place(store, Status.SUCCESS)
    pruner = Pruner(store, retention_days=0)
    assert pruner.step() < 1
    assert pruner.step() == 60
    assert store.histories(JobFilter(), limit=1, offset=0, owner=None).total == 0
