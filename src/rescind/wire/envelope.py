"""What answers are made of, before they become JSON or XML: plain dicts, keys in Vault's order.

Source: Vault API reference, "Errors" and "Cancel Job". ``errors`` of a whole request is a list;
``errors`` of one item of a bulk answer is a single object, as published.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from rescind.lifecycle import Status
from rescind.model import CancelCode, CancelOutcome, SubmitOutcome
from rescind.wire.error_types import ErrorType, ResponseStatus

Payload: TypeAlias = dict[str, Any]

_CANCELLED = frozenset({CancelCode.ACCEPTED, CancelCode.ALREADY_CANCELLING})


def success(**fields: Any) -> Payload:
    """``{"responseStatus": "SUCCESS", …fields in their order}``."""
    return {"responseStatus": ResponseStatus.SUCCESS, **fields}


def failure(error_type: str, message: str, **more: Any) -> Payload:
    """The refusal of a whole request."""
    return {
        "responseStatus": ResponseStatus.FAILURE,
        "errors": [{"type": error_type, "message": message, **more}],
    }


def auth_failure(error_type: str, message: str) -> Payload:
    """The refusal of a login (Vault: Authentication)."""
    return {**failure(error_type, message), "errorType": "AUTHENTICATION_FAILED"}


def exception(request_id: str) -> Payload:
    """The service failed. ``request_id`` leads to the cause in its log, which is told to nobody
    else."""
    message = f"An unexpected error has occurred. Request ID: [{request_id}]"
    return {
        "responseStatus": ResponseStatus.EXCEPTION,
        "errors": [{"type": ErrorType.UNEXPECTED_ERROR, "message": message}],
    }


def cancel_answer(
    outcomes: Sequence[CancelOutcome], *, detail: bool = False, parity: bool = False
) -> Payload:
    """The answer to a cancel, one item for each outcome, in order (Vault: Cancel Job).

    ``detail`` adds ``code``, and ``status`` where there is one, to each item. ``parity`` words a
    job that does not permit its cancel as Vault words every other refusal.
    """
    return success(data=[_cancelled(outcome, detail, parity) for outcome in outcomes])


def submit_answer(outcomes: Sequence[SubmitOutcome]) -> Payload:
    """The answer to a submit: the job's id, or why there is none, for each item in order."""
    return success(data=[_submitted(outcome) for outcome in outcomes])


def _cancelled(outcome: CancelOutcome, detail: bool, parity: bool) -> Payload:
    more: Payload = {}
    if detail:
        more["code"] = outcome.code
        if outcome.status is not None:
            more["status"] = outcome.status
    if outcome.code in _CANCELLED:
        return success(data={"id": outcome.job_id, **more})
    error_type, message = _refusal(outcome, parity)
    return _refused(error_type, message, **more)


def _submitted(outcome: SubmitOutcome) -> Payload:
    if outcome.error_type is not None:
        return _refused(outcome.error_type, outcome.message or "")
    more = {"existing": True} if outcome.existing else {}
    return success(data={"id": outcome.job_id, **more})


def _refused(error_type: str, message: str, **more: Any) -> Payload:
    return {
        "responseStatus": ResponseStatus.FAILURE,
        "errors": {"type": error_type, "message": message, **more},
    }


def _refusal(outcome: CancelOutcome, parity: bool) -> tuple[ErrorType, str]:
    job = f"Job [{outcome.job_id}]"
    if outcome.code is CancelCode.INVALID_ID:
        return ErrorType.INVALID_DATA, outcome.message or "job_id is missing"
    if outcome.code is CancelCode.RACE_CONDITION:
        message = f"{job} is being changed by somebody else; nothing was done. Cancel it again"
        return ErrorType.RACE_CONDITION, message
    waiting = outcome.status in (Status.QUEUED, Status.QUEUEING)
    if outcome.code is CancelCode.NOT_CANCELLABLE and waiting and not parity:
        message = f"{job} does not permit cancellation in {outcome.status} state"
        return ErrorType.OPERATION_NOT_ALLOWED, message
    return ErrorType.INVALID_DATA, f"{job} is not found in QUEUED or QUEUEING state"
