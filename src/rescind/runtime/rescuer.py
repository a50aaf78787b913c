"""The rescuer: jobs of lost workers, and those given back, run again or end with an error."""

import structlog

from rescind import limits
from rescind.lifecycle import FINAL
from rescind.model import Actor, Job
from rescind.runtime.loop import EventWaiter, exhaust, soonest
from rescind.store.protocol import Channel, JobStore

_log = structlog.get_logger()


class Rescuer:
    """Takes jobs away from lost workers; see :class:`rescind.runtime.loop.Loop`."""

    name = "rescuer"
    wakes_on = frozenset({Channel.RELEASED})

    def __init__(self, store: JobStore) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._actor = Actor(by=self.name)

    def step(self) -> float:
        """First end the leases that are over: who lost one cannot renew it meanwhile. Then take
        what they held.
        """
        for worker in self._store.end_leases():
            _log.error("a worker is lost: its lease is over", worker=worker)
        exhaust(self._rescue)
        return soonest(limits.RESCUER_POLL_SECONDS, self._store.next_lease_end())

    def _rescue(self, limit: int) -> list[Job]:
        rescued = self._store.rescue(self._actor, limit=limit)
        for job in rescued:
            if job.error is None:
                continue  # it had not been entered: nothing has happened
            event = "a job failed" if job.status in FINAL else "a job is started again"
            _log.warning(event, job_id=job.id, name=job.job_metadata, reason=job.error)
        return rescued
