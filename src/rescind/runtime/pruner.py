"""The pruner: what is kept for a time is deleted after it."""

from rescind import limits
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel, Store

_DAY_SECONDS = 86_400.0


class Pruner:
    """Deletes finished jobs, sessions, idempotency keys, the pages of queries, selections and
    operations; see :class:`rescind.runtime.loop.Loop`.
    """

    name = "pruner"
    wakes_on: frozenset[Channel] = frozenset()

    def __init__(self, store: Store, *, retention_days: int) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._age_seconds = retention_days * _DAY_SECONDS

    def step(self) -> float:
        """Delete a batch of each kind; soon again while there is more: others write, too."""
        few, many = limits.PRUNE_BATCH_JOBS_MAX, limits.LOOP_BATCH_JOBS_MAX
        large = limits.PRUNE_BATCH_PINNED_MAX
        more = (
            self._store.prune_jobs(age_seconds=self._age_seconds, limit=few) == few,
            self._store.prune_sessions(age_seconds=limits.SESSION_SECONDS_MAX, limit=many) == many,
            self._store.prune_keys(limit=many) == many,
            self._store.prune_cursors(limit=many) == many,
            self._store.prune_operations(age_seconds=self._age_seconds, limit=large) == large,
            self._store.prune_selections(limit=large) == large,
        )
        return limits.PRUNE_AGAIN_SECONDS if any(more) else limits.PRUNE_POLL_SECONDS
