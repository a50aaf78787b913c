"""The operator: operations on many jobs are worked off, a batch of each in turn."""

from collections import Counter
from collections.abc import Callable

from rescind import limits
from rescind.model import User
from rescind.operation import Action, Rights, Worked
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel, OperationStore


class Operator:
    """Works operations off; see :class:`rescind.runtime.loop.Loop`."""

    name = "operator"
    wakes_on = frozenset({Channel.OPERATION})

    def __init__(self, store: OperationStore, rights: Callable[[User, Action], Rights]) -> None:
        self.waiter = EventWaiter()
        self._store = store
        self._rights = rights
        self._held: Counter[int] = Counter()
        """How often somebody else has held jobs of an operation's next batch."""

    def step(self) -> float:
        """Do a batch of every operation that has one; others have their turn between two."""
        running = self._store.running_operations(limit=limits.OPERATIONS_AT_ONCE)
        worked = {self._operate(number) for number in running}
        if Worked.DONE in worked:
            return 0.0
        return (
            limits.OPERATOR_HELD_SECONDS if Worked.HELD in worked else limits.OPERATOR_POLL_SECONDS
        )

    def _operate(self, number: int) -> Worked:
        patience_over = self._held[number] >= limits.OPERATOR_HELD_TRIES
        worked = self._store.operate(number, self._rights, leave_held=patience_over)
        if worked is Worked.HELD:
            self._held[number] += 1
        else:
            del self._held[number]
        return worked
