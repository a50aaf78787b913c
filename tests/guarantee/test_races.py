"""Races, each named as the sentence it proves. Real threads on one store; the events are the
history that is checked.
"""

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from rescind.lifecycle import FINAL, Evidence, Move, Status
from rescind.model import Actor, RunEnd, RunRef, RunRelease, Submitted
from rescind.store.protocol import Store
from store import harness
from store.harness import SYSTEM, USER, new_job, submit_all

ROUNDS = 12
JOBS = 40


def at_once(*works: Callable[[], None]) -> None:
    """Run all at the same time; an exception in any of them fails the test."""
    barrier = threading.Barrier(len(works))
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            barrier.wait(10)
            work()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def accepted_of(store: Store, ids: list[int]) -> list[int]:
    verdicts = store.cancel(ids, USER, running_allowed=True, owner=None)
    return [job_id for job_id, verdict in verdicts.items() if verdict.landed]


def moves(store: Store, job_id: int) -> list[Move]:
    return [event.move for event in store.events(job_id)]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_job_accepted_before_its_claim_is_never_claimed(store: Store, round_: int) -> None:
    metadata = harness.metadata()
    ids = submit_all(store, [new_job(metadata=metadata) for _ in range(JOBS)], USER)
    accepted: list[int] = []
    claimed: Counter[int] = Counter()

    def claimer(name: str) -> Callable[[], None]:
        def work() -> None:
            store.lease(name)
            while jobs := store.claim(Actor(by=name), names=[metadata.name], limit=3):
                claimed.update(job.id for job in jobs)

        return work

    def canceller(part: list[int]) -> Callable[[], None]:
        def work() -> None:
            for start in range(0, len(part), 7):
                accepted.extend(accepted_of(store, part[start : start + 7]))

        return work

    at_once(claimer("w1"), claimer("w2"), canceller(ids[::2]), canceller(ids[1::2]))
    assert sorted(accepted) == ids, "QUEUED and RUNNING are both cancellable here"
    assert max(claimed.values(), default=1) == 1, "a job was claimed twice"
    for job_id in ids:
        history = moves(store, job_id)
        assert history in (["submit", "cancel"], ["submit", "claim", "cancel"])
        assert (Move.CLAIM in history) is (job_id in claimed)
        assert not store.may_enter("w1", [RunRef(job_id, 1)])


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_cancel_against_finish_has_one_winner_and_both_are_told(store: Store, round_: int) -> None:
    metadata = harness.metadata()
    ids = submit_all(store, [new_job(metadata=metadata) for _ in range(JOBS)], USER)
    store.lease(harness.WORKER.by)
    store.claim(harness.WORKER, names=[metadata.name], limit=JOBS)
    ends = [
        RunEnd(run=RunRef(job_id, 1), status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)
        for job_id in ids
    ]
    finished: set[int] = set()
    accepted: list[int] = []

    def finish() -> None:
        for start in range(0, JOBS, 4):
            finished.update(store.finish(harness.WORKER, ends[start : start + 4]))

    def cancel() -> None:
        for start in range(JOBS, 0, -4):
            accepted.extend(accepted_of(store, ids[start - 4 : start]))

    at_once(finish, cancel)
    assert finished | set(accepted) == set(ids)
    assert not finished & set(accepted)
    for job_id in accepted:
        assert harness.row(store, job_id).result is None


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_every_accepted_cancel_ends_cancelled_whatever_else_is_tried(
    store: Store, round_: int
) -> None:
    metadata = harness.metadata(idempotent=True)
    ids = submit_all(store, [new_job(metadata=metadata) for _ in range(JOBS)], USER)
    store.lease(harness.WORKER.by)
    running = store.claim(harness.WORKER, names=[metadata.name], limit=JOBS // 2)
    accepted = accepted_of(store, ids)
    assert sorted(accepted) == ids

    def everything_else() -> None:
        for job_id in ids:
            for move in (Move.START, Move.FINISH, Move.RETRY, Move.MISS, Move.CLAIM):
                assert not harness.TRY[move](store, job_id)
        assert store.rescue(SYSTEM, limit=500) == []
        assert store.fail(SYSTEM, unknown_seconds=0, limit=500) == []

    def stop() -> None:
        for job in running:
            stopped = RunRelease(run=RunRef(job.id, 1), evidence=Evidence.KILLED)
            store.release(harness.WORKER.by, [stopped])

    settled: list[int] = []

    def all_settled() -> bool:
        settled.extend(store.settle(SYSTEM, limit=7))
        return len(settled) == JOBS

    def settle() -> None:
        assert harness.eventually(all_settled)

    at_once(everything_else, stop, settle)
    assert sorted(settled) == ids
    for job_id in ids:
        job = harness.row(store, job_id)
        assert job.status is Status.CANCELLED
        assert moves(store, job_id)[-2:] == ["cancel", "settle"]
        ran = job_id in {job.id for job in running}
        assert job.evidence is (Evidence.KILLED if ran else Evidence.NEVER_STARTED)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_two_cancels_of_the_same_jobs_are_accepted_once(store: Store, round_: int) -> None:
    ids = submit_all(store, [new_job() for _ in range(JOBS)], USER)
    accepted: list[int] = []

    def cancel(order: list[int]) -> Callable[[], None]:
        return lambda: accepted.extend(accepted_of(store, order))

    at_once(cancel(ids), cancel(ids[::-1]), cancel(ids))
    assert sorted(accepted) == ids
    assert all(moves(store, job_id) == ["submit", "cancel"] for job_id in ids)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_start_against_cancel_has_one_winner(store: Store, round_: int) -> None:
    ids = [harness.scheduled(store) for _ in range(10)]
    started: list[int] = []

    def start() -> None:
        started.extend(job_id for job_id in ids if harness.start(store, job_id))

    def cancel() -> None:
        assert sorted(accepted_of(store, ids[::-1])) == ids

    at_once(start, cancel)
    for job_id in ids:
        expected = ["submit", "start", "cancel"] if job_id in started else ["submit", "cancel"]
        assert moves(store, job_id) == expected


def test_a_final_status_is_never_left(store: Store) -> None:
    ids = [harness.place(store, status) for status in FINAL]
    before = [harness.row(store, job_id) for job_id in ids]
    assert accepted_of(store, ids) == []
    store.settle(SYSTEM, limit=500)
    store.rescue(SYSTEM, limit=500)
    assert [harness.row(store, job_id) for job_id in ids] == before


def test_of_many_submits_with_the_same_unique_keys_one_submits_each(store: Store) -> None:
    """Whole requests, with the keys in either order: none waits for another for ever."""
    metadata = harness.metadata()
    keys = [f"key {number}" for number in range(JOBS)]
    answers: list[list[Submitted]] = []

    def submit(order: list[str]) -> None:
        jobs = [new_job(metadata=metadata, unique_key=key) for key in order]
        submitted = store.submit(jobs, USER)
        answers.append([dict(zip(order, submitted, strict=True))[key] for key in keys])

    at_once(*[lambda: submit(keys), lambda: submit(keys[::-1])] * 3)
    for given in zip(*answers, strict=True):
        assert len({job.id for job in given}) == 1
        assert [job.existing for job in given].count(False) == 1


def test_a_submit_against_a_cancel_has_the_living_job_or_a_new_one(store: Store) -> None:
    for number in range(ROUNDS * 3):
        job = new_job(unique_key=f"key {number}")
        [first] = store.submit([job], USER)
        accepted: list[int] = []
        answers: list[Submitted] = []
        # Both end within the round.
        at_once(
            lambda: accepted.extend(accepted_of(store, [first.id or 0])),  # noqa: B023
            lambda: answers.extend(store.submit([job], USER)),  # noqa: B023
        )
        assert accepted == [first.id]
        [answer] = answers
        assert answer.existing == (answer.id == first.id)
        status = harness.row(store, answer.id or 0).status
        assert status is (Status.CANCELLING if answer.existing else Status.QUEUED)
