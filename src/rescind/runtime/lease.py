"""A worker's lease, as its process knows it: until when what it runs may go on."""

import threading

import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.engines.protocol import Engine
from rescind.store.protocol import JobStore

_log = structlog.get_logger()


class Lease:
    """See the module. The worker takes it, its renewer keeps it, each on a thread of its own.

    The engine kills what runs in time before the lease is over, whatever becomes of this process.
    """

    def __init__(
        self, store: JobStore, engine: Engine, clock: Clock, *, worker_id: str, seconds: float
    ) -> None:
        self.seconds = seconds
        self.over = True
        """It is over, or was not taken yet: nothing may be claimed until it is taken anew."""
        self._store = store
        self._engine = engine
        self._clock = clock
        self._worker_id = worker_id
        self._fence_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def holds(self) -> bool:
        """Whether what is claimed now may run."""
        return not self.over and self._clock.elapsed() < self._fence_at

    def take(self) -> None:
        """Begin it. Nothing may run here that was claimed under the one before."""
        with self._lock:
            asked_at = self._clock.elapsed()
            self._store.lease(self._worker_id)
            self._extend(asked_at)
            self.over = False

    def renew(self) -> None:
        """Put off its end; if that came first, kill what runs under it."""
        with self._lock:
            if self.over:
                return
            asked_at = self._clock.elapsed()
            if self._store.renew(self._worker_id):
                self._extend(asked_at)
                return
            self.over = True
            self._engine.fence(asked_at)
        _log.error("the lease is over: what runs here is killed", worker=self._worker_id)

    def _extend(self, asked_at: float) -> None:
        # It begins when the store hears of it, so not before it was asked for.
        self._fence_at = asked_at + self.seconds - limits.LEASE_MARGIN_SECONDS
        self._engine.fence(self._fence_at)
