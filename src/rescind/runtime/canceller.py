"""The canceller: what is CANCELLING and has stopped becomes CANCELLED."""

from rescind import limits
from rescind.model import Actor
from rescind.runtime.loop import EventWaiter, exhaust
from rescind.store.protocol import Channel, JobStore


class Canceller:
    """Settles jobs; see :class:`rescind.runtime.loop.Loop`."""

    name = "canceller"
    wakes_on = frozenset({Channel.CANCELLING, Channel.RELEASED})

    def __init__(self, store: JobStore) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._actor = Actor(by=self.name)

    def step(self) -> float:
        """Settle all that has stopped."""
        exhaust(lambda limit: self._store.settle(self._actor, limit=limit))
        return limits.CANCELLER_POLL_SECONDS
