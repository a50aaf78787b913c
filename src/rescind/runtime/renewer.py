"""The renewer: keeps the leases of a worker's runs, on a thread of its own, so that no slow write
holds it up. A run that it cannot keep is killed in time by its engine, whatever becomes of this
process.
"""

from rescind import limits
from rescind.clock import Clock
from rescind.engines.protocol import Engine
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel, JobStore


class Renewer:
    """Renews leases; see :class:`rescind.runtime.loop.Loop`."""

    name = "renewer"
    wakes_on: frozenset[Channel] = frozenset()

    def __init__(
        self,
        store: JobStore,
        engine: Engine,
        clock: Clock,
        *,
        worker_id: str,
        lease_seconds: float,
    ) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._engine = engine
        self._clock = clock
        self._worker_id = worker_id
        self._lease_seconds = lease_seconds

    def step(self) -> float:
        """Renew all leases, and let go on what they are for."""
        # The new lease begins when the store hears of it, so not before this.
        asked_at = self._clock.elapsed()
        renewed = self._store.renew(self._worker_id)
        if renewed:
            self._engine.extend(renewed, fence_at(asked_at, self._lease_seconds))
        whole = len(renewed) >= len(self._store.held(self._worker_id))
        wait = self._lease_seconds / limits.LEASE_RENEWALS
        return wait if whole else limits.RENEW_AGAIN_SECONDS


def fence_at(asked_at: float, lease_seconds: float) -> float:
    """Until when a run may go on whose lease was asked for at ``asked_at``: in time before the
    lease is over. In seconds of ``Clock.elapsed``, as ``asked_at``.
    """
    return asked_at + lease_seconds - limits.LEASE_MARGIN_SECONDS
