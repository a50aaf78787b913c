"""Unique keys: at most one unfinished job of a metadata has it, whoever submits, however often."""

import pytest

from rescind.lifecycle import FINAL, Status
from rescind.model import Actor, NewJob, Submitted
from rescind.store.protocol import Store
from store import harness
from store.harness import USER

KEY = "nightly 2026-11-25"
METADATA = harness.metadata()
ACTIVE = (Status.SCHEDULED, Status.QUEUEING, Status.QUEUED, Status.RUNNING)


def keyed(key: str | None = KEY, **changes: object) -> NewJob:
    return harness.new_job(**{"metadata": METADATA, **changes}, unique_key=key)


@pytest.mark.parametrize("status", ACTIVE)
def test_a_job_in_this_status_holds_its_key(store: Store, status: Status) -> None:
    job_id = harness.place(store, status, keyed())
    events = store.events(job_id)
    assert store.submit([keyed()], USER) == [Submitted(job_id, existing=True)]
    assert store.events(job_id) == events
    assert harness.row(store, job_id).unique_key == KEY


@pytest.mark.parametrize("status", [Status.CANCELLING, *sorted(FINAL)])
def test_a_job_in_this_status_holds_its_key_no_longer(store: Store, status: Status) -> None:
    job_id = harness.place(store, status, keyed())
    [new] = store.submit([keyed()], USER)
    assert new.id not in (None, job_id)
    assert not new.existing


def test_a_retry_keeps_the_key(store: Store) -> None:
    job_id = harness.place(store, Status.RUNNING, keyed())
    assert harness.retry(store, job_id, delay_seconds=600)
    assert store.submit([keyed()], USER) == [Submitted(job_id, existing=True)]


def test_within_one_request_the_first_item_has_it_and_ids_keep_the_order(store: Store) -> None:
    jobs = [keyed(None), keyed("b"), keyed("a"), keyed(None), keyed("b"), keyed(None), keyed("a")]
    submitted = store.submit(jobs, USER)
    assert [job.existing for job in submitted] == [False] * 4 + [True, False, True]
    ids = [job.id for job in submitted]
    assert (ids[4], ids[6]) == (ids[1], ids[2])
    new = [job.id or 0 for job in submitted if not job.existing]
    assert new == sorted(new)
    for job_id in new:
        assert [event.move for event in store.events(job_id)] == ["submit"]


def test_a_key_is_for_one_metadata(store: Store) -> None:
    other = harness.metadata(name="other__c")
    submitted = store.submit([keyed(), keyed(metadata=other)], USER)
    assert [job.existing for job in submitted] == [False, False]


def test_who_may_not_read_the_holder_is_not_told_its_id(store: Store) -> None:
    [first] = store.submit([keyed()], USER)
    assert store.submit([keyed()], USER, reader=USER.user_id) == [Submitted(first.id, True)]
    other = Actor(user_id=1, by="user")
    assert store.submit([keyed()], other, reader=1) == [Submitted(None, existing=True)]
    assert store.submit([keyed()], other, reader=None) == [Submitted(first.id, existing=True)]


def test_what_finds_its_work_there_uses_up_no_id(store: Store) -> None:
    [first] = store.submit([keyed()], USER)
    for _ in range(5):
        store.submit([keyed()] * 10, USER)
    assert harness.submit(store) == (first.id or 0) + 1
