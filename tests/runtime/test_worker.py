"""The worker against a store that fails and an engine that refuses: nothing is lost."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from msgspec.structs import replace

from engines.conftest import jobs_importable
from processes import HANG_SECONDS
from rescind.clock import SystemClock
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.protocol import Ended, EngineEvent, Order, StopReason
from rescind.errors import StoreUnavailable
from rescind.lifecycle import FINAL, Evidence, Status
from rescind.model import Actor, JobMetadata, Registration, RunEnd
from rescind.runtime.judgement import retry_delay
from rescind.runtime.stopper import Stopper
from rescind.runtime.worker import Worker
from rescind.store.protocol import Turn
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness

__all__ = ["jobs_importable"]

JOBS = "engines.jobs_for_tests"


class LossyStore(SqliteStore):
    """A real store that loses the acknowledgement of its next claim."""

    lose_next_claim = False
    turns = 0

    def turn(
        self, actor: Actor, ends: Sequence[RunEnd], *, names: Sequence[str], limit: int
    ) -> Turn:
        self.turns += 1
        turn = super().turn(actor, ends, names=names, limit=limit)
        if turn.claimed and self.lose_next_claim:
            self.lose_next_claim = False
            raise StoreUnavailable("the connection broke after the commit")
        return turn

    def refuse_success_of(self, job_id: int) -> None:
        """Let the database itself refuse that this job ends well."""
        self._database._writer.execute(
            f"CREATE TRIGGER refuses BEFORE UPDATE OF status ON job WHEN NEW.id = {job_id} "
            "AND NEW.status = 'SUCCESS' BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

    def break_writes(self, broken: bool) -> None:
        """Let every write fail, as on a read-only file, or no longer."""
        self._database._writer.execute(f"PRAGMA query_only = {int(broken)}")


class RefusingEngine(ProcessEngine):
    """A real engine that cannot start its next run."""

    refuse_next = False
    garble = False
    """Whether it says something senseless of a run before it says that it ended."""

    def poll(self, seconds: float) -> list[EngineEvent]:
        events = super().poll(seconds)
        senseless: Any = object()
        ended = any(isinstance(event, Ended) for event in events)
        return [senseless, *events] if self.garble and ended else events

    def start(self, order: Order) -> None:
        if self.refuse_next:
            self.refuse_next = False
            raise OSError("too many open files")
        super().start(order)


class Bench:
    """A worker on a store and an engine, stepped by the test."""

    def __init__(self, path: Path, slots: int = 1) -> None:
        migrate(path)
        self.store = LossyStore(path, SystemClock())
        self.store.add_user("ada", "hash", frozenset())
        self.engine = RefusingEngine([JOBS], slots=slots, clock=SystemClock())
        metadata = self.engine.describe()
        self.metadata = {value.processor.partition(":")[2]: value for value in metadata}
        registration = Registration(id="worker-1", host="here", pid=7, slots=1)
        self.store.register(registration, metadata)
        self.worker = Worker(
            self.store, self.engine, SystemClock(), registration=registration, metadata=metadata
        )
        self.stopper = Stopper(self.store, self.engine, worker_id="worker-1")

    def submit(self, name: str, **changes: object) -> int:
        """Submit one of the test jobs."""
        metadata: JobMetadata = self.metadata[name]
        for field, value in changes.items():
            metadata = replace(metadata, **{field: value})
        return harness.submit(self.store, harness.new_job(metadata=metadata))

    def step(self) -> None:
        """What a supervisor does in one round."""
        try:
            self.stopper.step()
            self.worker.step()
        except (StoreUnavailable, OSError):
            pass
        self.worker.wait(0.02)

    def until(self, done: Callable[[], bool], seconds: float = HANG_SECONDS) -> None:
        end = monotonic() + seconds
        while not done():
            assert monotonic() < end, "waited in vain"
            self.step()

    def status(self, job_id: int) -> Status:
        return harness.row(self.store, job_id).status


@pytest.fixture
def bench(tmp_path: Path, jobs_importable: None) -> Iterator[Bench]:
    bench = Bench(tmp_path / "rescind.db")
    yield bench
    bench.engine.close()
    bench.store.close()


def test_a_claim_whose_answer_was_lost_is_given_back_and_runs(bench: Bench) -> None:
    bench.store.lose_next_claim = True
    job_id = bench.submit("echo")
    bench.until(lambda: bench.status(job_id) is Status.RUNNING)
    bench.until(lambda: harness.rescued(bench.store) == [job_id])
    bench.until(lambda: bench.status(job_id) is Status.SUCCESS)


def test_a_cancel_of_a_claim_whose_answer_was_lost_settles(bench: Bench) -> None:
    bench.store.lose_next_claim = True
    job_id = bench.submit("echo")
    bench.until(lambda: bench.status(job_id) is Status.RUNNING)
    assert harness.cancel(bench.store, job_id)
    bench.until(lambda: bench.store.settle(harness.SYSTEM, limit=9) == [job_id])
    assert harness.row(bench.store, job_id).evidence is Evidence.NEVER_STARTED


def test_a_run_that_the_engine_does_not_take_is_given_back(bench: Bench) -> None:
    bench.engine.refuse_next = True
    job_id = bench.submit("echo")
    bench.until(lambda: harness.rescued(bench.store) == [job_id])
    bench.until(lambda: bench.status(job_id) is Status.SUCCESS)


def test_an_end_that_the_store_does_not_take_is_offered_until_it_does(bench: Bench) -> None:
    job_id = bench.submit("waits")
    bench.until(lambda: bool(bench.store.log(job_id)))
    bench.store.break_writes(True)
    [run] = bench.store.held("worker-1")
    bench.engine.stop(run, StopReason.DRAIN)
    bench.until(lambda: bench.engine.free() == 1)
    for _ in range(3):
        bench.step()
    bench.store.break_writes(False)
    bench.until(lambda: bench.store.held("worker-1") == [])
    assert harness.row(bench.store, job_id).evidence is Evidence.STOPPED_ITSELF


def test_an_ending_that_the_database_refuses_holds_up_neither_others_nor_itself(
    bench: Bench,
) -> None:
    refused, other = bench.submit("echo"), bench.submit("echo")
    bench.store.refuse_success_of(refused)
    bench.until(lambda: bench.status(other) is Status.SUCCESS)
    job = harness.row(bench.store, refused)
    assert job.status is Status.ERRORS_ENCOUNTERED
    assert "The database refused" in (job.error or "")
    assert bench.store.held("worker-1") == []


def test_what_an_engine_says_that_makes_no_sense_does_not_hold_up_the_rest(bench: Bench) -> None:
    bench.engine.garble = True
    job_id = bench.submit("echo")
    bench.until(lambda: bench.status(job_id) is Status.SUCCESS)


def test_a_time_out_needs_no_store(bench: Bench) -> None:
    job_id = bench.submit("waits", timeout_seconds=1.0)
    bench.until(lambda: bool(bench.store.log(job_id)))
    bench.store.break_writes(True)
    bench.until(lambda: bench.engine.free() == 1)
    bench.store.break_writes(False)
    bench.until(lambda: bench.status(job_id) is Status.TIMEOUT)


def test_a_worker_that_drains_claims_no_more_and_says_when_it_is_done(bench: Bench) -> None:
    running, waiting = bench.submit("waits"), bench.submit("echo")
    bench.until(lambda: bool(bench.store.log(running)))
    assert not bench.worker.drained
    bench.worker.drain(0.1)
    bench.until(lambda: bench.worker.drained)
    assert bench.status(waiting) is Status.QUEUED
    assert harness.rescued(bench.store) == [running]
    assert bench.status(running) is Status.ERRORS_ENCOUNTERED


def drain(bench: Bench, name: str, **changes: object) -> int:
    """Run a job and drain at once; its id when that has been reported."""
    job_id = bench.submit(name, **changes)
    bench.until(lambda: bool(bench.store.log(job_id)))
    bench.worker.drain(0)
    bench.until(lambda: bench.worker.drained)
    harness.rescued(bench.store)
    return job_id


@pytest.mark.parametrize("name", ["waits", "raises_when_asked", "returns_when_asked"])
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"idempotent": True}, Status.QUEUED),
        ({"attempts_max": 2}, Status.QUEUED),
        ({}, Status.ERRORS_ENCOUNTERED),
    ],
)
def test_what_a_drain_stopped_is_given_back_however_it_ended(
    bench: Bench, name: str, changes: dict[str, object], status: Status
) -> None:
    job = harness.row(bench.store, drain(bench, name, **changes))
    assert job.status is status
    assert job.failures == 0
    assert job.result is None
    if status is Status.ERRORS_ENCOUNTERED:
        assert "deploy" in (job.error or "")


def test_what_does_not_stop_when_drained_is_killed_and_costs_nothing(bench: Bench) -> None:
    job_id = bench.submit("swallows", idempotent=True, grace_seconds=600.0)
    bench.until(lambda: bool(bench.store.log(job_id)))
    bench.worker.drain(0)
    bench.step()
    assert bench.worker.longest_stop_seconds > 600
    bench.worker.kill()
    bench.until(lambda: bench.worker.drained)
    assert harness.rescued(bench.store) == [job_id]
    job = harness.row(bench.store, job_id)
    assert (job.status, job.failures) == (Status.QUEUED, 0)


def test_what_finished_while_it_was_drained_has_finished(bench: Bench) -> None:
    job_id = drain(bench, "returns_unaware", interrupt_seconds=None)
    assert bench.status(job_id) is Status.SUCCESS


@pytest.mark.parametrize("name", ["raises", "exits_hard"])
def test_a_job_without_attempts_ends_when_it_raises_even_if_it_is_idempotent(
    bench: Bench, name: str
) -> None:
    job_id = bench.submit(name, idempotent=True)
    bench.until(lambda: bench.status(job_id) in FINAL)
    assert bench.status(job_id) is Status.ERRORS_ENCOUNTERED


def test_failures_limit_the_attempts_and_drains_do_not(bench: Bench) -> None:
    job_id = bench.submit("raises", attempts_max=2, retry_seconds=0.0)
    bench.store._database._writer.execute(f"UPDATE job SET attempt = 7 WHERE id = {job_id}")
    bench.until(lambda: bench.status(job_id) is Status.SCHEDULED)
    assert bench.store.stage(harness.SYSTEM, limit=9) == [job_id]
    bench.until(lambda: bench.status(job_id) is Status.ERRORS_ENCOUNTERED)
    assert harness.row(bench.store, job_id).attempt == 9


def test_what_ends_badly_is_a_line_in_the_services_log(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    failed, killed = bench.submit("raises"), bench.submit("swallows", grace_seconds=0.1)
    bench.until(lambda: bench.status(failed) in FINAL)
    bench.until(lambda: bool(bench.store.log(killed)))
    assert harness.cancel(bench.store, killed)
    bench.until(lambda: bench.store.settle(harness.SYSTEM, limit=9) == [killed])
    said = capsys.readouterr().out.splitlines()
    [line] = [line for line in said if "a job failed" in line]
    assert f"job_id={failed}" in line
    assert "raise__c" in line
    assert "broken" in line
    [line] = [line for line in said if "ended by force" in line]
    assert f"job_id={killed}" in line
    assert "KILLED" in line


def test_a_run_that_returns_because_it_was_told_to_stop_for_time_keeps_that(bench: Bench) -> None:
    job_id = bench.submit("returns_when_asked", timeout_seconds=0.3)
    bench.until(lambda: bench.status(job_id) is Status.TIMEOUT)
    assert harness.row(bench.store, job_id).result is None


@pytest.mark.parametrize("limit", ["timeout_seconds", "inactivity_seconds"])
def test_a_run_that_returns_without_having_noticed_has_finished(bench: Bench, limit: str) -> None:
    job_id = bench.submit("returns_unaware", **{limit: 0.3, "interrupt_seconds": None})
    bench.until(lambda: bench.status(job_id) is Status.SUCCESS)
    assert harness.row(bench.store, job_id).result == "finished without knowing"


def test_a_run_that_is_interrupted_for_time_keeps_that(bench: Bench) -> None:
    job_id = bench.submit("returns_unaware", timeout_seconds=0.1, interrupt_seconds=0.1)
    bench.until(lambda: bench.status(job_id) is Status.TIMEOUT)
    assert harness.row(bench.store, job_id).evidence is Evidence.STOPPED_ITSELF


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("echo", Status.SUCCESS),
        ("raises", Status.ERRORS_ENCOUNTERED),
        ("exits_hard", Status.ERRORS_ENCOUNTERED),
    ],
)
def test_a_job_that_nobody_stopped_shows_no_evidence(
    bench: Bench, name: str, status: Status
) -> None:
    job_id = bench.submit(name)
    bench.until(lambda: bench.status(job_id) is status)
    assert harness.row(bench.store, job_id).evidence is None
    assert bench.store.events(job_id)[-1].evidence is None


def test_a_job_that_was_stopped_for_time_shows_how(bench: Bench) -> None:
    job_id = bench.submit("waits", timeout_seconds=0.3)
    bench.until(lambda: bench.status(job_id) is Status.TIMEOUT)
    assert harness.row(bench.store, job_id).evidence is Evidence.STOPPED_ITSELF


def test_the_delay_between_attempts_doubles_up_to_its_bound(bench: Bench) -> None:
    job = harness.row(bench.store, bench.submit("echo"))
    delays = [
        retry_delay(replace(job, failures=failures, retry_seconds=10.0))
        for failures in (0, 1, 2, 59)
    ]
    assert delays == [10.0, 20.0, 40.0, 86_400.0]


def test_a_job_that_reports_makes_its_worker_claim_no_more(
    tmp_path: Path, jobs_importable: None
) -> None:
    """A claim that found nothing is made again when something was queued, or at its time."""
    bench = Bench(tmp_path / "rescind.db", slots=2)
    try:
        began = monotonic()
        job_id = bench.submit("reports_often")
        bench.until(lambda: bench.status(job_id) is Status.SUCCESS)
        # As slots get ready, and once a second; it has reported a thousand times.
        assert bench.store.turns <= 6 + 2 * (monotonic() - began)
    finally:
        bench.engine.close()
        bench.store.close()


def test_what_is_queued_after_a_claim_that_found_nothing_is_claimed_at_once(bench: Bench) -> None:
    bench.until(lambda: bench.engine.free() == 1)
    bench.step()
    job_id = bench.submit("echo")
    bench.worker.wake()
    bench.step()
    assert bench.status(job_id) is not Status.QUEUED
