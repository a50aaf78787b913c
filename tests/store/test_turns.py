"""A worker's turn: ends and the next claim together, and nobody waited for."""

import psycopg
import pytest

from rescind.lifecycle import Evidence, Status
from rescind.model import Actor, RunEnd, RunRef
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from store.harness import (
    WORKER,
    cancel,
    claim,
    metadata,
    new_job,
    place,
    row,
    run_of,
    submit,
    submit_all,
)


def ending(store: Store, job_id: int) -> RunEnd:
    return RunEnd(
        run=run_of(store, job_id), status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF
    )


def test_ends_are_written_and_jobs_claimed_together(store: Store) -> None:
    ended = [place(store, Status.RUNNING) for _ in range(3)]
    kind = metadata()
    waiting = submit_all(store, [new_job(metadata=kind, priority=50 - n) for n in range(3)])
    ends = [ending(store, job_id) for job_id in ended]
    turn = store.turn(WORKER, ends, names=[kind.name], limit=2)
    assert (set(turn.landed), set(turn.held)) == (set(ended), set())
    assert [job.id for job in turn.claimed] == waiting[:0:-1]
    assert {job.status for job in turn.claimed} == {Status.RUNNING}
    assert {row(store, job_id).status for job_id in ended} == {Status.SUCCESS}
    moves = [[event.move for event in store.events(job_id)][-1] for job_id in (*ended, *waiting)]
    assert moves == ["finish"] * 3 + ["submit"] + ["claim"] * 2


def test_a_turn_may_have_no_ends_or_claim_nothing(store: Store) -> None:
    job_id = submit(store)
    name = row(store, job_id).job_metadata
    store.lease(WORKER.by)
    assert [job.id for job in store.turn(WORKER, [], names=[name], limit=1).claimed] == [job_id]
    turn = store.turn(WORKER, [ending(store, job_id)], names=[name], limit=0)
    assert (set(turn.landed), turn.claimed) == ({job_id}, [])


def test_what_is_no_longer_to_be_ended_is_neither_landed_nor_held(store: Store) -> None:
    cancelled, ended, gone = (place(store, Status.RUNNING) for _ in range(3))
    ends = [ending(store, job_id) for job_id in (cancelled, ended, gone)]
    assert cancel(store, cancelled)
    assert store.finish(WORKER, [ends[2]]) == {gone}
    turn = store.turn(WORKER, ends, names=[], limit=1)
    assert (set(turn.landed), set(turn.held)) == ({ended}, set())
    assert row(store, cancelled).status is Status.CANCELLING


@pytest.mark.parametrize("kept", [True, False], ids=["changed", "left as it was"])
def test_ends_of_jobs_that_somebody_holds_are_left_out(postgres_url: str, kept: bool) -> None:
    store = PostgresStore(postgres_url)
    try:
        assert store.add_user("ada", "hash", frozenset()) == 2
        held, free = (place(store, Status.RUNNING) for _ in range(2))
        waiting = submit(store)
        ends = [ending(store, job_id) for job_id in (held, free)]
        names = [row(store, waiting).job_metadata]
        with psycopg.connect(postgres_url) as other:
            other.execute("UPDATE job SET title = 'held' WHERE id = %s", [held])
            turn = store.turn(WORKER, ends, names=names, limit=1)
            assert (set(turn.landed), set(turn.held)) == ({free}, {held})
            assert [job.id for job in turn.claimed] == [waiting]
            if not kept:
                other.rollback()
        turn = store.turn(WORKER, ends[:1], names=[], limit=0)
        assert (set(turn.landed), set(turn.held)) == ({held}, set())
    finally:
        store.close()


def test_those_that_may_enter_are_told_at_once(store: Store) -> None:
    entering, cancelled, foreign = (submit(store) for _ in range(3))
    assert claim(store, entering)
    assert claim(store, cancelled)
    assert claim(store, foreign, Actor(by="worker-2"))
    assert cancel(store, cancelled)
    runs = [run_of(store, job_id) for job_id in (entering, cancelled, foreign)]
    assert store.may_enter(WORKER.by, runs) == {runs[0]}
    assert store.may_enter(WORKER.by, [RunRef(run.job_id, 2) for run in runs]) == set()


@pytest.mark.parametrize("held", [1, 18, 19, 60])
def test_a_claim_takes_what_is_behind_that_which_others_hold(postgres_url: str, held: int) -> None:
    """However much that is; the ids show the order."""
    store = PostgresStore(postgres_url)
    try:
        assert store.add_user("ada", "hash", frozenset()) == 2
        kinds = [metadata() for _ in range(3)]
        jobs = [new_job(metadata=kinds[number % 3]) for number in range(70)]
        ids = submit_all(store, jobs)
        store.lease(WORKER.by)
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT 1 FROM job WHERE id = ANY(%s) FOR UPDATE", [ids[:held]])
            claimed = store.claim(WORKER, names=[kind.name for kind in kinds], limit=3)
            assert [job.id for job in claimed] == ids[held : held + 3]
    finally:
        store.close()
