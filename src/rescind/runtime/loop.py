"""What every loop is: a step, what wakes it, and how it waits."""

import threading
from collections.abc import Callable, Sized
from datetime import timedelta
from typing import Protocol

from rescind import limits
from rescind.store.protocol import Channel


def exhaust(move: Callable[[int], Sized]) -> None:
    """Repeat a batched move (batch size in, moved jobs out) until a batch is not full."""
    while len(move(limits.LOOP_BATCH_JOBS_MAX)) == limits.LOOP_BATCH_JOBS_MAX:
        pass


def soonest(poll_seconds: float, due: timedelta | None) -> float:
    """How many seconds a loop may wait: until something is due, if anything is, but for no longer
    than its poll; a moment at least, since what is due may be held by another transaction.
    """
    if due is None:
        return poll_seconds
    return min(poll_seconds, max(due.total_seconds(), limits.DUE_SECONDS_MIN))


class Waiter(Protocol):
    """How a loop sleeps until its next step. ``wake`` may come from any thread, at any time."""

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or as soon as ``wake`` was called since the last return."""
        ...

    def wake(self) -> None:
        """End the present wait, or the next."""
        ...


class EventWaiter:
    """The ordinary waiter."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, seconds: float) -> None:
        """See :meth:`Waiter.wait`."""
        self._event.wait(seconds)
        self._event.clear()

    def wake(self) -> None:
        """See :meth:`Waiter.wake`."""
        self._event.set()


class Loop(Protocol):
    """Something that happens on its own, again and again.

    A loop owns no thread and knows no time of day, which may be set back: a supervisor, a test or a
    simulation calls ``step`` when ``waiter`` returns.
    """

    @property
    def name(self) -> str:
        """One word."""
        ...

    @property
    def wakes_on(self) -> frozenset[Channel]:
        """What may give it something to do before its next wake."""
        ...

    @property
    def waiter(self) -> Waiter:
        """How it waits."""
        ...

    def step(self) -> float:
        """Do all there is to do now; in how many seconds to be called again at the latest.

        May raise StoreUnavailable: nothing is lost, the next step does it again.
        """
        ...
