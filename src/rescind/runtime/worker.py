"""The worker: claims jobs, has an engine run them, and reports how each run ended.

The engine owns the processes. What the store does not take (it may be away) stays pending and is
offered again at the next step.
"""

import math
from collections.abc import Callable, Sequence

import structlog
from msgspec import structs

from rescind import limits
from rescind.clock import Clock
from rescind.engines.protocol import (
    Asked,
    Ended,
    Engine,
    EngineEvent,
    Logged,
    Order,
    Progressed,
    StopReason,
)
from rescind.errors import StoreUnavailable
from rescind.lifecycle import Evidence
from rescind.model import (
    EVERY_JOB,
    Actor,
    Job,
    JobMetadata,
    Registration,
    RunProgress,
    RunRef,
    RunRelease,
)
from rescind.runtime.judgement import Run, judged
from rescind.runtime.lease import Lease
from rescind.runtime.logbook import Logbook
from rescind.runtime.reporter import Reporter, shown
from rescind.store.protocol import Channel, JobStore

_log = structlog.get_logger()


def _line(reason: str) -> str:
    """A reason in one line that every store can keep."""
    words = reason.replace("\0", " ").encode(errors="replace").decode().split()
    return " ".join(words)[: limits.REASON_CHARACTERS_SHOWN]


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
        self._metadata = metadata
        self._processors = {value.name: value.processor for value in metadata}
        self._heartbeat = clock.elapsed()
        self._flushed = clock.elapsed()
        self._reconciled = clock.elapsed()
        self._heard: list[EngineEvent] = []
        self._asked: list[RunRef] = []
        self._obstacles: dict[str, str] = {}
        """Why no jobs of some names are claimed now."""
        self._runs: dict[RunRef, Run] = {}
        self._logbook = Logbook()
        self._progress: dict[RunRef, RunProgress] = {}
        self._reporter = Reporter(store, Actor(by=registration.id))
        self._woken = False
        self._left_free = 0
        """How many slots the last claim has left free."""
        self._claim_at = -math.inf
        self._drain_at: float | None = None

    @property
    def waiter(self) -> "Worker":
        """Itself."""
        return self

    def wait(self, seconds: float) -> None:
        """Wait for the engine; what it says is handled by the next step."""
        self._heard += self._engine.poll(seconds)

    def wake(self) -> None:
        """End the wait; there may be something to claim."""
        self._woken = True
        self._engine.wake()

    def drain(self, seconds: float) -> None:
        """Claim nothing more; stop what still runs after ``seconds`` and give it back."""
        self._drain_at = self._clock.elapsed() + seconds
        self.wake()

    @property
    def drained(self) -> bool:
        """Whether it was drained, nothing runs any more and nothing waits to be written."""
        return self._drain_at is not None and not (self._runs or self._reporter or self._logbook)

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
        """Hear the engine, stop what is overdue, write what was said, report and claim."""
        # First what needs no store: it may be away.
        self._hear()
        self._stop_overdue()
        self._answer()
        if self._flush_is_due():
            self._write_down()
        self._turn()
        self._reporter.report()
        self._reconcile()
        if self._drain_at is None:
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
        if self._asked:
            runs = [run for run in self._asked if run in self._runs]
            allowed = self._store.may_enter(self.id, runs) if runs else set()
            for run in self._asked:
                self._engine.permit(run, run in allowed)
            self._asked.clear()

    def _judge(self, run: Run, ended: Ended) -> None:
        if ended.evidence in (Evidence.TERMINATED, Evidence.KILLED):
            _log.warning(
                "a run was ended by force",
                job_id=ended.run.job_id,
                name=run.job.job_metadata,
                attempt=ended.run.attempt,
                evidence=str(ended.evidence),
                reason=shown(ended.error or str(run.stopped_for or "told to stop")),
            )
        self._reporter.add(judged(run, ended), run.job.job_metadata)

    def _flush_is_due(self) -> bool:
        """Log lines and progress go before the ending of their run: afterwards the worker does
        not hold it any more, and they would be dropped.
        """
        waited = self._clock.elapsed() - self._flushed
        return bool(self._reporter) or waited >= limits.LOG_FLUSH_SECONDS

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
            if not self._reporter:
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

    def _reconcile(self) -> None:
        """Give back what the store says is held here but nothing here runs: a claim whose answer
        was lost, or that the engine did not take. It was never started.
        """
        elapsed = self._clock.elapsed()
        soon = elapsed < self._reconciled + limits.WORKER_POLL_SECONDS
        if soon and self._drain_at is None:
            return
        self._reconciled = elapsed
        known = self._runs.keys() | self._reporter.runs
        lost = [run for run in self._store.held(self.id) if run not in known]
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

    def _turn(self) -> None:
        """Report what ended, and claim for the slots that are free."""
        free = self._slots_to_fill()
        told, processors = self._engine.obstacles(), self._processors.items()
        self._obstacles = {name: told[where] for name, where in processors if where in told}
        names = [name for name in self._processors if name not in self._obstacles]
        claimed = self._reporter.claim(names, free if names else 0)
        if free:
            self._left_free = free - len(claimed)
            self._claim_at = self._clock.elapsed() + limits.WORKER_POLL_SECONDS
        for job in claimed:
            self._start(job)

    def _slots_to_fill(self) -> int:
        """How many jobs to claim: as there are free slots, if there may be something for them that
        was not there the last time.
        """
        if self._drain_at is not None or not self._holds_lease():
            return 0
        if self._woken:
            self._woken = False
            self._claim_at = -math.inf
        free = self._engine.free()
        is_due = free > self._left_free or self._clock.elapsed() >= self._claim_at
        self._left_free = min(free, self._left_free)
        return free if is_due else 0

    def _holds_lease(self) -> bool:
        if self._lease is None or self._lease.holds:
            return True
        if not self._lease.over or self._runs:
            return False
        self._lease.take()
        return True

    def _start(self, job: Job) -> None:
        run = Run(job, self._clock.elapsed())
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
        """Say now and then that this worker lives, what it knows, and what it does not start."""
        elapsed = self._clock.elapsed()
        if elapsed < self._heartbeat + limits.OBSTACLES_SECONDS:
            return
        why = {name: _line(said) for name, said in self._obstacles.items()}
        if (problem := self._engine.problem) is not None:
            why = {**dict.fromkeys((EVERY_JOB, *self._processors), _line(problem)), **why}
        said = structs.replace(self._registration, obstacles=why)
        if said != self._registration or elapsed >= self._heartbeat + limits.HEARTBEAT_SECONDS:
            self._store.heartbeat(said, self._metadata)
            self._registration, self._heartbeat = said, elapsed

    def _seconds_left(self) -> float:
        elapsed = self._clock.elapsed()
        seconds = limits.WORKER_POLL_SECONDS
        if self._reporter:
            seconds = limits.REPORT_AGAIN_SECONDS
        if self._logbook or self._progress:
            seconds = min(seconds, max(0.0, self._flushed + limits.LOG_FLUSH_SECONDS - elapsed))
        for run in self._runs.values():
            if run.stopped_for is None:
                seconds = min(seconds, max(0.0, run.deadline - elapsed))
        return seconds
