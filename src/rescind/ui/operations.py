"""The pages of operations: the latest, and one with its outcomes."""

from typing import Any

from msgspec import Struct

from rescind import limits
from rescind.api.http import Context, Live, Request, Text
from rescind.errors import RequestRefused
from rescind.operation import OUTCOME_CODES, Action, OperationPage, OutcomePage
from rescind.service import operations as operating
from rescind.service.policy import readable_owner
from rescind.ui.pages import page, refusal, region
from rescind.ui.paths import with_parameter
from rescind.ui.results import DONE, REASONS, WORDS, Result, result
from rescind.wire.listing import Window, parse_window
from rescind.wire.text import invalid, shown


class _Operations(Struct, frozen=True):
    """What the page of operations shows."""

    page: OperationPage
    user_names: dict[int, str]


def operations(context: Context, request: Request) -> Text | Live:
    """The operations that one may read, newest first."""
    caller, store = request.signed_in, context.store
    window = parse_window(request.query)

    def look() -> _Operations:
        found = operating.operations(store, caller, window)
        return _Operations(found, store.user_names({one.created_by for one in found.operations}))

    def values(state: _Operations) -> dict[str, Any]:
        return {
            "operations": state.page.operations,
            "total": state.page.total,
            "user_names": state.user_names,
            "done": DONE,
            "words": WORDS,
            **_paging("/operations", window, state.page.total),
        }

    return Live(
        key=("operations", readable_owner(caller), window),
        look=look,
        regions=lambda state: {"operations": region("operations", **values(state))},
        page=lambda state: page("operations.html", request, live=True, **values(state)),
    )


class _Operation(Struct, frozen=True):
    """What the page of one operation shows."""

    result: Result | None
    outcomes: OutcomePage
    user_names: dict[int, str]


def operation(context: Context, request: Request) -> Text | Live:
    """One operation, and what became of each of its jobs."""
    caller, store = request.signed_in, context.store
    operation_id = request.parameters["operation_id"]
    window = parse_window(request.query)
    code = request.query.get("code") or None
    if code is not None and code not in OUTCOME_CODES:
        raise invalid(f"code {shown(code)} must be one of {', '.join(OUTCOME_CODES)}")
    try:
        operating.operation(store, caller, operation_id)
    except RequestRefused as refused:
        return refusal(request, refused.message, status=404, back="/operations")

    address = f"/operations/{operation_id}"

    def look() -> _Operation:
        found = operating.outcomes(store, caller, operation_id, window, code)
        became = result(context, caller, operation_id)
        by = set() if became is None else {became.operation.created_by}
        return _Operation(became, found, store.user_names(by))

    def values(state: _Operation) -> dict[str, Any]:
        return {
            "result": state.result,
            "outcomes": state.outcomes.outcomes,
            "user_names": state.user_names,
            "code": code,
            "back": address,
            "reasons": REASONS,
            "words": WORDS,
            "done": DONE,
            "undo": Action.UNDO,
            **_paging(with_parameter(address, "code", code), window, state.outcomes.total),
        }

    names = ("result", "operation", "outcomes")
    return Live(
        key=("operation", operation_id, window, code, caller.user.id),
        look=look,
        regions=lambda state: {name: region(name, **values(state)) for name in names},
        page=lambda state: page("operation.html", request, live=True, **values(state)),
    )


def _paging(address: str, window: Window, total: int) -> dict[str, Any]:
    """Links to the parts before and after this one."""
    size = window.limit
    sized = with_parameter(address, "limit", size if size != limits.PAGE_JOBS_DEFAULT else None)
    before, after = max(0, window.offset - size), window.offset + size
    return {
        "total": total,
        "newer": with_parameter(sized, "offset", before or None) if window.offset else None,
        "older": with_parameter(sized, "offset", after) if after < total else None,
    }
