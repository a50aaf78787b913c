"""The rescuer: what runs under a lease that is over runs again, or ends with an error."""

from rescind import limits
from rescind.model import Actor
from rescind.runtime.loop import EventWaiter, exhaust, soonest
from rescind.store.protocol import Channel, JobStore


class Rescuer:
    """Takes jobs away from lost workers; see :class:`rescind.runtime.loop.Loop`."""

    name = "rescuer"
    wakes_on = frozenset({Channel.RELEASED})

    def __init__(self, store: JobStore) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._actor = Actor(by=self.name)

    def step(self) -> float:
        """Rescue all whose lease is over."""
        exhaust(lambda limit: self._store.rescue(self._actor, limit=limit))
        return soonest(limits.RESCUER_POLL_SECONDS, self._store.next_lease_end())
