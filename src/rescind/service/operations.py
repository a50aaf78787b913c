"""Do one thing to all jobs of a selection; watch it, stop it, take it back."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from rescind import ids, limits
from rescind.errors import RequestRefused
from rescind.model import Once, RequestKey, User
from rescind.operation import (
    NOBODY,
    Action,
    Begun,
    Operation,
    OperationPage,
    OperationStatus,
    OutcomePage,
    Rights,
    Wanted,
)
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import (
    Caller,
    Permission,
    Profile,
    editable_owner,
    readable_owner,
)
from rescind.service.rerun import rerunnable_owner
from rescind.service.selections import not_found, require_id
from rescind.store.protocol import Store
from rescind.wire.listing import Window

_log = structlog.get_logger()


def begin(
    store: Store,
    profile: Profile,
    caller: Caller,
    action: Action,
    selection_id: str,
    key: RequestKey | None = None,
) -> Answered[str]:
    """Begin an operation on a selection of the caller's; its id.

    Raises RequestRefused when the caller may do that to nobody's jobs, INVALID_DATA when there is
    no such selection, API_LIMIT_EXCEEDED when too many of theirs go on; and as
    :func:`rescind.service.idempotency.answer` does.
    """
    _owner(caller, profile, action)
    require_id(selection_id)
    wanted = Wanted(id=ids.opaque_id(), action=action, actor=caller.actor)

    def do(once: Once[Begun] | None) -> Begun:
        begun = store.begin(wanted, selection_id, once=once)
        _tell(wanted, begun, selection_id=selection_id)
        return begun

    def judge(begun: Begun) -> str:
        if begun is Begun.UNKNOWN:
            raise not_found(selection_id)
        return _begun(wanted, begun)

    return answer(store, key, str, do, judge)


def undo(
    store: Store,
    profile: Profile,
    caller: Caller,
    operation_id: str,
    key: RequestKey | None = None,
) -> Answered[str]:
    """Begin to take back what an operation has cancelled: of the caller's, or of anybody's for who
    may edit all jobs. The new operation's id.

    Raises RequestRefused: OPERATION_IN_PROGRESS while it goes on; INVALID_DATA when there is none,
    when it is no cancel, too old or undone; and otherwise as :func:`begin` does.
    """
    _owner(caller, profile, Action.UNDO)
    _require_id(operation_id)
    wanted = Wanted(id=ids.opaque_id(), action=Action.UNDO, actor=caller.actor)
    owner = _stoppable_owner(caller)

    def do(once: Once[Begun] | None) -> Begun:
        begun = store.undo(wanted, operation_id, owner=owner, once=once)
        _tell(wanted, begun, undo_of=operation_id)
        return begun

    def judge(begun: Begun) -> str:
        if begun is Begun.UNKNOWN:
            raise _unknown(operation_id)
        if begun is Begun.RUNNING:
            raise RequestRefused(
                "OPERATION_IN_PROGRESS",
                f"Operation [{operation_id}] goes on; stop it, or wait until it is done",
            )
        if begun in _NOT_UNDONE:
            why = _NOT_UNDONE[begun]
            raise RequestRefused("INVALID_DATA", f"Operation [{operation_id}] {why}")
        return _begun(wanted, begun)

    return answer(store, key, str, do, judge)


_NOT_UNDONE: Mapping[Begun, str] = {
    Begun.NO_CANCEL: "has cancelled nothing: only cancels can be undone",
    Begun.TOO_OLD: f"ended more than {limits.UNDO_SECONDS // 3600} hours ago",
    Begun.UNDONE: "is being undone, or was undone already",
}


def stop(
    store: Store, caller: Caller, operation_id: str, key: RequestKey | None = None
) -> Answered[str]:
    """Stop an operation: what it has not come to is left as it is. Its id.

    Raises RequestRefused, INVALID_DATA, when there is none, or none of the caller's, who may not
    edit all jobs; and when it has ended.
    """
    owner = _stoppable_owner(caller)
    _require_id(operation_id)

    def do(once: Once[OperationStatus | None] | None) -> OperationStatus | None:
        before = store.stop(operation_id, owner=owner, once=once)
        if before is OperationStatus.RUNNING:
            user_id, request_id = caller.user.id, caller.request_id
            what = "an operation was stopped"
            _log.info(what, operation_id=operation_id, user_id=user_id, request_id=request_id)
        return before

    def judge(before: OperationStatus | None) -> str:
        if before is None:
            raise _unknown(operation_id)
        if before is not OperationStatus.RUNNING:
            message = f"Operation [{operation_id}] has ended: it is {before}"
            raise RequestRefused("INVALID_DATA", message)
        return operation_id

    return answer(store, key, str, do, judge)


def operation(store: Store, caller: Caller, operation_id: str) -> Operation:
    """One operation: of the caller's, or of anybody's for who may read all jobs. Raises
    RequestRefused in the same words when there is none and when the caller may not read it.
    """
    _require_id(operation_id)
    found = store.operation(operation_id, owner=readable_owner(caller))
    if found is None:
        raise _unknown(operation_id)
    return found


def operations(store: Store, caller: Caller, window: Window) -> OperationPage:
    """The operations that the caller may read, newest first."""
    owner = readable_owner(caller)
    return store.operations(limit=window.limit, offset=window.offset, owner=owner)


def outcomes(
    store: Store, caller: Caller, operation_id: str, window: Window, code: str | None
) -> OutcomePage:
    """What became of the jobs of an operation, those with ``code`` only, if given. Raises
    RequestRefused as :func:`operation` does.
    """
    _require_id(operation_id)
    found = store.outcomes(
        operation_id,
        owner=readable_owner(caller),
        code=code,
        limit=window.limit,
        offset=window.offset,
    )
    if found is None:
        raise _unknown(operation_id)
    return found


def may_act(caller: Caller, found: Operation) -> bool:
    """Whether the caller may stop and undo an operation."""
    return _stoppable_owner(caller) in (None, found.created_by)


def rights(profile: Profile) -> Callable[[User, Action], Rights]:
    """What the user of an operation may, as they are when it is asked."""

    def now(user: User, action: Action) -> Rights:
        caller = Caller(user=user, request_id="")
        owner: int | None = NOBODY
        if user.active and caller.may(Permission.API_ACCESS):
            with suppress(RequestRefused):
                owner = _owner(caller, profile, action)
        return Rights(
            owner=owner,
            running_allowed=profile.running_cancellable,
            hold_seconds=profile.start_hold_seconds,
        )

    return now


def _owner(caller: Caller, profile: Profile, action: Action) -> int | None:
    """Whose jobs the caller may do it to. Raises RequestRefused when nobody's."""
    if action in (Action.RERUN, Action.UNDO):
        return rerunnable_owner(caller, profile, undo=action is Action.UNDO)
    return editable_owner(caller, profile)


def _stoppable_owner(caller: Caller) -> int | None:
    """Whose operations the caller may stop and undo."""
    return None if caller.may(Permission.JOBS_EDIT) else caller.user.id


def _tell(wanted: Wanted, begun: Begun, **of_what: str) -> None:
    """One line in the service's log for an operation that was begun."""
    if begun is Begun.BEGUN:
        _log.info(
            "an operation was begun",
            operation_id=wanted.id,
            action=wanted.action,
            **of_what,
            user_id=wanted.actor.user_id,
            request_id=wanted.actor.request_id,
            reason=wanted.actor.reason,
        )


def _begun(wanted: Wanted, begun: Begun) -> str:
    if begun is Begun.TOO_MANY:
        raise RequestRefused(
            "API_LIMIT_EXCEEDED",
            f"{limits.OPERATIONS_RUNNING_MAX} operations of yours go on; wait for one, or stop it",
        )
    return wanted.id


def _require_id(operation_id: str) -> None:
    if not ids.is_opaque(operation_id):
        raise _unknown(operation_id)


def _unknown(operation_id: str) -> RequestRefused:
    return RequestRefused("INVALID_DATA", f"Operation [{operation_id}] is not found")
