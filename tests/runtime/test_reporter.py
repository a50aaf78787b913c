"""How runs ended reaches the store, whatever it refuses, and whoever holds a job."""

from collections.abc import Callable

import apsw
import psycopg
import pytest

from rescind.lifecycle import Evidence, Status
from rescind.model import RunEnd, RunRetry
from rescind.runtime.reporter import Reporter
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.store import SqliteStore
from store.conftest import make_store, store
from store.harness import WORKER, metadata, new_job, place, row, run_of, submit

__all__ = ["make_store", "store"]


def ending(found: Store, job_id: int) -> RunEnd:
    run = run_of(found, job_id)
    return RunEnd(run=run, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)


def refuse(found: Store, condition: str) -> None:
    """Let the database itself refuse what jobs come to."""
    when = f"WHEN ({condition})"
    if isinstance(found, SqliteStore):
        connection: apsw.Connection = found._database._writer
        raises = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        connection.execute(f"CREATE TRIGGER refuses BEFORE UPDATE ON job {when} {raises}")
    elif isinstance(found, PostgresStore):
        with psycopg.connect(found.exchange._url) as other:
            raises = "FOR EACH ROW {} EXECUTE FUNCTION refuse('refused')"
            text = f"CREATE TRIGGER refuses BEFORE UPDATE ON job {raises.format(when)}"
            other.execute(text.encode())


@pytest.mark.parametrize("bad", [(0,), (7,), (2, 3), (0, 4, 8), tuple(range(9))])
def test_what_the_database_refuses_holds_up_no_other_end_and_no_claim(
    store: Store, bad: tuple[int, ...]
) -> None:
    jobs = [place(store, Status.RUNNING) for _ in range(9)]
    waiting = submit(store)
    refused = {jobs[number] for number in bad}
    shown = ", ".join(map(str, refused))
    refuse(store, f"NEW.status = 'SUCCESS' AND NEW.id IN ({shown})")
    reporter = Reporter(store, WORKER)
    for job_id in jobs:
        reporter.add(ending(store, job_id), "a job")
    claimed = reporter.claim([row(store, waiting).job_metadata], 1)
    assert [job.id for job in claimed] == [waiting]
    reporter.report()
    assert not reporter
    for job_id in jobs:
        expected = Status.ERRORS_ENCOUNTERED if job_id in refused else Status.SUCCESS
        assert row(store, job_id).status is expected


def test_the_same_holds_for_what_is_tried_again(store: Store) -> None:
    jobs = [place(store, Status.RUNNING) for _ in range(5)]
    refuse(store, f"NEW.status = 'SCHEDULED' AND NEW.id = {jobs[3]}")
    reporter = Reporter(store, WORKER)
    for job_id in jobs:
        run = run_of(store, job_id)
        again = RunRetry(run=run, evidence=Evidence.STOPPED_ITSELF, error="x", delay_seconds=60)
        reporter.add(again, "a job")
    reporter.report()
    assert not reporter
    statuses = [row(store, job_id).status for job_id in jobs]
    expected = [Status.SCHEDULED] * 3 + [Status.ERRORS_ENCOUNTERED, Status.SCHEDULED]
    assert statuses == expected


def test_what_somebody_holds_is_reported_when_they_let_go(postgres_url: str) -> None:
    found = PostgresStore(postgres_url)
    try:
        assert found.add_user("ada", "hash", frozenset()) == 2
        held, free = (place(found, Status.RUNNING) for _ in range(2))
        reporter = Reporter(found, WORKER)
        for job_id in (held, free):
            reporter.add(ending(found, job_id), "a job")
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT 1 FROM job WHERE id = %s FOR UPDATE", [held])
            reporter.claim([], 0)
            assert row(found, free).status is Status.SUCCESS
            assert reporter
            assert {run.job_id for run in reporter.runs} == {held}
        reporter.claim([], 0)
        assert row(found, held).status is Status.SUCCESS
        assert not reporter
    finally:
        found.close()


def test_ends_whose_answer_was_lost_are_written_once(make_store: Callable[[], Store]) -> None:
    """The commit has happened; the next time, neither half of it happens again."""
    found = make_store()
    assert found.add_user("ada", "hash", frozenset()) == 2
    job_id = place(found, Status.RUNNING)
    kind = metadata()
    first, second = (submit(found, new_job(metadata=kind)) for _ in range(2))
    end = ending(found, job_id)
    assert found.turn(WORKER, [end], names=[kind.name], limit=1).claimed[0].id == first
    reporter = Reporter(found, WORKER)  # which has heard nothing of that
    reporter.add(end, "a job")
    assert [job.id for job in reporter.claim([kind.name], 1)] == [second]
    reporter.report()
    assert not reporter
    finishes = [event for event in found.events(job_id) if event.move == "finish"]
    assert len(finishes) == 1
    assert run_of(found, first) in found.held(WORKER.by)
