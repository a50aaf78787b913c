"""The stopper: hears that a run of this worker was cancelled, on a thread of its own, so that a
busy worker still stops in time.
"""

from rescind import limits
from rescind.engines.protocol import Engine, StopReason
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel, JobStore


class Stopper:
    """Tells the engine what to stop; see :class:`rescind.runtime.loop.Loop`."""

    name = "stopper"
    wakes_on = frozenset({Channel.CANCELLING})

    def __init__(self, store: JobStore, engine: Engine, *, worker_id: str) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._engine = engine
        self._worker_id = worker_id

    def step(self) -> float:
        """Stop every run whose cancel was accepted; saying it twice does nothing."""
        for run in self._store.stops_wanted(self._worker_id):
            self._engine.stop(run, StopReason.CANCEL)
        return limits.WORKER_POLL_SECONDS
