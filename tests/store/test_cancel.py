"""Cancel and settle: who may, what lands, in which order, and with what evidence."""

import pytest

from rescind.lifecycle import CANCELLABLE, FINAL, Evidence, Status
from rescind.model import Actor, Verdict
from rescind.store.protocol import Store
from store import harness
from store.harness import SYSTEM, USER, WORKER, new_job, place, row, scheduled, submit, submit_all


def cancel(store: Store, *ids: int) -> dict[int, Verdict]:
    return store.cancel(ids, USER, running_allowed=True, owner=None)


@pytest.mark.parametrize("status", sorted(CANCELLABLE - {Status.SCHEDULED}))
def test_a_job_is_cancelled_only_where_its_row_permits(store: Store, status: Status) -> None:
    permits = new_job(metadata=harness.metadata(cancellable_in=frozenset({status})))
    forbids = new_job(
        metadata=harness.metadata(cancellable_in=CANCELLABLE - {status, Status.SCHEDULED})
    )
    yes, no = place(store, status, permits), place(store, status, forbids)
    assert cancel(store, yes, no) == {
        yes: Verdict(True, Status.CANCELLING),
        no: Verdict(False, status),
    }


def test_a_scheduled_job_can_always_be_cancelled(store: Store) -> None:
    job_id = scheduled(store, metadata=harness.metadata(cancellable_in=frozenset()))
    assert cancel(store, job_id) == {job_id: Verdict(True, Status.CANCELLING)}


def test_a_running_job_is_not_cancelled_where_the_profile_forbids_it(store: Store) -> None:
    running, queued = place(store, Status.RUNNING), place(store, Status.QUEUED)
    verdicts = store.cancel([running, queued], USER, running_allowed=False, owner=None)
    assert verdicts == {
        running: Verdict(False, Status.RUNNING),
        queued: Verdict(True, Status.CANCELLING),
    }


def test_a_job_of_another_owner_answers_like_one_that_does_not_exist(store: Store) -> None:
    mine = submit(store)
    [theirs] = submit_all(store, [new_job()], Actor(user_id=1, by="user"))
    verdicts = store.cancel([mine, theirs, 99], USER, running_allowed=True, owner=2)
    assert verdicts == {mine: Verdict(True, Status.CANCELLING)}
    assert row(store, theirs).status is Status.QUEUED


def test_500_ids_in_any_order_with_repeats_get_one_verdict_each(store: Store) -> None:
    ids = submit_all(store, [new_job() for _ in range(250)], USER)
    asked = [*reversed(ids), *ids]
    assert cancel(store, *asked) == {job_id: Verdict(True, Status.CANCELLING) for job_id in ids}
    for job_id in ids:
        assert [event.move for event in store.events(job_id)] == ["submit", "cancel"]


def test_cancelling_again_changes_nothing(store: Store) -> None:
    job_id = place(store, Status.CANCELLING)
    before, events = row(store, job_id), store.events(job_id)
    assert cancel(store, job_id) == {job_id: Verdict(False, Status.CANCELLING)}
    assert (row(store, job_id), store.events(job_id)) == (before, events)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_cancelling_a_finished_job_says_how_it_finished(store: Store, status: Status) -> None:
    job_id = place(store, status)
    assert cancel(store, job_id) == {job_id: Verdict(False, status)}


def test_no_ids_and_the_largest_id_are_answered(store: Store) -> None:
    assert cancel(store) == {}
    assert cancel(store, 2**63 - 1) == {}


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SCHEDULED])
def test_what_never_ran_settles_at_once_as_never_started(store: Store, status: Status) -> None:
    job_id = submit(store) if status is Status.QUEUED else scheduled(store)
    assert cancel(store, job_id)[job_id].landed
    assert store.settle(SYSTEM, limit=9) == [job_id]
    job = row(store, job_id)
    assert (job.status, job.evidence) == (Status.CANCELLED, Evidence.NEVER_STARTED)
    assert (job.started_at, job.worker) == (None, None)
    assert harness.last_event(store, job_id).evidence is Evidence.NEVER_STARTED


def test_what_was_running_settles_only_when_it_has_stopped(store: Store) -> None:
    job_id = place(store, Status.CANCELLING)
    assert store.settle(SYSTEM, limit=9) == []
    assert row(store, job_id).worker == WORKER.by
    assert harness.release(store, job_id, Evidence.TERMINATED)
    assert store.settle(SYSTEM, limit=9) == [job_id]
    assert row(store, job_id).evidence is Evidence.TERMINATED


def test_a_job_cancelled_between_two_attempts_keeps_the_evidence_of_the_last(
    store: Store,
) -> None:
    job_id = place(store, Status.SCHEDULED)
    assert harness.cancel(store, job_id)
    assert store.settle(SYSTEM, limit=9) == [job_id]
    assert row(store, job_id).evidence is Evidence.STOPPED_ITSELF


def test_a_worker_is_told_of_its_own_cancelled_runs_until_they_have_stopped(store: Store) -> None:
    job_id = place(store, Status.CANCELLING)
    run = harness.run_of(store, job_id)
    assert store.stops_wanted(WORKER.by) == [run]
    assert store.stops_wanted("worker-2") == []
    assert harness.release(store, job_id)
    assert store.stops_wanted(WORKER.by) == []


def test_a_function_may_be_entered_only_while_its_run_is_running(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    run = harness.run_of(store, job_id)
    assert store.may_enter(WORKER.by, [run]) == {run}
    assert not store.may_enter("worker-2", [run])
    assert harness.cancel(store, job_id)
    assert not store.may_enter(WORKER.by, [run])
