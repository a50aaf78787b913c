"""What people look at: what runs first, how many stand where, who runs what, what came and went."""

from collections import Counter
from datetime import timedelta

import pytest

from rescind.errors import QueryTooSlow
from rescind.lifecycle import FINAL, Status
from rescind.model import Job, JobListing
from rescind.selection import EVERYTHING, Column, Compare, Filter, Like, Not, Operator
from rescind.store.protocol import Store
from store import harness

SECONDS = 60.0
ORDER = [
    *(Status.RUNNING, Status.CANCELLING, Status.QUEUED, Status.QUEUEING, Status.SCHEDULED),
    *FINAL,
]


def listing(
    store: Store,
    where: Filter = EVERYTHING,
    statuses: frozenset[Status] = frozenset(Status),
    limit: int = 100,
    offset: int = 0,
) -> JobListing:
    return store.listing(where, statuses, limit=limit, offset=offset, seconds=SECONDS)


def ids(jobs: list[Job]) -> list[int]:
    return [job.id for job in jobs]


def test_what_runs_comes_first_and_what_ended_last(store: Store) -> None:
    for _ in range(2):
        harness.place_all(store)
    harness.scheduled(store)
    found = listing(store)
    ranks = [min(ORDER.index(job.status), len(ORDER) - len(FINAL)) for job in found.jobs]
    assert ranks == sorted(ranks)
    ended = [job.finished_at for job in found.jobs if job.finished_at is not None]
    assert ended == sorted(ended, reverse=True)
    assert found.totals == Counter(job.status for job in found.jobs)
    assert found.user_names == {harness.USER.user_id: "ada"}


def test_pages_of_any_size_make_the_list(store: Store) -> None:
    harness.place_all(store)
    whole = ids(listing(store).jobs)
    for size in (1, 2, 5):
        parts = [listing(store, limit=size, offset=at).jobs for at in range(0, len(whole), size)]
        assert [job_id for part in parts for job_id in ids(part)] == whole
    assert listing(store, offset=len(whole)).jobs == []
    assert listing(store, limit=0).totals == listing(store).totals


@pytest.mark.parametrize("status", list(Status))
def test_statuses_choose_rows_and_leave_totals(store: Store, status: Status) -> None:
    placed = harness.place_all(store)
    found = listing(store, statuses=frozenset({status}))
    assert ids(found.jobs) == [placed[status]]
    assert found.totals == dict.fromkeys(Status, 1)
    others = listing(store, statuses=frozenset(Status) - {status})
    assert placed[status] not in ids(others.jobs)
    assert len(others.jobs) == len(Status) - 1


def test_a_filter_chooses_rows_and_totals(store: Store) -> None:
    wanted = harness.submit(store, harness.new_job(title="an export"))
    done = harness.place(store, Status.SUCCESS, harness.new_job(title="an import"))
    title = Like(Column.TITLE, ("", "export", ""))
    found = listing(store, title)
    assert (ids(found.jobs), found.totals) == ([wanted], {Status.QUEUED: 1})
    assert ids(listing(store, Not(title)).jobs) == [done]
    nobodys = Compare(Column.CREATED_BY, Operator.EQ, 1)
    assert listing(store, nobodys) == JobListing(jobs=[], user_names={}, totals={})


def test_the_queue_stands_in_the_order_of_its_start(store: Store) -> None:
    kind = harness.metadata()
    for priority in (50, 10, 90, 10):
        harness.submit(store, harness.new_job(metadata=kind, priority=priority))
    store.lease(harness.WORKER.by)
    shown = ids(listing(store).jobs)
    started = []
    while claimed := store.claim(harness.WORKER, names=[kind.name], limit=1):
        started += ids(claimed)
    assert shown == started


def test_a_list_that_takes_too_long_is_given_up(store: Store) -> None:
    harness.submit_all(store, [harness.new_job() for _ in range(3_000)])
    with pytest.raises(QueryTooSlow):
        store.listing(
            Like(Column.TITLE, ("",) * 12),
            frozenset(Status),
            limit=50,
            offset=0,
            seconds=1e-9,
        )


def test_workers_say_what_they_run(store: Store) -> None:
    harness.register(store)
    running = harness.place(store, Status.RUNNING)
    stopping = harness.place(store, Status.CANCELLING)
    harness.submit(store)
    runs = store.runs(limit=9)
    assert [(run.id, run.status, run.worker) for run in runs] == [
        (running, Status.RUNNING, "worker-1"),
        (stopping, Status.CANCELLING, "worker-1"),
    ]
    assert runs[0].started_at == harness.row(store, running).started_at
    assert len(store.runs(limit=1)) == 1


def test_names_are_found_by_ids(store: Store) -> None:
    assert store.user_names([]) == {}
    assert store.user_names([1, 2, 99]) == {1: "System", 2: "ada"}


def test_what_came_and_went_is_counted_by_periods(store: Store) -> None:
    placed = harness.place_all(store)
    harness.scheduled(store, seconds=3_600)
    now, hour = store.now(), timedelta(hours=1)
    found = store.passages(now - 2 * hour, hour, seconds=SECONDS)
    assert sum(passage.total for passage in found) == len(placed) + 1
    for passage in found:
        assert passage.due in ((1, 2) if passage.status is not Status.SCHEDULED else (1, 2, 3))
        assert (passage.ended is not None) == (passage.status in FINAL)
    started = {passage.status for passage in found if passage.left is not None}
    assert Status.RUNNING in started
    assert Status.QUEUED not in started
    later = store.passages(now + hour, hour, seconds=SECONDS)
    assert {passage.status for passage in later}.isdisjoint(FINAL), "they ended before"
    assert {passage.due for passage in later if passage.status is not Status.SCHEDULED} == {-1}
