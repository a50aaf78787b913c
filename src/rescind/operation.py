"""What is done to many jobs at once: exactly those that a query meant, pinned, and then one thing
done to each, in batches, with an outcome for each.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from rescind.lifecycle import Status
from rescind.model import Actor, CancelCode, RerunCode, StartCode


class Action(StrEnum):
    """What an operation does to each job."""

    CANCEL = "cancel"
    RERUN = "rerun"
    START = "start"
    UNDO = "undo"
    """It takes back the cancels of another operation."""


class OperationStatus(StrEnum):
    """Where an operation stands."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    STOPPED = "STOPPED"
    """By a person: what had not been judged is left as it was."""


NOT_DONE = "NOT_DONE"
"""The outcome of a job that a stopped operation had not come to."""

OUTCOME_CODES: tuple[str, ...] = (
    NOT_DONE,
    *dict.fromkeys(
        str(code)
        for kind in (CancelCode, StartCode, RerunCode)
        for code in kind
        if code != CancelCode.INVALID_ID  # what is pinned is an id
    ),
)
"""Every outcome: that, and those of single requests."""


class FirstJob(Struct, frozen=True, kw_only=True):
    """One of the jobs that a selection shows."""

    id: int
    title: str
    status: Status


class Pinned(Struct, frozen=True, kw_only=True):
    """Exactly the jobs that a query meant at one moment, as far as its user may change them."""

    id: str
    query: str
    total: int
    left_out: int
    """How many it also meant that the user may read, but not change."""
    statuses: dict[str, int]
    """How many stood where, at that moment."""
    first: list[FirstJob]
    expires_at: datetime
    """Until then operations can be begun on it."""


class Wanted(Struct, frozen=True, kw_only=True):
    """An operation that somebody asks for."""

    id: str
    action: Action
    actor: Actor


class Begun(StrEnum):
    """What became of asking for an operation."""

    BEGUN = "BEGUN"
    UNKNOWN = "UNKNOWN"
    """There is no such selection or operation, or none of theirs, or it has expired."""
    TOO_MANY = "TOO_MANY"
    """The user has as many running as one may."""
    RUNNING = "RUNNING"
    """Of an undo, as are the others: what it is to take back goes on."""
    NO_CANCEL = "NO_CANCEL"
    TOO_OLD = "TOO_OLD"
    UNDONE = "UNDONE"
    """By another operation, which goes on or is done."""


class Operation(Struct, frozen=True, kw_only=True):
    """One thing done to each job of a selection, as far as it has come."""

    id: str
    action: Action
    status: OperationStatus
    total: int
    done: int
    """How many jobs have been judged."""
    stopped: int
    """How many of those whose cancel it had accepted are CANCELLED by now."""
    outcomes: dict[str, int]
    """How many jobs, by code."""
    query: str
    created_by: int
    created_at: datetime
    ended_at: datetime | None
    reason: str | None
    undo_of: str | None
    """The operation whose cancels it takes back."""
    undone_by: str | None
    """The operation that takes back its own, unless that was stopped."""


class OperationPage(Struct, frozen=True, kw_only=True):
    """A page of operations, and how many there are in all."""

    operations: list[Operation]
    total: int


class JobOutcome(Struct, frozen=True, kw_only=True):
    """What became of one job of an operation."""

    id: int
    code: str
    status: Status | None
    """Where the job stood once it was judged; None of one that was not found, or not judged."""
    new_id: int | None
    """The job that was submitted in its place; of ALREADY_UNDONE, the one that stands there."""


class OutcomePage(Struct, frozen=True, kw_only=True):
    """A page of the outcomes of an operation, and how many there are in all."""

    outcomes: list[JobOutcome]
    total: int


class Worked(StrEnum):
    """What became of the next batch of an operation."""

    DONE = "DONE"
    """It is written."""
    HELD = "HELD"
    """Somebody else holds some of its jobs: nothing was done."""
    NOTHING = "NOTHING"
    """Another process is at it, or the operation has ended."""


class Rights(Struct, frozen=True, kw_only=True):
    """What the user of an operation may at this moment."""

    owner: int | None
    """Whose jobs they may do it to: None for everyone's."""
    running_allowed: bool
    """Whether a RUNNING job may be cancelled, where its row permits."""
    hold_seconds: float
    """How long a job that is started waits in QUEUEING first."""


NOBODY = 0
"""Whose jobs there are none."""
