"""The exchanger: wake-ups from this process to the others that share its store, and back."""

from collections.abc import Callable, Collection

from rescind import limits
from rescind.clock import Clock
from rescind.store.protocol import Channel, Exchange


class Exchanger:
    """Sends and receives wake-ups; see :class:`rescind.runtime.loop.Loop`. It is its own waiter:
    it waits for its exchange.
    """

    name = "exchanger"
    wakes_on: frozenset[Channel] = frozenset()

    def __init__(
        self, exchange: Exchange, clock: Clock, deliver: Callable[[Collection[Channel]], None]
    ) -> None:
        """``deliver`` wakes the loops of this process."""
        self._exchange = exchange
        self._clock = clock
        self._deliver = deliver
        self._sent = float("-inf")

    @property
    def waiter(self) -> "Exchanger":
        """Itself."""
        return self

    def wait(self, seconds: float) -> None:
        """Wait until there is something to send or to hear."""
        self._exchange.wait(seconds)

    def wake(self) -> None:
        """End the wait."""
        self._exchange.wake()

    def step(self) -> float:
        """Deliver what was heard; send what is pending, unless something was sent just now."""
        self._deliver(self._exchange.receive())
        elapsed = self._clock.elapsed()
        early = self._sent + limits.NOTIFY_SECONDS_MIN - elapsed
        if early <= 0 and self._exchange.pending:
            self._exchange.send()
            self._sent = elapsed
        return early if early > 0 and self._exchange.pending else limits.EXCHANGE_POLL_SECONDS
