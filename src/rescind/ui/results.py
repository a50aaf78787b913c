"""What became of an operation, as it stands above the page that its user has come back to."""

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from rescind import limits
from rescind.api.http import Context
from rescind.clock import SystemClock
from rescind.errors import RequestRefused
from rescind.model import CancelCode, RerunCode, StartCode
from rescind.operation import NOT_DONE, Action, JobOutcome, Operation, OperationStatus
from rescind.service import operations as operating
from rescind.service.policy import Caller
from rescind.wire.listing import Window

DONE: Mapping[Action, str] = {
    Action.CANCEL: CancelCode.ACCEPTED,
    Action.START: StartCode.STARTED,
    Action.RERUN: RerunCode.SUBMITTED,
    Action.UNDO: RerunCode.SUBMITTED,
}
"""The code of a job to which it was done."""

WORDS: Mapping[Action, tuple[str, str]] = {
    Action.CANCEL: ("accepted", "Cancelling"),
    Action.START: ("started", "Starting"),
    Action.RERUN: ("submitted", "Running again"),
    Action.UNDO: ("undone", "Undoing"),
}
"""What is said of one to which it was done, and of the operation while it goes on."""

REASONS: Mapping[str, str] = {
    CancelCode.ALREADY_CANCELLING: "was being cancelled already",
    CancelCode.ALREADY_CANCELLED: "was cancelled already",
    CancelCode.FINISHED: "had finished first",
    CancelCode.NOT_CANCELLABLE: "may not be cancelled where it stood: its job forbids it",
    CancelCode.UNKNOWN: "is not there any more, or not yours",
    CancelCode.RACE_CONDITION: "was held by somebody else for too long: try again",
    StartCode.NOT_SCHEDULED: "was not scheduled",
    RerunCode.NOT_FINISHED: "had not finished",
    RerunCode.HAD_STARTED: "had started: what it did cannot be taken back",
    RerunCode.NOT_CANCELLED: "was not cancelled",
    RerunCode.ALREADY_UNDONE: "was undone already",
    RerunCode.EXISTS: "has a unique key that is another job's by now",
    RerunCode.METADATA_UNKNOWN: "is of a job that no worker knows any more",
    NOT_DONE: "was not come to: the operation was stopped",
}
"""Why it was not done to a job, by code."""


class Result(Struct, frozen=True, kw_only=True):
    """An operation, the first of its refusals, and what its user may do about it."""

    operation: Operation
    refused: tuple[JobOutcome, ...]
    may_act: bool

    @property
    def done(self) -> int:
        """To how many jobs it was done."""
        return self.operation.outcomes.get(DONE[self.operation.action], 0)

    @property
    def refusals(self) -> int:
        """To how many it was not done, of those that were judged."""
        left_out = self.operation.outcomes.get(NOT_DONE, 0)
        return sum(self.operation.outcomes.values()) - self.done - left_out

    @property
    def undoable(self) -> bool:
        """Whether it may be taken back, as far as is known."""
        operation = self.operation
        late = operation.ended_at is None or SystemClock().now() > operation.ended_at + timedelta(
            seconds=limits.UNDO_SECONDS
        )
        cancelled = operation.action is Action.CANCEL and self.done > 0
        return self.may_act and cancelled and not late and operation.undone_by is None

    @property
    def stoppable(self) -> bool:
        """Whether it goes on, and may be stopped."""
        return self.may_act and self.operation.status is OperationStatus.RUNNING


def result(context: Context, caller: Caller, operation_id: str | None) -> Result | None:
    """What became of an operation; None where there is none, or none for the caller."""
    if operation_id is None:
        return None
    try:
        operation = operating.operation(context.store, caller, operation_id)
        refused: list[JobOutcome] = []
        for code in operation.outcomes:
            left = limits.PAGE_OUTCOMES_SHOWN - len(refused)
            if code != DONE[operation.action] and left > 0:
                window = Window(limit=left, offset=0)
                page = operating.outcomes(context.store, caller, operation_id, window, code)
                refused += page.outcomes
    except RequestRefused:
        return None
    may_act = operating.may_act(caller, operation)
    return Result(operation=operation, refused=tuple(refused), may_act=may_act)
