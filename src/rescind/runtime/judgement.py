"""A run as its worker knows it, and what is to be reported of it when it is over."""

from rescind import limits
from rescind.engines.protocol import Ended, Ending, StopReason
from rescind.lifecycle import Status
from rescind.model import Job, RunEnd, RunRef, RunRelease, RunRetry

_STOPPED_FOR = {
    StopReason.TIMEOUT: Status.TIMEOUT,
    StopReason.INACTIVITY: Status.COMPLETED_DUE_TO_INACTIVITY,
}

Report = RunEnd | RunRetry | RunRelease


class Run:
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


def judged(run: Run, ended: Ended) -> Report:
    """What is to be reported of a run that is over."""
    status = None if run.stopped_for is None else _STOPPED_FOR.get(run.stopped_for)
    drained = run.stopped_for is StopReason.DRAIN
    if ended.ending is Ending.RETURNED and not (run.stopped_for and ended.noticed):
        # Its work is done: it had not noticed that it was told to stop.
        return _end(run, ended, Status.SUCCESS)
    if status is not None:
        return _end(run, ended, status, f"Stopped: {run.stopped_for} after {_limit_of(run)}.")
    if drained or ended.ending in (Ending.STOPPED, Ending.NOT_ENTERED):
        return RunRelease(run=ended.run, evidence=ended.evidence, drained=drained)
    if run.job.failures + 1 < run.job.attempts_max:
        return RunRetry(
            run=ended.run,
            evidence=ended.evidence,
            error=ended.error or "",
            delay_seconds=retry_delay(run.job),
        )
    return _end(run, ended, Status.ERRORS_ENCOUNTERED, ended.error)


def _end(run: Run, ended: Ended, status: Status, error: str | None = None) -> RunEnd:
    return RunEnd(
        run=ended.run,
        status=status,
        evidence=ended.evidence,
        stopped=run.stopped_for is not None,
        error=error,
        result=ended.result if status is Status.SUCCESS else None,
    )


def refused(end: RunEnd | RunRetry, error: Exception) -> RunEnd:
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


def _limit_of(run: Run) -> str:
    if run.stopped_for is StopReason.INACTIVITY:
        return f"{run.job.inactivity_seconds:g} seconds without a sign of life"
    return f"{run.job.timeout_seconds:g} seconds"
