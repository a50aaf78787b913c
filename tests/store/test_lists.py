"""Histories and monitors: which jobs, in which order, how many."""

from datetime import timedelta

import pytest

from rescind.lifecycle import FINAL, Status
from rescind.model import JobFilter, JobPage
from rescind.store.protocol import Store
from store import harness

EVERYTHING = JobFilter()
UNFINISHED = [status for status in Status if status not in FINAL]


def test_every_job_is_in_one_of_the_two_lists_as_its_row_stands(store: Store) -> None:
    ids = harness.place_all(store)
    histories = store.histories(EVERYTHING, limit=200, offset=0, owner=None)
    monitors = store.monitors(EVERYTHING, limit=200, offset=0, owner=None)
    assert {job.status for job in histories.jobs} == FINAL
    assert {job.status for job in monitors.jobs} == set(UNFINISHED)
    assert (histories.total, monitors.total) == (len(FINAL), len(UNFINISHED))
    for summary in (*histories.jobs, *monitors.jobs):
        job = harness.row(store, ids[summary.status])
        for name in summary.__struct_fields__:
            assert getattr(summary, name) == getattr(job, name)


def test_histories_come_newest_first_and_monitors_by_their_start(store: Store) -> None:
    for seconds in (3600, 60, 7200, 60):
        harness.scheduled(store, seconds)
    harness.place_all(store)
    finished = store.histories(EVERYTHING, limit=200, offset=0, owner=None).jobs
    histories = [job.id for job in finished]
    assert histories == sorted(histories, reverse=True)
    monitors = store.monitors(EVERYTHING, limit=200, offset=0, owner=None).jobs
    starts = [(job.run_start_at, job.id) for job in monitors]
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", ["histories", "monitors"])
def test_pages_follow_one_another_without_a_gap(store: Store, name: str) -> None:
    for _ in range(2):
        harness.place_all(store)
    page_of = getattr(store, name)
    whole = page_of(EVERYTHING, limit=200, offset=0, owner=None)
    seen = []
    for offset in range(0, whole.total + 3, 3):
        page = page_of(EVERYTHING, limit=3, offset=offset, owner=None)
        assert page.total == whole.total
        assert len(page.jobs) == max(0, min(3, whole.total - offset))
        seen += page.jobs
    assert seen == whole.jobs


@pytest.mark.parametrize("status", Status)
def test_a_status_selects_the_jobs_that_stand_there(store: Store, status: Status) -> None:
    ids = harness.place_all(store)
    wanted = JobFilter(status=status)
    histories = store.histories(wanted, limit=200, offset=0, owner=None)
    monitors = store.monitors(wanted, limit=200, offset=0, owner=None)
    found = monitors if status in UNFINISHED else histories
    assert [job.id for job in found.jobs] == [ids[status]]
    assert (histories.total, monitors.total) == (
        int(status in FINAL),
        int(status in UNFINISHED),
    )


def test_histories_are_selected_by_their_end_inclusively(store: Store) -> None:
    job = harness.row(store, harness.place(store, Status.SUCCESS))
    assert job.finished_at is not None
    moment = timedelta(milliseconds=1)
    for since, until, found in (
        (job.finished_at, None, 1),
        (None, job.finished_at, 1),
        (job.finished_at, job.finished_at, 1),
        (job.finished_at + moment, None, 0),
        (None, job.finished_at - moment, 0),
    ):
        wanted = JobFilter(since=since, until=until)
        assert store.histories(wanted, limit=1, offset=0, owner=None).total == found


def test_monitors_are_selected_by_when_they_were_submitted(store: Store) -> None:
    job = harness.row(store, harness.scheduled(store))
    moment = timedelta(milliseconds=1)
    for since, until, found in (
        (job.created_at, job.created_at, 1),
        (job.created_at + moment, None, 0),
        (None, job.created_at - moment, 0),
    ):
        wanted = JobFilter(since=since, until=until)
        assert store.monitors(wanted, limit=1, offset=0, owner=None).total == found


def test_what_waits_again_shows_when_it_will_start_and_not_when_it_did(store: Store) -> None:
    job_id = harness.submit(store)
    assert harness.claim(store, job_id)
    [running] = store.monitors(EVERYTHING, limit=1, offset=0, owner=None).jobs
    assert running.run_start_at == harness.row(store, job_id).started_at
    assert harness.retry(store, job_id, delay_seconds=60)
    [waiting] = store.monitors(EVERYTHING, limit=1, offset=0, owner=None).jobs
    assert waiting.run_start_at == harness.row(store, job_id).run_at > running.run_start_at


def test_a_job_is_found_only_for_its_owner_where_one_is_named(store: Store) -> None:
    job_id = harness.submit(store)
    assert store.job(job_id, owner=2) == store.job(job_id)
    assert store.job(job_id, owner=1) is None


@pytest.mark.parametrize("name", ["histories", "monitors"])
def test_a_list_holds_the_owners_jobs_alone_where_one_is_named(store: Store, name: str) -> None:
    harness.place_all(store)
    page_of = getattr(store, name)
    everyones = page_of(EVERYTHING, limit=200, offset=0, owner=None)
    assert page_of(EVERYTHING, limit=200, offset=0, owner=2) == everyones
    assert page_of(EVERYTHING, limit=200, offset=0, owner=1) == JobPage(jobs=[], total=0)
