"""What counts towards an end: failures of runs that were entered, and nothing else."""

from datetime import timedelta

import pytest

from rescind import limits
from rescind.lifecycle import Evidence, Status
from rescind.model import RunRelease
from rescind.store.protocol import Store
from store import harness
from store.harness import SYSTEM, WORKER, new_job, place, row

FAR_MORE = 3 * limits.LOSSES_MAX


def running(store: Store, **changes: object) -> int:
    return place(store, Status.RUNNING, new_job(metadata=harness.metadata(**changes)))


def again(store: Store, job_id: int) -> bool:
    """Rescue it, and claim it again if it may be; whether so."""
    assert harness.rescued(store) == [job_id]
    if row(store, job_id).status is not Status.QUEUED:
        return False
    assert harness.claim(store, job_id)
    return True


def lose(store: Store, job_id: int) -> bool:
    """Lose its worker; whether it was started again."""
    assert harness.release(store, job_id, Evidence.KILLED)
    return again(store, job_id)


def drain(store: Store, job_id: int, evidence: Evidence = Evidence.STOPPED_ITSELF) -> bool:
    given = RunRelease(run=harness.run_of(store, job_id), evidence=evidence, drained=True)
    assert store.release(WORKER.by, [given]) == {job_id}
    return again(store, job_id)


def retry(store: Store, job_id: int) -> None:
    assert harness.retry(store, job_id)
    assert store.stage(SYSTEM, limit=9) == [job_id]
    assert harness.claim(store, job_id)


def test_an_idempotent_job_that_loses_its_workers_ends(store: Store) -> None:
    job_id = running(store, idempotent=True)
    starts = 1
    while lose(store, job_id):
        starts += 1
        assert f"failure {starts - 1} of {limits.LOSSES_MAX}" in str(store.events(job_id)[-2].error)
    assert starts == limits.LOSSES_MAX
    job = row(store, job_id)
    assert job.status is Status.ERRORS_ENCOUNTERED
    assert "it is not started again" in (job.error or "")


@pytest.mark.parametrize("idempotent", [True, False])
def test_attempts_that_are_left_are_used_whatever_the_failure(
    store: Store, idempotent: bool
) -> None:
    job_id = running(store, idempotent=idempotent, attempts_max=3)
    retry(store, job_id)
    assert lose(store, job_id)
    assert not lose(store, job_id)
    assert row(store, job_id).status is Status.ERRORS_ENCOUNTERED
    assert row(store, job_id).failures == 3


def test_a_job_that_is_neither_is_started_once(store: Store) -> None:
    assert not lose(store, running(store))


@pytest.mark.parametrize("changes", [{"idempotent": True}, {"attempts_max": 2}])
def test_drains_cost_nothing(store: Store, changes: dict[str, object]) -> None:
    job_id = running(store, **changes)
    for _ in range(FAR_MORE):
        assert drain(store, job_id)
    job = row(store, job_id)
    assert (job.failures, job.attempt) == (0, FAR_MORE + 1)
    assert "told to stop" in str(store.events(job_id)[-2].error)


def test_what_a_deploy_stopped_and_may_not_be_started_again_says_so(store: Store) -> None:
    job_id = running(store)
    assert not drain(store, job_id)
    job = row(store, job_id)
    assert job.status is Status.ERRORS_ENCOUNTERED
    assert "deploy" in (job.error or "")
    assert "not idempotent" in (job.error or "")


@pytest.mark.parametrize("drained", [True, False])
def test_what_was_not_entered_costs_nothing(store: Store, drained: bool) -> None:
    job_id = running(store)
    for _ in range(FAR_MORE):
        if drained:
            assert drain(store, job_id, Evidence.NEVER_STARTED)
        else:
            assert harness.release(store, job_id, Evidence.NEVER_STARTED)
            assert again(store, job_id)
    assert row(store, job_id).failures == 0


def test_a_drain_of_one_run_is_not_that_of_the_next(store: Store) -> None:
    job_id = running(store, idempotent=True)
    assert drain(store, job_id)
    assert lose(store, job_id)
    assert row(store, job_id).failures == 1


def test_a_job_follows_its_name_to_another_module(store: Store) -> None:
    metadata = harness.metadata()
    job_id = harness.submit(store, new_job(metadata=metadata))
    store.lease(WORKER.by)
    assert store.claim(WORKER, names=["another__c"], limit=9) == []
    [job] = store.claim(WORKER, names=[metadata.name], limit=9)
    assert (job.id, job.processor) == (job_id, metadata.processor)


def test_a_job_whose_name_is_known_is_not_given_up(store: Store) -> None:
    """Nor one whose processor is, of a worker of the version before, which knows no names."""
    moved = harness.metadata()
    harness.register(store, harness.metadata(name=moved.name))
    old = harness.metadata()
    harness.register(store, harness.metadata(processor=old.processor))
    unknown = harness.metadata()
    past = store.now() - timedelta(seconds=100)
    for metadata in (moved, old, unknown):
        harness.submit(store, new_job(metadata=metadata, run_at=past))
    assert store.fail(SYSTEM, unknown_seconds=3600, limit=9) == []
    failed = store.fail(SYSTEM, unknown_seconds=60, limit=9)
    assert [job.job_metadata for job in failed] == [unknown.name]
    assert unknown.name in (failed[0].error or "")


def test_a_heartbeat_declares_nothing(store: Store) -> None:
    """In a rolling deploy old and new workers live side by side: who started last has said it."""
    old = harness.metadata(grace_seconds=1.0)
    new = harness.metadata(name=old.name, grace_seconds=2.0)
    harness.register(store, old)
    harness.register(store, new)
    store.heartbeat(harness.registration(), [old])
    assert store.metadata([old.name]) == {old.name: new}
