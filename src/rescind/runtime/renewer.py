"""The renewer: keeps a worker's lease, on a thread of its own, so that no write holds it up."""

from rescind import limits
from rescind.runtime.lease import Lease
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel


class Renewer:
    """Renews a lease; see :class:`rescind.runtime.loop.Loop`."""

    name = "renewer"
    wakes_on: frozenset[Channel] = frozenset()

    def __init__(self, lease: Lease) -> None:
        self.waiter = EventWaiter()
        self._lease = lease

    def step(self) -> float:
        """Renew it."""
        self._lease.renew()
        return self._lease.seconds / limits.LEASE_RENEWALS
