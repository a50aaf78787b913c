"""The statuses of a job and the moves between them: data that everything else is checked against.

The same facts stand in two more places, because each of them must hold by itself: the ``WHERE``
of each move's SQL statement, and a trigger in the schema. ``tests/guarantee`` proves that the
three agree. ``docs/lifecycle.md`` is generated from this module.
"""

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a job stands. The words are Vault's."""

    SCHEDULED = "SCHEDULED"
    """Waiting for its time. *submit* puts a job here when its run date lies ahead, *retry* when
    its code raised and attempts are left. *stage* (due), *start* (a person), *cancel*, *miss* and
    *fail* take it out."""

    QUEUEING = "QUEUEING"
    """Due, but held back before its queue. *start* puts a job here for the length of the start
    hold; *submit* and *stage* may. *queue* (nothing holds it back any more), *cancel* and *fail*
    take it out."""

    QUEUED = "QUEUED"
    """Waiting for a free slot of a worker. *submit*, *start*, *stage*, *queue* and *rescue* put a
    job here; *claim*, *cancel* and *fail* take it out."""

    RUNNING = "RUNNING"
    """Held by one worker, under its lease. Only *claim* puts a job here; *finish*, *retry*,
    *rescue* and *cancel* take it out."""

    CANCELLING = "CANCELLING"
    """A cancel was accepted and is on disk. Only *cancel* puts a job here and only *settle*
    takes it out: whatever else happens, it ends as CANCELLED."""

    CANCELLED = "CANCELLED"
    """Cancelled, and stopped with evidence of how. Final."""

    SUCCESS = "SUCCESS"
    """The code returned. Final."""

    ERRORS_ENCOUNTERED = "ERRORS_ENCOUNTERED"
    """The code raised and no attempts are left, its process died, or its worker was lost and the
    job may not be started twice. Final."""

    TIMEOUT = "TIMEOUT"
    """Stopped, with the same means as a cancel, because it ran longer than it may. Final."""

    COMPLETED_DUE_TO_INACTIVITY = "COMPLETED_DUE_TO_INACTIVITY"
    """Stopped because it gave no sign of life for as long as its metadata allows. Final."""

    MISSED_SCHEDULE = "MISSED_SCHEDULE"
    """An occurrence of a schedule that was found too late to run. Final."""

    FAILED_TO_RUN = "FAILED_TO_RUN"
    """Never started, because nothing can run it: its definition is invalid, or no live worker
    has known its name for a day. Final."""


class Move(StrEnum):
    """What changes a status. The same word names the SQL statement, the Store method, the event
    and the test."""

    SUBMIT = "submit"
    START = "start"
    STAGE = "stage"
    QUEUE = "queue"
    CLAIM = "claim"
    FINISH = "finish"
    RETRY = "retry"
    RESCUE = "rescue"
    CANCEL = "cancel"
    SETTLE = "settle"
    MISS = "miss"
    FAIL = "fail"


class Rule(NamedTuple):
    """One row of the status machine: ``move`` takes a job from any of ``sources`` to one of
    ``targets``, and only ``by`` makes it. SUBMIT alone has no sources: a job is born there."""

    move: Move
    sources: frozenset[Status]
    targets: frozenset[Status]
    by: str
    when: str


def _set(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


_S = Status

MOVES: tuple[Rule, ...] = (
    Rule(
        Move.SUBMIT,
        _set(),
        _set(_S.SCHEDULED, _S.QUEUEING, _S.QUEUED),
        "service",
        "someone submits a job: ahead of its run date, held back, or due",
    ),
    Rule(
        Move.START,
        _set(_S.SCHEDULED),
        _set(_S.QUEUEING, _S.QUEUED),
        "service",
        "someone starts a scheduled job now",
    ),
    Rule(
        Move.STAGE,
        _set(_S.SCHEDULED),
        _set(_S.QUEUEING, _S.QUEUED),
        "scheduler",
        "its run date has come",
    ),
    Rule(
        Move.QUEUE,
        _set(_S.QUEUEING),
        _set(_S.QUEUED),
        "scheduler",
        "nothing holds it back any more",
    ),
    Rule(Move.CLAIM, _set(_S.QUEUED), _set(_S.RUNNING), "worker", "a slot is free"),
    Rule(
        Move.FINISH,
        _set(_S.RUNNING),
        _set(_S.SUCCESS, _S.ERRORS_ENCOUNTERED, _S.TIMEOUT, _S.COMPLETED_DUE_TO_INACTIVITY),
        "worker",
        "its run has ended, or was stopped for time or inactivity",
    ),
    Rule(
        Move.RETRY,
        _set(_S.RUNNING),
        _set(_S.SCHEDULED),
        "worker",
        "its code raised and attempts are left",
    ),
    Rule(
        Move.RESCUE,
        _set(_S.RUNNING),
        _set(_S.QUEUED, _S.ERRORS_ENCOUNTERED),
        "rescuer",
        "its worker is lost, or gave it up: it runs again if it may",
    ),
    Rule(
        Move.CANCEL,
        _set(_S.SCHEDULED, _S.QUEUEING, _S.QUEUED, _S.RUNNING),
        _set(_S.CANCELLING),
        "service",
        "someone cancels it and its row permits that",
    ),
    Rule(
        Move.SETTLE,
        _set(_S.CANCELLING),
        _set(_S.CANCELLED),
        "canceller",
        "it never ran, its run has stopped, or its worker is lost",
    ),
    Rule(
        Move.MISS,
        _set(_S.SCHEDULED),
        _set(_S.MISSED_SCHEDULE),
        "scheduler",
        "an occurrence was found too late",
    ),
    Rule(
        Move.FAIL,
        _set(_S.SCHEDULED, _S.QUEUEING, _S.QUEUED),
        _set(_S.FAILED_TO_RUN),
        "scheduler",
        "due, and no live worker has known its name for a day",
    ),
)

RULES: dict[Move, Rule] = {rule.move: rule for rule in MOVES}

BIRTHS: frozenset[Status] = RULES[Move.SUBMIT].targets
"""The statuses a job may be born in."""

TRANSITIONS: frozenset[tuple[Status, Status]] = frozenset(
    (source, target) for rule in MOVES for source in rule.sources for target in rule.targets
)
"""Every legal (from, to)."""

FINAL: frozenset[Status] = frozenset(Status) - {source for source, _ in TRANSITIONS}
"""The statuses nothing leads out of."""

CANCELLABLE: frozenset[Status] = RULES[Move.CANCEL].sources
"""The statuses a cancel may be accepted in, if the job's row permits."""

WAITING: frozenset[Status] = CANCELLABLE - {Status.RUNNING}
"""The statuses of a job that has yet to start."""

CANCELLABLE_IN_DEFAULT: frozenset[Status] = CANCELLABLE - {Status.SCHEDULED}
"""``cancellable_in`` of a job whose metadata does not say. SCHEDULED is always cancellable and
never listed."""


class Evidence(StrEnum):
    """How a run is known to have stopped. A finished job that nobody stopped has none."""

    NEVER_STARTED = "NEVER_STARTED"
    """Its function was never entered."""

    STOPPED_ITSELF = "STOPPED_ITSELF"
    """It ended on its own, at most after being asked politely."""

    TERMINATED = "TERMINATED"
    """SIGTERM ended it, or what it had left behind."""

    KILLED = "KILLED"
    """SIGKILL ended it, or what it had left behind."""

    WORKER_LOST = "WORKER_LOST"
    """Its worker is gone or cut off and the lease has run out. The worker's host has fenced
    itself; nobody saw the process end."""
