"""The only module that reads time.

Everything that needs the time is handed a :class:`Clock`, so that a test can move it and a
simulation can replay it.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(instant: datetime) -> int:
    """``instant`` (aware) as whole milliseconds since 1970, rounded down."""
    return (instant - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The inverse of :func:`to_milliseconds`; UTC."""
    return EPOCH + milliseconds * _MILLISECOND


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The current instant: aware, UTC, whole milliseconds."""
        ...

    def elapsed(self) -> float:
        """Seconds since some fixed moment, never set back and counting through suspension."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """See :meth:`Clock.now`."""
        return from_milliseconds(time.time_ns() // 1_000_000)

    def elapsed(self) -> float:
        """See :meth:`Clock.elapsed`."""
        # A suspended laptop must count as elapsed time; CLOCK_MONOTONIC stands still meanwhile.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def sleep(seconds: float) -> None:
    """Let ``seconds`` pass."""
    time.sleep(seconds)


class ManualClock:
    """Time that moves only when told to."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._now = start

    def now(self) -> datetime:
        """See :meth:`Clock.now`."""
        return self._now

    def elapsed(self) -> float:
        """See :meth:`Clock.elapsed`."""
        return (self._now - EPOCH).total_seconds()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._now += timedelta(seconds=seconds)
