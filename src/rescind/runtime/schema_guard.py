"""The schema guard: a program that the database has left behind serves no longer."""

from rescind import limits
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel, Store


class SchemaGuard:
    """Looks whether the schema is still served; see :class:`rescind.runtime.loop.Loop`."""

    name = "schema guard"
    wakes_on: frozenset[Channel] = frozenset()

    def __init__(self, store: Store) -> None:
        self.waiter = EventWaiter()
        self._store = store

    def step(self) -> float:
        """Raises SchemaError, which ends the process, when it is not."""
        self._store.require_schema()
        return limits.SCHEMA_POLL_SECONDS
