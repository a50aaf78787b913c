"""Idempotency keys: what is done for one, is done once, and kept with it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from rescind import limits
from rescind.errors import KeyTaken
from rescind.lifecycle import Status
from rescind.model import KeptOutcome, Once, RequestKey
from rescind.store.protocol import Store
from rescind.store.sql import keys
from store import harness
from store.harness import USER

KEY = RequestKey(user_id=2, method="POST", path="/jobs", key="k", request_hash=b"\x01" * 32)


def once(key: RequestKey = KEY, outcome: str = '"done"') -> Once[Any]:
    return Once(key, lambda _result: outcome)


def submit_once(store: Store, key: RequestKey = KEY) -> list[int]:
    submitted = store.submit([harness.new_job()], USER, once=once(key))
    return [job.id for job in submitted if job.id is not None]


def test_what_was_done_is_kept_with_it(store: Store) -> None:
    assert store.kept_outcome(KEY) is None
    [job] = store.submit([harness.new_job()], USER, once=Once(KEY, str))
    assert store.kept_outcome(KEY) == KeptOutcome(KEY.request_hash, f"[{job}]")


def test_the_same_key_does_nothing_again(store: Store) -> None:
    [job_id] = submit_once(store)
    for again in (
        lambda: submit_once(store),
        lambda: store.cancel([job_id], USER, running_allowed=True, owner=None, once=once()),
        lambda: store.start(job_id, USER, hold_seconds=0, owner=None, once=once()),
    ):
        with pytest.raises(KeyTaken):
            again()
    assert harness.row(store, job_id).status is Status.QUEUED
    assert store.job(job_id + 1) is None


@pytest.mark.parametrize(
    "other", [{"user_id": 1}, {"method": "PUT"}, {"path": "/other"}, {"key": "K"}]
)
def test_a_key_is_one_users_for_one_method_and_path(store: Store, other: dict[str, object]) -> None:
    submit_once(store)
    different = replace(KEY, **other)
    assert store.kept_outcome(different) is None
    assert submit_once(store, different)


def test_what_cannot_be_judged_is_not_done(store: Store) -> None:
    def refuse(_result: object) -> str:
        raise LookupError

    with pytest.raises(LookupError):
        store.submit([harness.new_job()], USER, once=Once(KEY, refuse))
    assert store.kept_outcome(KEY) is None
    assert store.job(1) is None


def test_a_key_that_is_too_old_is_forgotten_and_free_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_once(store)
    monkeypatch.setattr(keys, "_AGE", -keys._AGE)
    assert store.kept_outcome(KEY) is None
    assert submit_once(store)
    assert store.prune_keys(limit=5) == 1
    monkeypatch.undo()
    assert store.kept_outcome(KEY) is None
    assert limits.IDEMPOTENCY_SECONDS == 24 * 3600


def test_of_many_at_once_one_is_done(make_store: Callable[[], Store], store: Store) -> None:
    stores = [store, *(make_store() for _ in range(3))]
    start, done = threading.Barrier(len(stores)), []

    def work(mine: Store) -> None:
        start.wait()
        try:
            done.append(submit_once(mine))
        except KeyTaken:
            done.append([])

    threads = [threading.Thread(target=work, args=(mine,)) for mine in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, done)) == [0, 0, 0, 1]
    assert store.job(2) is None


@pytest.mark.parametrize("make_store", ["postgres"], indirect=True)
def test_a_key_at_work_elsewhere_is_not_waited_for(
    make_store: Callable[[], Store], store: Store
) -> None:
    other, refused = make_store(), []

    def meanwhile(result: object) -> str:
        with pytest.raises(KeyTaken):
            submit_once(other)
        refused.append(result)
        return "1"

    assert store.submit([harness.new_job()], USER, once=Once(KEY, meanwhile)) == refused[0]
