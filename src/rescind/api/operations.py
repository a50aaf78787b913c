"""Handlers of selections and operations: Rescind's own."""

from collections.abc import Sequence

from rescind import limits
from rescind.api.http import Answer, Context, Request
from rescind.api.idempotency import request_key
from rescind.api.jobs import done
from rescind.operation import OUTCOME_CODES, Action
from rescind.service import operations as operating
from rescind.service import selections as selecting
from rescind.wire.envelope import Payload, success
from rescind.wire.listing import Window, page_details, parse_window
from rescind.wire.operations import (
    operation_of,
    outcome_of,
    parse_selection,
    require_nothing,
    selection_of,
)
from rescind.wire.text import invalid, shown


def pin(context: Context, request: Request) -> Answer:
    """Keep exactly the jobs that a query means."""
    query = parse_selection(request.body, request.headers.get("content-type"))
    answered = selecting.pin(
        context.store,
        context.profile,
        request.signed_in,
        query,
        request_key(request),
        seconds=context.settings.query_seconds,
    )
    return done(success(data=selection_of(answered.outcome)), answered)


def selection(context: Context, request: Request) -> Answer:
    """A selection of one's own."""
    selection_id = request.parameters["selection_id"]
    found = selecting.selection(context.store, request.signed_in, selection_id)
    return Answer(payload=success(data=selection_of(found)))


def begin(context: Context, request: Request) -> Answer:
    """Begin an operation on a selection: the action is the last part of the path."""
    require_nothing(request.body, request.headers.get("content-type"))
    answered = operating.begin(
        context.store,
        context.profile,
        request.signed_in,
        Action(request.path.rpartition("/")[2]),
        request.parameters["selection_id"],
        request_key(request),
    )
    return done(_id(answered.outcome), answered)


def operations(context: Context, request: Request) -> Answer:
    """The operations that one may read."""
    window = parse_window(request.query)
    page = operating.operations(context.store, request.signed_in, window)
    return _page(request, window, page.total, [*map(operation_of, page.operations)])


def operation(context: Context, request: Request) -> Answer:
    """One operation."""
    found = operating.operation(context.store, request.signed_in, _operation_id(request))
    return Answer(payload=success(data=operation_of(found)))


def outcomes(context: Context, request: Request) -> Answer:
    """What became of each job of an operation."""
    default, most = limits.OUTCOMES_PAGE_DEFAULT, limits.OUTCOMES_PAGE_MAX
    window = parse_window(request.query, default=default, most=most)
    code = request.query.get("code") or None
    if code is not None and code not in OUTCOME_CODES:
        raise invalid(f"code {shown(code)} must be one of {', '.join(OUTCOME_CODES)}")
    page = operating.outcomes(
        context.store, request.signed_in, _operation_id(request), window, code
    )
    return _page(request, window, page.total, [*map(outcome_of, page.outcomes)])


def stop(context: Context, request: Request) -> Answer:
    """Stop an operation."""
    require_nothing(request.body, request.headers.get("content-type"))
    key = request_key(request)
    answered = operating.stop(context.store, request.signed_in, _operation_id(request), key)
    return done(_id(answered.outcome), answered)


def undo(context: Context, request: Request) -> Answer:
    """Take back what an operation has cancelled."""
    require_nothing(request.body, request.headers.get("content-type"))
    answered = operating.undo(
        context.store,
        context.profile,
        request.signed_in,
        _operation_id(request),
        request_key(request),
    )
    return done(_id(answered.outcome), answered)


def _operation_id(request: Request) -> str:
    return request.parameters["operation_id"]


def _id(operation_id: str) -> Payload:
    return success(data={"operation_id": operation_id})


def _page(request: Request, window: Window, total: int, data: Sequence[Payload]) -> Answer:
    _, details = page_details(request.path, request.query, window, total, kept=("code",))
    return Answer(payload=success(responseDetails=details, data=list(data)))
