"""What a worker asks of an engine, and what an engine tells its worker.

An engine runs code and stops it, truthfully. It stores nothing and decides nothing about a job's
status: the worker does, from what it hears here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from rescind import limits
from rescind.lifecycle import Evidence
from rescind.model import JobMetadata, RunRef


class StopReason(StrEnum):
    """Why a run is told to stop; its code can read it."""

    CANCEL = "CANCEL"
    TIMEOUT = "TIMEOUT"
    INACTIVITY = "INACTIVITY"
    DRAIN = "DRAIN"


class Order(Struct, frozen=True, kw_only=True):
    """One run to start."""

    run: RunRef
    processor: str
    """``module:attribute`` of a processor."""
    parameters: Mapping[str, Any]
    grace_seconds: float
    """Between the polite request to stop and SIGTERM."""
    interrupt_seconds: float | None = limits.INTERRUPT_SECONDS_DEFAULT
    """Between that request and the interruption of a function that has not noticed it, at most half
    the grace. None: it is not interrupted."""
    terminate_seconds: float = limits.TERMINATE_SECONDS_DEFAULT
    """Between SIGTERM and SIGKILL."""


class Ending(StrEnum):
    """How the code of a run came to its end."""

    RETURNED = "RETURNED"
    RAISED = "RAISED"
    """It raised, or could not be imported, or returned what is not JSON; ``error`` says it."""
    DIED = "DIED"
    """Its process ended without being told to; ``error`` says how."""
    STOPPED = "STOPPED"
    """It was told to stop and did not return a result: it raised ``JobCancelled``, or force
    ended it."""
    NOT_ENTERED = "NOT_ENTERED"
    """Its function was never entered: entry was refused, or the stop came first."""


class Asked(Struct, frozen=True):
    """The run is about to enter its function and waits for :meth:`Engine.permit`."""

    run: RunRef


class Logged(Struct, frozen=True):
    """The run logged, or printed, one line (no line break in it)."""

    run: RunRef
    at: datetime
    text: str
    after_cancel: bool = False
    """It was written after the run had been told that its job is cancelled."""


class Alive(Struct, frozen=True):
    """The run wrote something that makes no line yet."""

    run: RunRef


class Progressed(Struct, frozen=True):
    """The run said how far it has come."""

    run: RunRef
    done: int
    total: int


class Ended(Struct, frozen=True, kw_only=True):
    """The run is over: nothing of it is alive any more. The last word about a run."""

    run: RunRef
    ending: Ending
    evidence: Evidence
    result: Any = None
    error: str | None = None
    noticed: bool = False
    """Whether its function had noticed that it was told to stop."""


EngineEvent = Asked | Alive | Logged | Progressed | Ended


class Engine(Protocol):
    """Where runs happen. One thread calls ``start``, ``permit``, ``poll`` and ``close``;
    ``stop``, ``fence`` and ``wake`` may be called from any thread."""

    def describe(self) -> Sequence[JobMetadata]:
        """The processors of the job modules this engine was given.

        Raises ConfigurationError naming every module that cannot be imported and every name
        declared twice.
        """
        ...

    @property
    def problem(self) -> str | None:
        """Why no run can be started, in one line, if something is wrong; from any thread."""
        ...

    def obstacles(self) -> Mapping[str, str]:
        """The processors that there is no place for a run of now, as far as is known, and why, in
        one sentence.
        """
        ...

    def free(self) -> int:
        """How many runs can be started right now."""
        ...

    def start(self, order: Order) -> None:
        """Start a run; at most ``free()`` times between two polls."""
        ...

    def permit(self, run: RunRef, allowed: bool) -> None:
        """Answer an :class:`Asked`. Refused, the run ends as NOT_ENTERED."""
        ...

    def stop(self, run: RunRef, reason: StopReason) -> None:
        """Ask the run to stop; after its grace, force it. A run that is over, or was already told
        to stop, is left alone (the first reason stays)."""
        ...

    def fence(self, at: float) -> None:
        """From ``at`` on, in seconds of ``Clock.elapsed``, nothing runs here or is entered, unless
        this is called again before. Until it is called, there is no such end.
        """
        ...

    def poll(self, timeout_seconds: float) -> list[EngineEvent]:
        """Wait until something happened, ``wake`` was called or the time is up; then everything
        that happened, in order."""
        ...

    def wake(self) -> None:
        """Make a waiting ``poll`` return."""
        ...

    def close(self) -> None:
        """Kill every run and everything it started, and wait until nothing is left."""
        ...
