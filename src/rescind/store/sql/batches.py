"""One batch of an operation: one thing done to each of some jobs, and what became of each.

A batch waits for nobody while it holds jobs: whoever wants to cancel one of them meanwhile would
have to wait with it. So it takes what is free, and leaves the rest.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from rescind.lifecycle import CANCELLABLE, Move, Status
from rescind.model import Actor, CancelCode, StartCode, Verdict
from rescind.operation import Action, JobOutcome, Rights
from rescind.store.sql.reruns import rerun_in
from rescind.store.sql.statements import Moved, Transaction, move_in, statuses_in

_MOVES = {Action.CANCEL: Move.CANCEL, Action.START: Move.START}
_CODES = {Action.CANCEL: CancelCode.of, Action.START: StartCode.of}
_SOURCES = {Action.CANCEL: CANCELLABLE, Action.START: frozenset({Status.SCHEDULED})}


def act(
    transaction: Transaction, action: Action, ids: Sequence[int], actor: Actor, rights: Rights
) -> tuple[Moved, list[JobOutcome]]:
    """What was moved, and the outcome of each id, in order."""
    if action in _MOVES:
        return _move(transaction, action, ids, actor, rights)
    undo = action is Action.UNDO
    moved, verdicts = rerun_in(transaction, ids, actor, undo=undo, owner=rights.owner)
    return moved, [
        JobOutcome(id=job_id, code=verdict.code, status=verdict.status, new_id=verdict.new_id)
        if (verdict := verdicts.get(job_id))
        else unknown(job_id)
        for job_id in ids
    ]


def unknown(job_id: int) -> JobOutcome:
    """The outcome of a job that is not there, or not the user's."""
    return JobOutcome(id=job_id, code=CancelCode.UNKNOWN, status=None, new_id=None)


def _move(
    transaction: Transaction, action: Action, ids: Sequence[int], actor: Actor, rights: Rights
) -> tuple[Moved, list[JobOutcome]]:
    def move(some: Sequence[int]) -> Moved:
        asked = {"ids": some, "owner": rights.owner, "free_only": True, **_asked(action, rights)}
        return move_in(transaction, _MOVES[action], actor, **asked)

    moved = move(ids)
    status_of, held = dict(moved), frozenset[int]()
    rest = [job_id for job_id in ids if job_id not in status_of]
    if rest:
        found = statuses_in(transaction, rest, rights.owner)
        # What might have moved was held by somebody else, or its row does not permit it.
        likely = [job_id for job_id in rest if found.get(job_id) in _SOURCES[action]]
        if likely:
            free = transaction.rows("hold", ids=likely, owner=rights.owner)
            moved += move([row["id"] for row in free])
            held = frozenset(likely) - {row["id"] for row in free}
            found = statuses_in(transaction, rest, rights.owner)
        status_of = {**found, **dict(moved)}
    return moved, _outcomes(action, ids, status_of, {job_id for job_id, _ in moved}, held)


def _asked(action: Action, rights: Rights) -> dict[str, Any]:
    if action is Action.CANCEL:
        return {"running_allowed": rights.running_allowed}
    return {"hold": timedelta(seconds=rights.hold_seconds)}


def _outcomes(
    action: Action,
    ids: Sequence[int],
    status_of: dict[int, Status],
    landed: Collection[int],
    held: Collection[int],
) -> list[JobOutcome]:
    outcomes: list[JobOutcome] = []
    for job_id in ids:
        status = status_of.get(job_id)
        if status is None:
            outcomes.append(unknown(job_id))
            continue
        code = _CODES[action](Verdict(job_id in landed, status, held=job_id in held))
        outcomes.append(JobOutcome(id=job_id, code=code, status=status, new_id=None))
    return outcomes
