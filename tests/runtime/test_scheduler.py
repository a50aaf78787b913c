"""The scheduler, by a clock that is moved: how long it waits, and what it gives up when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rescind import limits
from rescind.clock import ManualClock
from rescind.lifecycle import Status
from rescind.runtime.scheduler import Scheduler
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class SetBack(ManualClock):
    """A clock whose time of day somebody sets back; what has elapsed is not touched by that."""

    def __init__(self) -> None:
        super().__init__(NOON)
        self._by = timedelta(0)

    def set_back(self, by: timedelta) -> None:
        self._by += by

    def now(self) -> datetime:
        return super().now() - self._by


@pytest.fixture
def clock() -> SetBack:
    return SetBack()


@pytest.fixture
def store(tmp_path: Path, clock: SetBack) -> SqliteStore:
    migrate(tmp_path / "rescind.db")
    store = SqliteStore(tmp_path / "rescind.db", clock)
    store.add_user("ada", "hash", frozenset())
    return store


def test_it_waits_until_something_is_due_and_no_longer_than_its_poll(
    store: SqliteStore, clock: SetBack
) -> None:
    scheduler = Scheduler(store, clock)
    assert scheduler.step() == limits.SCHEDULER_POLL_SECONDS_MAX
    job_id = harness.submit(store, harness.new_job(run_at=NOON + timedelta(seconds=3)))
    assert scheduler.step() == 3
    clock.advance(3)
    scheduler.step()
    assert harness.row(store, job_id).status is Status.QUEUED


def test_a_clock_that_is_set_back_an_hour_holds_up_nothing(
    store: SqliteStore, clock: SetBack
) -> None:
    scheduler = Scheduler(store, clock)
    scheduler.step()
    clock.set_back(timedelta(hours=1))
    assert scheduler.step() <= limits.SCHEDULER_POLL_SECONDS_MAX
    unknown = harness.new_job(metadata=harness.metadata(processor="gone:gone"))
    job_id = harness.submit(store, unknown)
    clock.advance(limits.JOB_UNKNOWN_SECONDS_MAX)
    for _ in range(3):  # after the gap, workers have time to say that they live
        scheduler.step()
        assert harness.row(store, job_id).status is Status.QUEUED
        clock.advance(limits.FAIL_GAP_SECONDS)
    left = limits.FAIL_SETTLE_SECONDS
    while left > 0:
        scheduler.step()
        clock.advance(limits.FAIL_GAP_SECONDS)
        left -= limits.FAIL_GAP_SECONDS
    scheduler.step()
    assert harness.row(store, job_id).status is Status.FAILED_TO_RUN
