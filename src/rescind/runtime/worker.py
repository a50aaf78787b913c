"""The worker: claims jobs, has an engine run them, and reports how each run ended.

It owns claim, finish, retry and release; the engine owns the processes. What the store does not
take (it may be away) stays pending and is offered again at the next step.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.engines.protocol import (
    Asked,
    Ended,
    Ending,
    Engine,
    EngineEvent,
    Logged,
    Order,
    Progressed,
    StopReason,
)
from rescind.errors import StoreUnavailable
from rescind.lifecycle import Evidence, Status
from rescind.model import (
    Actor,
    Job,
    JobMetadata,
    Registration,
    RunEnd,
    RunProgress,
    RunRef,
    RunRelease,
    RunRetry,
)
from rescind.runtime.lease import Lease
from rescind.runtime.logbook import Logbook
from rescind.store.protocol import Channel, JobStore

_log = structlog.get_logger()

_STOPPED_FOR = {
    StopReason.TIMEOUT: Status.TIMEOUT,
    StopReason.INACTIVITY: Status.COMPLETED_DUE_TO_INACTIVITY,
}


class _Run:
    """One run under way."""

    def __init__(self, job: Job, elapsed: float) -> None:
        self.ref = RunRef(job.id, job.attempt)
        self.job = job
        self.deadline = elapsed + job.timeout_seconds
        self.last_sign = elapsed
        self.stopped_for: StopReason | None = None

    def overdue(self, elapsed: float) -> StopReason | None:
        """Why it must be stopped by now, if it must."""
        inactivity = self.job.inactivity_seconds
        if elapsed >= self.deadline:
            return StopReason.TIMEOUT
        if inactivity is not None and elapsed >= self.last_sign + inactivity:
            return StopReason.INACTIVITY
        return None


_End = TypeVar("_End", RunEnd, RunRetry)


class Worker:
    """Runs jobs; see :class:`rescind.runtime.loop.Loop`. It is its own waiter: it waits for its
    engine.
    """

    name = "worker"
    wakes_on = frozenset({Channel.QUEUED})

    def __init__(
        self,
        store: JobStore,
        engine: Engine,
        clock: Clock,
        *,
        registration: Registration,
        metadata: Sequence[JobMetadata],
        lease: Lease | None = None,
    ) -> None:
        """``lease``: None where it lasts as long as this process."""
        self.id = registration.id
        self._registration = registration
        self._lease = lease
        self._store = store
        self._engine = engine
        self._clock = clock
        self._actor = Actor(by=self.id)
        self._metadata = metadata
        self._processors = {value.name: value.processor for value in metadata}
        self._names: dict[int, str] = {}
        """Of the jobs whose runs have not been reported."""
        self._heartbeat = clock.elapsed()
        self._flushed = clock.elapsed()
        self._reconciled = clock.elapsed()
        self._heard: list[EngineEvent] = []
        self._asked: list[RunRef] = []
        self._runs: dict[RunRef, _Run] = {}
        self._logbook = Logbook()
        self._progress: dict[RunRef, RunProgress] = {}
        self._ends: list[RunEnd] = []
        self._retries: list[RunRetry] = []
        self._releases: list[RunRelease] = []
        self._drain_at: float | None = None

    @property
    def waiter(self) -> "Worker":
        """Itself."""
        return self

    def wait(self, seconds: float) -> None:
        """Wait for the engine; what it says is handled by the next step."""
        self._heard += self._engine.poll(seconds)

    def wake(self) -> None:
        """End the wait."""
        self._engine.wake()

    def drain(self, seconds: float) -> None:
        """Claim nothing more; stop what still runs after ``seconds`` and give it back."""
        self._drain_at = self._clock.elapsed() + seconds
        self.wake()

    @property
    def drained(self) -> bool:
        """Whether it was drained, nothing runs any more and nothing waits to be written."""
        return self._drain_at is not None and not (self._runs or self._ended or self._logbook)

    @property
    def longest_stop_seconds(self) -> float:
        """That what runs now may take to stop."""
        jobs = [run.job for run in list(self._runs.values())]
        return max((job.grace_seconds + job.terminate_seconds for job in jobs), default=0.0)

    def kill(self) -> None:
        """Kill what still runs; it is given back as what was drained is."""
        self._engine.fence(self._clock.elapsed())
        self.wake()

    def step(self) -> float:
        """Hear the engine, write what it said, stop what is overdue, claim for free slots."""
        # First what needs no store: it may be away.
        self._hear()
        self._stop_overdue()
        self._answer()
        if self._flush_is_due():
            self._write_down()
        self._report()
        self._reconcile()
        if self._drain_at is None:
            self._claim()
            self._say_alive()
        return self._seconds_left()

    def _hear(self) -> None:
        """Take in what the engine said. What cannot be taken in does not hold up the rest."""
        heard, self._heard = self._heard, []
        for event in heard:
            try:
                self._handle(event)
            except Exception:  # noqa: BLE001 - the cause is logged
                _log.exception(
                    "something that the engine said was dropped", event_kind=type(event).__name__
                )

    def _handle(self, event: EngineEvent) -> None:
        """Take in one thing that the engine said."""
        if isinstance(event, Asked):
            self._asked.append(event.run)
            return
        run = self._runs.get(event.run)
        if run is None:
            return
        run.last_sign = self._clock.elapsed()
        if isinstance(event, Logged):
            self._logbook.add(event)
        elif isinstance(event, Progressed):
            self._progress[event.run] = RunProgress(
                run=event.run, done=event.done, total=event.total
            )
        elif isinstance(event, Ended):
            self._logbook.end(event.run, self._clock.now())
            self._judge(run, event)
            del self._runs[event.run]

    def _answer(self) -> None:
        """Let those enter that are still running."""
        while self._asked:
            run = self._asked[0]
            allowed = run in self._runs and self._store.may_enter(self.id, run)
            self._engine.permit(run, allowed)
            self._asked.pop(0)

    def _judge(self, run: _Run, ended: Ended) -> None:
        """What is to be reported about a run that is over."""
        status = None if run.stopped_for is None else _STOPPED_FOR.get(run.stopped_for)
        drained = run.stopped_for is StopReason.DRAIN
        if ended.evidence in (Evidence.TERMINATED, Evidence.KILLED):
            _log.warning(
                "a run was ended by force",
                job_id=ended.run.job_id,
                name=run.job.job_metadata,
                attempt=ended.run.attempt,
                evidence=str(ended.evidence),
                reason=_shown(ended.error or str(run.stopped_for or "told to stop")),
            )
        if ended.ending is Ending.RETURNED and not (run.stopped_for and ended.noticed):
            # Its work is done: it had not noticed that it was told to stop.
            self._end(run, ended, Status.SUCCESS)
        elif status is not None:
            self._end(run, ended, status, f"Stopped: {run.stopped_for} after {_limit_of(run)}.")
        elif drained or ended.ending in (Ending.STOPPED, Ending.NOT_ENTERED):
            self._releases.append(
                RunRelease(run=ended.run, evidence=ended.evidence, drained=drained)
            )
        elif run.job.failures + 1 < run.job.attempts_max:
            self._retries.append(
                RunRetry(
                    run=ended.run,
                    evidence=ended.evidence,
                    error=ended.error or "",
                    delay_seconds=retry_delay(run.job),
                )
            )
        else:
            self._end(run, ended, Status.ERRORS_ENCOUNTERED, ended.error)

    def _end(self, run: _Run, ended: Ended, status: Status, error: str | None = None) -> None:
        self._ends.append(
            RunEnd(
                run=ended.run,
                status=status,
                evidence=ended.evidence,
                stopped=run.stopped_for is not None,
                error=error,
                result=ended.result if status is Status.SUCCESS else None,
            )
        )

    @property
    def _ended(self) -> bool:
        """Whether the end of a run waits to be written."""
        return bool(self._ends or self._retries or self._releases)

    def _flush_is_due(self) -> bool:
        """Log lines and progress go before the ending of their run: afterwards the worker does
        not hold it any more, and they would be dropped.
        """
        waited = self._clock.elapsed() - self._flushed
        return self._ended or waited >= limits.LOG_FLUSH_SECONDS

    def _write_down(self) -> None:
        """Write log lines and progress, in transactions of their own: a chatty job must not slow
        a move.
        """
        self._flushed = self._clock.elapsed()
        if self._progress:
            self._attempt(self._write_progress)
        while self._logbook:
            self._attempt(self._write_log)
            self._logbook.clear()
            if not self._ended:
                break
        if self._logbook:
            self._flushed = -math.inf  # as soon as the engine has been heard

    def _attempt(self, write: Callable[[], None]) -> None:
        """What cannot be kept must not hold up endings."""
        try:
            write()
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - the cause is logged
            _log.exception("log lines or progress were dropped")

    def _write_log(self) -> None:
        self._store.append_log(self.id, self._logbook.chunks())

    def _write_progress(self) -> None:
        written = self._store.write_progress(self.id, list(self._progress.values()))
        for run in list(self._progress):
            # What did not land is offered again, until the run has ended.
            if run in written or run not in self._runs:
                del self._progress[run]

    def _report(self) -> None:
        """Finish and retry what ended. What does not land any more (a cancel was accepted
        meanwhile) is given back with the evidence of how it stopped.
        """
        if self._ends:
            landed = self._landed(self._ends, self._store.finish)
            for end in self._ends:
                if end.run.job_id in landed and end.status is not Status.SUCCESS:
                    self._tell("a job failed", end.run, f"{end.status}: {end.error}")
            self._give_back_rest(self._ends, landed)
            self._ends = []
        if self._retries:
            landed = self._landed(self._retries, self._store.retry)
            for again in self._retries:
                if again.run.job_id in landed:
                    self._tell("a job is tried again", again.run, again.error)
            self._give_back_rest(self._retries, landed)
            self._retries = []
        if self._releases:
            self._store.release(self.id, self._releases)
            self._releases = []
        if len(self._names) > len(self._runs):
            running = {run.job_id for run in self._runs}
            self._names = {id_: name for id_, name in self._names.items() if id_ in running}

    def _tell(self, event: str, run: RunRef, reason: str) -> None:
        name = self._names.get(run.job_id)
        _log.warning(event, job_id=run.job_id, name=name, reason=_shown(reason))

    def _landed(
        self, ends: Sequence[_End], write: Callable[[Actor, Sequence[_End]], set[int]]
    ) -> set[int]:
        """The jobs that ``write`` moved. What the database refuses must not hold up the others, nor
        for ever itself: then each is written alone, and what is refused again ends with just that.
        """
        try:
            return write(self._actor, ends)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - the cause is logged
            _log.exception("endings were refused by the database", runs=len(ends))
        landed: set[int] = set()
        for end in ends:
            try:
                landed |= write(self._actor, [end])
            except StoreUnavailable:
                raise  # those that have landed are known to have, when they are written again
            except Exception as error:  # noqa: BLE001 - the job's own error says it
                landed |= self._store.finish(self._actor, [_refused(end, error)])
        return landed

    def _give_back_rest(self, ends: Sequence[RunEnd | RunRetry], landed: set[int]) -> None:
        self._releases += [
            RunRelease(run=end.run, evidence=end.evidence)
            for end in ends
            if end.run.job_id not in landed
        ]

    def _reconcile(self) -> None:
        """Give back what the store says is held here but nothing here runs: a claim whose answer
        was lost, or that the engine did not take. It was never started.
        """
        elapsed = self._clock.elapsed()
        soon = elapsed < self._reconciled + limits.WORKER_POLL_SECONDS
        if soon and self._drain_at is None:
            return
        self._reconciled = elapsed
        lost = [run for run in self._store.held(self.id) if run not in self._runs]
        if lost:
            _log.warning("giving back runs that were never started", runs=len(lost))
            given = [RunRelease(run=run, evidence=Evidence.NEVER_STARTED) for run in lost]
            self._store.release(self.id, given)

    def _stop_overdue(self) -> None:
        elapsed = self._clock.elapsed()
        drained = self._drain_at is not None and elapsed >= self._drain_at
        for run in self._runs.values():
            reason = run.overdue(elapsed) or (StopReason.DRAIN if drained else None)
            if reason is not None and run.stopped_for is None:
                run.stopped_for = reason
                self._engine.stop(run.ref, reason)

    def _claim(self) -> None:
        if self._lease is not None and not self._lease.holds:
            if not self._lease.over or self._runs:
                return
            self._lease.take()
        free = self._engine.free()
        if free == 0:
            return
        for job in self._store.claim(self._actor, names=list(self._processors), limit=free):
            run = _Run(job, self._clock.elapsed())
            self._names[job.id] = job.job_metadata
            self._engine.start(
                Order(
                    run=run.ref,
                    # A job follows its name: its function may have moved since it was submitted.
                    processor=self._processors[job.job_metadata],
                    parameters=job.parameters,
                    grace_seconds=job.grace_seconds,
                    interrupt_seconds=job.interrupt_seconds,
                    terminate_seconds=job.terminate_seconds,
                )
            )
            self._runs[run.ref] = run

    def _say_alive(self) -> None:
        """Say now and then that this worker lives and what it knows."""
        elapsed = self._clock.elapsed()
        if elapsed >= self._heartbeat + limits.HEARTBEAT_SECONDS:
            self._store.heartbeat(self._registration, self._metadata)
            self._heartbeat = elapsed

    def _seconds_left(self) -> float:
        elapsed = self._clock.elapsed()
        seconds = limits.WORKER_POLL_SECONDS
        if self._logbook or self._progress:
            seconds = min(seconds, max(0.0, self._flushed + limits.LOG_FLUSH_SECONDS - elapsed))
        for run in self._runs.values():
            if run.stopped_for is None:
                seconds = min(seconds, max(0.0, run.deadline - elapsed))
        return seconds


def _refused(end: RunEnd | RunRetry, error: Exception) -> RunEnd:
    """How a run ends that the database does not let end as it did."""
    return RunEnd(
        run=end.run,
        status=Status.ERRORS_ENCOUNTERED,
        evidence=end.evidence,
        stopped=end.stopped if isinstance(end, RunEnd) else False,
        error=f"The database refused what the run ended with: {type(error).__name__}.",
    )


def retry_delay(job: Job) -> float:
    """Seconds to wait before the next attempt: doubling, bounded."""
    doubled = job.retry_seconds * 2.0**job.failures
    return min(doubled, max(job.retry_seconds, limits.RETRY_SECONDS_MAX))


def _shown(reason: str) -> str:
    """A reason in one line: a traceback says it in its last."""
    lines = reason.strip().splitlines() or [""]
    return lines[-1][: limits.REASON_CHARACTERS_SHOWN]


def _limit_of(run: _Run) -> str:
    if run.stopped_for is StopReason.INACTIVITY:
        return f"{run.job.inactivity_seconds:g} seconds without a sign of life"
    return f"{run.job.timeout_seconds:g} seconds"
