"""The scheduler: what is due is queued, and what nothing can run is given up."""

import math

import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.model import Actor, Job
from rescind.runtime.loop import EventWaiter, exhaust, soonest
from rescind.store.protocol import Channel, JobStore

_log = structlog.get_logger()


class Scheduler:
    """Moves jobs towards their queue; see :class:`rescind.runtime.loop.Loop`."""

    name = "scheduler"
    wakes_on = frozenset({Channel.SCHEDULED})

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._clock = clock
        self._actor = Actor(by=self.name)
        self._looked_at = -math.inf
        self._fail_at = -math.inf

    def step(self) -> float:
        """Queue what is due, fail what nothing can run."""
        exhaust(lambda limit: self._store.stage(self._actor, limit=limit))
        exhaust(lambda limit: self._store.queue(self._actor, limit=limit))
        elapsed = self._clock.elapsed()
        if elapsed - self._looked_at > limits.FAIL_GAP_SECONDS:
            # We have just started, the store was away, or we stood still: so may have the workers,
            # and have not said yet that they live.
            self._fail_at = elapsed + limits.FAIL_SETTLE_SECONDS
        self._looked_at = elapsed
        if elapsed >= self._fail_at:
            self._fail_at = elapsed + limits.FAIL_POLL_SECONDS
            exhaust(self._fail)
        return soonest(limits.SCHEDULER_POLL_SECONDS_MAX, self._store.next_due())

    def _fail(self, limit: int) -> list[Job]:
        unknown = limits.JOB_UNKNOWN_SECONDS_MAX
        failed = self._store.fail(self._actor, unknown_seconds=unknown, limit=limit)
        for job in failed:
            _log.warning("a job failed", job_id=job.id, name=job.job_metadata, reason=job.error)
        return failed
