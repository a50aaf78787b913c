"""What the conformance suite needs to put a job anywhere and to try any move on it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from time import monotonic

from processes import HANG_SECONDS
from rescind.lifecycle import FINAL, RULES, Evidence, Move, Status
from rescind.model import (
    Actor,
    Event,
    Job,
    JobMetadata,
    LogChunk,
    NewJob,
    Registration,
    RunEnd,
    RunRef,
    RunRelease,
    RunRetry,
)
from rescind.store.protocol import Store

USER = Actor(user_id=2, by="user", request_id="r-1", reason="a test")
SYSTEM = Actor(by="test")
WORKER = Actor(by="worker-1")
_numbers = count(1)


def metadata(**changes: object) -> JobMetadata:
    """Job metadata with a name that no other job has, so that a claim can name it."""
    number = next(_numbers)
    fields = {
        "name": f"job_{number}__c",
        "processor": f"tests:job_{number}",
        "title": "A job",
        **changes,
    }
    return JobMetadata(**fields)  # type: ignore[arg-type]  # a test's keywords


def new_job(**changes: object) -> NewJob:
    """A job that is due at once, of metadata of its own."""
    fields: dict[str, object] = {"metadata": metadata(), "title": "A job", **changes}
    return NewJob(**fields)  # type: ignore[arg-type]  # a test's keywords


def submit_all(store: Store, jobs: Sequence[NewJob], actor: Actor | None = None) -> list[int]:
    """The ids of new jobs; whose unique keys nobody holds."""
    submitted = store.submit(jobs, actor or USER)
    assert not any(job.existing for job in submitted)
    return [job.id for job in submitted if job.id is not None]


def submit(store: Store, job: NewJob | None = None) -> int:
    [job_id] = submit_all(store, [job or new_job()])
    return job_id


def row(store: Store, job_id: int) -> Job:
    job = store.job(job_id)
    assert job is not None
    return job


def run_of(store: Store, job_id: int) -> RunRef:
    return RunRef(job_id, row(store, job_id).attempt)


def claim(store: Store, job_id: int, worker: Actor = WORKER) -> bool:
    """Claim this job and no other."""
    store.lease(worker.by)
    claimed = store.claim(worker, names=[row(store, job_id).job_metadata], limit=1)
    return [job.id for job in claimed] == [job_id]


def finish(store: Store, job_id: int, status: Status = Status.SUCCESS) -> bool:
    end = RunEnd(
        run=run_of(store, job_id), status=status, evidence=Evidence.STOPPED_ITSELF, result={"n": 1}
    )
    return store.finish(WORKER, [end]) == {job_id}


def retry(store: Store, job_id: int, delay_seconds: float = 0) -> bool:
    again = RunRetry(
        run=run_of(store, job_id),
        evidence=Evidence.STOPPED_ITSELF,
        error="boom",
        delay_seconds=delay_seconds,
    )
    return store.retry(WORKER, [again]) == {job_id}


def release(store: Store, job_id: int, evidence: Evidence = Evidence.KILLED) -> bool:
    given = RunRelease(run=run_of(store, job_id), evidence=evidence)
    return store.release(WORKER.by, [given]) == {job_id}


def cancel(store: Store, job_id: int) -> bool:
    verdicts = store.cancel([job_id], USER, running_allowed=True, owner=None)
    return verdicts[job_id].landed


def settle(store: Store, job_id: int) -> bool:
    """Settle it, when its run has stopped."""
    release(store, job_id)
    return job_id in store.settle(SYSTEM, limit=500)


def rescue(store: Store, job_id: int) -> bool:
    """Rescue it, when its lease is over."""
    release(store, job_id, Evidence.KILLED)
    return job_id in rescued(store)


def rescued(store: Store) -> list[int]:
    """End leases and rescue, as the rescuer does; the ids of the jobs."""
    store.end_leases()
    return [job.id for job in store.rescue(SYSTEM, limit=500)]


def start(store: Store, job_id: int, hold_seconds: float = 0) -> bool:
    verdict = store.start(job_id, USER, hold_seconds=hold_seconds, owner=None)
    assert verdict is not None
    return verdict.landed


TRY: Mapping[Move, Callable[[Store, int], bool]] = {
    Move.START: start,
    Move.STAGE: lambda store, job_id: job_id in store.stage(SYSTEM, limit=500),
    Move.QUEUE: lambda store, job_id: job_id in store.queue(SYSTEM, limit=500),
    Move.CLAIM: claim,
    Move.FINISH: finish,
    Move.RETRY: retry,
    Move.RESCUE: rescue,
    Move.CANCEL: cancel,
    Move.SETTLE: settle,
    Move.MISS: lambda store, job_id: store.miss([job_id], SYSTEM) == [job_id],
    Move.FAIL: lambda store, job_id: (
        job_id in [job.id for job in store.fail(SYSTEM, unknown_seconds=0, limit=500)]
    ),
}
"""Each move, tried on one job that meets every other condition of it: did it land?"""


def place(store: Store, status: Status, job: NewJob | None = None) -> int:
    """A job that stands in ``status``, brought there by moves alone; due, if that matters."""
    job_id = submit(store, job)
    if status is Status.QUEUED:
        return job_id
    if status is Status.FAILED_TO_RUN:
        assert TRY[Move.FAIL](store, job_id)
        return job_id
    assert claim(store, job_id)
    if status in (Status.SCHEDULED, Status.QUEUEING, Status.MISSED_SCHEDULE):
        assert retry(store, job_id)
    if status is Status.QUEUEING:
        assert start(store, job_id, hold_seconds=0.001)
    if status is Status.MISSED_SCHEDULE:
        assert TRY[Move.MISS](store, job_id)
    if status in (Status.CANCELLING, Status.CANCELLED):
        assert cancel(store, job_id)
    if status is Status.CANCELLED:
        assert settle(store, job_id)
    if status in FINAL - {Status.CANCELLED, Status.MISSED_SCHEDULE}:
        assert finish(store, job_id, status)
    assert row(store, job_id).status is status
    return job_id


def place_all(store: Store) -> dict[Status, int]:
    """A job in every status; first the one whose way there fails all that wait."""
    order = sorted(Status, key=lambda status: status is not Status.FAILED_TO_RUN)
    return {status: place(store, status) for status in order}


def log(store: Store, job_id: int, *texts: str) -> None:
    """Append to the log of a job, as the worker that holds it: a chunk for each text."""
    run = run_of(store, job_id)
    store.append_log(WORKER.by, [LogChunk(run=run, text=text) for text in texts])


def register(store: Store, *metadata: JobMetadata) -> list[str]:
    """Register job metadata, as the worker."""
    return store.register(registration(), metadata)


def registration() -> Registration:
    """Of the worker."""
    return Registration(id=WORKER.by, host="here", pid=7, slots=2)


def scheduled(store: Store, seconds: float = 3600, **changes: object) -> int:
    """A job that was born SCHEDULED, due in ``seconds``."""
    return submit(store, new_job(run_at=store.now() + timedelta(seconds=seconds), **changes))


def eventually(attempt: Callable[[], bool], seconds: float = HANG_SECONDS) -> bool:
    """Try until it is so, for at most ``seconds``."""
    end = monotonic() + seconds
    while not (done := attempt()) and monotonic() < end:
        pass
    return done


def check_move(store: Store, status: Status, move: Move) -> None:
    """The whole truth about one move tried on a job in one status."""

    job_id = place(store, status)
    before, events = row(store, job_id), store.events(job_id)
    rule = RULES[move]
    if status in rule.sources:
        assert eventually(lambda: TRY[move](store, job_id)), "a legal move did not land"
        after = row(store, job_id)
        assert after.status in rule.targets
        [event] = store.events(job_id)[len(events) :]
        assert (event.move, event.from_status, event.to_status) == (move, status, after.status)
        return
    assert not TRY[move](store, job_id), "an illegal move landed"
    after = row(store, job_id)
    assert after.status is status
    assert store.events(job_id) == events
    if status in FINAL:
        assert after == before


def last_event(store: Store, job_id: int) -> Event:
    return store.events(job_id)[-1]
