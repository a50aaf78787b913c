"""Jobs are submitted anew; cancels of what had not started are taken back, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from msgspec.structs import replace

from rescind.lifecycle import FINAL, WAITING, Evidence, Status
from rescind.model import Actor, Job, NewJob, Rerun, RerunCode, RerunVerdict
from rescind.store.protocol import Store
from store import harness

METADATA = harness.metadata()
OPERATOR = Actor(user_id=3, by="user", request_id="r-2", reason="too early")


@pytest.fixture(autouse=True)
def registered(store: Store) -> None:
    """A second user, and job metadata that every job here has."""
    assert store.add_user("bob", "hash", frozenset()) == 3
    harness.register(store, METADATA)


def new_job(**changes: object) -> NewJob:
    return harness.new_job(**{"metadata": METADATA, **changes})


def rerun(store: Store, *ids: int, undo: bool = False) -> dict[int, RerunVerdict]:
    return store.rerun(ids, OPERATOR, undo=undo, owner=None)


def undo(store: Store, job_id: int) -> RerunVerdict:
    return rerun(store, job_id, undo=True)[job_id]


def cancelled(store: Store, status: Status = Status.QUEUED, **changes: object) -> int:
    """A job whose cancel was accepted in a status, and that has not settled."""
    job_id = harness.place(store, status, new_job(**changes))
    assert harness.cancel(store, job_id)
    return job_id


def again(store: Store, verdict: RerunVerdict) -> Job:
    assert verdict.code is RerunCode.SUBMITTED
    assert verdict.new_id is not None
    return harness.row(store, verdict.new_id)


@pytest.mark.parametrize("status", sorted(Status))
def test_a_finished_job_and_no_other_is_submitted_anew(store: Store, status: Status) -> None:
    job_id = harness.place(store, status, new_job())
    before, events = harness.row(store, job_id), store.events(job_id)
    verdict = rerun(store, job_id)[job_id]
    assert harness.row(store, job_id) == before
    assert store.events(job_id) == events
    if status not in FINAL:
        assert verdict == RerunVerdict(RerunCode.NOT_FINISHED, status)
        return
    new = again(store, verdict)
    assert (new.status, new.rerun_of, new.undo, new.created_by) == (Status.QUEUED, job_id, False, 3)
    [event] = store.events(new.id)
    assert (event.move, event.to_status, event.user_id) == ("submit", "QUEUED", 3)
    assert (event.request_id, event.reason) == ("r-2", "too early")


def test_a_new_job_has_what_the_old_was_given_and_all_else_from_today(store: Store) -> None:
    job_id = harness.place(
        store,
        Status.SUCCESS,
        new_job(title="Mine", parameters={"a": [1, "ä"]}, priority=7, unique_key="k"),
    )
    today = replace(METADATA, title="New", grace_seconds=3.5, attempts_max=4, processor="t:new")
    harness.register(store, today)
    new = again(store, rerun(store, job_id)[job_id])
    assert (new.title, new.parameters, new.priority) == ("Mine", {"a": [1, "ä"]}, 7)
    assert (new.grace_seconds, new.attempts_max, new.processor) == (3.5, 4, "t:new")
    assert (new.unique_key, new.attempt, new.result, new.worker) == (None, 0, None, None)
    assert harness.claim(store, new.id)


def test_reruns_of_a_job_are_told_with_it_to_who_may_read_them(store: Store) -> None:
    job_id = cancelled(store)
    harness.settle(store, job_id)
    undone = undo(store, job_id).new_id or 0
    mine = rerun(store, job_id)[job_id].new_id or 0
    details = store.details(job_id)
    assert details is not None
    assert details.reruns == [Rerun(undone, undo=True), Rerun(mine, undo=False)]
    of_ada = store.details(job_id, owner=2)
    assert of_ada is not None
    assert of_ada.reruns == [Rerun(undone, undo=True)]


def test_new_ids_ascend_with_the_old_ones_whatever_the_order_of_the_request(store: Store) -> None:
    ids = [harness.place(store, Status.SUCCESS, new_job()) for _ in range(4)]
    verdicts = rerun(store, ids[2], ids[0], ids[2], ids[3], ids[1])
    new = [verdicts[job_id].new_id for job_id in ids]
    assert new == sorted(job_id for job_id in new if job_id is not None)
    assert len(set(new)) == len(ids)


def test_ids_that_are_not_there_or_not_the_owners_have_no_verdict(store: Store) -> None:
    job_id = harness.place(store, Status.SUCCESS, new_job())
    assert store.rerun([job_id, 10**12], OPERATOR, undo=False, owner=3) == {}
    assert set(store.rerun([job_id, 10**12], OPERATOR, undo=False, owner=2)) == {job_id}


def test_a_job_whose_metadata_is_not_known_is_not_submitted(store: Store) -> None:
    job_id = harness.place(store, Status.SUCCESS)
    assert rerun(store, job_id)[job_id].code is RerunCode.METADATA_UNKNOWN


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("status", sorted(WAITING))
def test_a_cancel_accepted_in_this_status_is_taken_back(
    store: Store, status: Status, settled: bool
) -> None:
    job_id = cancelled(store, status)
    if settled:
        harness.settle(store, job_id)
    old = harness.row(store, job_id)
    new = again(store, undo(store, job_id))
    assert harness.row(store, job_id) == old
    assert (new.rerun_of, new.undo, new.created_by, new.modified_by) == (job_id, True, 2, 3)
    assert harness.last_event(store, new.id).user_id == 3


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.CANCELLED, Status.CANCELLING}))
def test_what_was_not_cancelled_is_not_undone(store: Store, status: Status) -> None:
    job_id = harness.place(store, status, new_job())
    assert undo(store, job_id) == RerunVerdict(RerunCode.NOT_CANCELLED, status)


def test_a_run_that_was_never_entered_is_undone_once_that_is_known(store: Store) -> None:
    job_id = cancelled(store, Status.RUNNING)
    assert undo(store, job_id).code is RerunCode.NOT_FINISHED
    assert harness.release(store, job_id, Evidence.NEVER_STARTED)
    assert undo(store, job_id).code is RerunCode.NOT_FINISHED
    assert job_id in store.settle(harness.SYSTEM, limit=500)
    assert undo(store, job_id).code is RerunCode.SUBMITTED


@pytest.mark.parametrize("evidence", sorted(set(Evidence) - {Evidence.NEVER_STARTED}))
def test_a_run_that_had_started_is_not_undone_but_can_be_run_again(
    store: Store, evidence: Evidence
) -> None:
    job_id = cancelled(store, Status.RUNNING)
    assert harness.release(store, job_id, evidence)
    assert job_id in store.settle(harness.SYSTEM, limit=500)
    assert undo(store, job_id) == RerunVerdict(RerunCode.HAD_STARTED, Status.CANCELLED)
    assert again(store, rerun(store, job_id)[job_id]).created_by == 3


def test_a_job_cancelled_between_two_attempts_is_undone(store: Store) -> None:
    job_id = harness.place(store, Status.RUNNING, new_job())
    assert harness.retry(store, job_id, delay_seconds=600)
    assert harness.cancel(store, job_id)
    harness.settle(store, job_id)
    assert harness.row(store, job_id).evidence is Evidence.STOPPED_ITSELF
    assert again(store, undo(store, job_id)).status is Status.SCHEDULED


def test_an_undo_keeps_a_run_date_that_lies_ahead_and_a_rerun_does_not(store: Store) -> None:
    at = store.now().replace(microsecond=0) + timedelta(hours=1)
    job_id = harness.submit(store, new_job(run_at=at))
    assert harness.cancel(store, job_id)
    harness.settle(store, job_id)
    undone, repeated = again(store, undo(store, job_id)), again(store, rerun(store, job_id)[job_id])
    assert (undone.status, undone.run_at, undone.queued_at) == (Status.SCHEDULED, at, None)
    assert repeated.status is Status.QUEUED
    assert repeated.run_at < at


def test_an_undo_keeps_the_unique_key_unless_it_is_taken(store: Store) -> None:
    first, second = cancelled(store, unique_key="k"), cancelled(store, unique_key="k")
    new = again(store, undo(store, first))
    assert new.unique_key == "k"
    assert undo(store, second) == RerunVerdict(RerunCode.EXISTS, Status.CANCELLING)
    assert harness.cancel(store, new.id)
    assert again(store, undo(store, second)).unique_key == "k"


def test_of_two_in_one_request_with_a_key_the_older_has_it(store: Store) -> None:
    first, second = cancelled(store, unique_key="k"), cancelled(store, unique_key="k")
    verdicts = rerun(store, second, first, undo=True)
    assert verdicts[first].code is RerunCode.SUBMITTED
    assert verdicts[second].code is RerunCode.EXISTS


def test_a_job_is_undone_once_and_says_with_which(store: Store) -> None:
    job_id = cancelled(store)
    new = again(store, undo(store, job_id))
    harness.settle(store, job_id)
    done = RerunVerdict(RerunCode.ALREADY_UNDONE, Status.CANCELLED, new.id)
    assert undo(store, job_id) == done
    assert harness.cancel(store, new.id)  # the new one can be undone in its turn
    assert again(store, undo(store, new.id)).rerun_of == new.id
    assert undo(store, job_id) == done


def test_of_many_who_undo_at_once_each_job_is_undone_once(
    make_store: Callable[[], Store], store: Store
) -> None:
    ids = [cancelled(store, unique_key=f"k{number % 5}") for number in range(20)]
    barrier = Barrier(4)

    def attempt(other: Store) -> dict[int, RerunVerdict]:
        barrier.wait()
        return rerun(other, *ids, undo=True)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(attempt, [store, *(make_store() for _ in range(3))]))
    for job_id in ids:
        codes = [verdicts[job_id].code for verdicts in found]
        expected = RerunCode.ALREADY_UNDONE if job_id in ids[:5] else RerunCode.EXISTS
        winners = [code for code in codes if code is RerunCode.SUBMITTED]
        assert len(winners) == (1 if job_id in ids[:5] else 0), codes
        assert {code for code in codes if code is not RerunCode.SUBMITTED} == {expected}
        details = store.details(job_id)
        assert details is not None
        assert len(details.reruns) == len(winners)
