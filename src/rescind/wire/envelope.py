"""What answers are made of, before they become JSON or XML: plain dicts, keys in Vault's order.

Source: Vault API reference, "Errors" and "Cancel Job". ``errors`` of a whole request is a list;
``errors`` of one item of a bulk answer is a single object, as published.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from rescind.lifecycle import Status
from rescind.model import CancelCode, CancelOutcome, RerunCode, RerunOutcome, SubmitOutcome
from rescind.wire.error_types import ErrorType, ResponseStatus

Payload: TypeAlias = dict[str, Any]

_CANCELLED = frozenset({CancelCode.ACCEPTED, CancelCode.ALREADY_CANCELLING})
_NOT_RERUN = {
    RerunCode.NOT_FINISHED: "Job [{job}] has not ended yet: it is in {status} state",
    RerunCode.HAD_STARTED: "Job [{job}] had started before it was cancelled: run it again instead",
    RerunCode.NOT_CANCELLED: "Job [{job}] was not cancelled: it is in {status} state",
    RerunCode.ALREADY_UNDONE: "Job [{job}] was undone already, with job [{new}]",
    RerunCode.EXISTS: "The unique_key of job [{job}] is by now that of another job",
    RerunCode.METADATA_UNKNOWN: "The job metadata of job [{job}] is not known; no worker has "
    "registered it",
    RerunCode.UNKNOWN: "Job [{job}] is not found",
}


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


def rerun_answer(outcomes: Sequence[RerunOutcome], *, detail: bool = False) -> Payload:
    """The answer to a rerun or an undo: the new job's id, or why there is none, for each item in
    order. ``detail`` as in :func:`cancel_answer`.
    """
    return success(data=[_rerun(outcome, detail) for outcome in outcomes])


def _rerun(outcome: RerunOutcome, detail: bool) -> Payload:
    more = _detail(outcome.code, outcome.status) if detail else {}
    if outcome.code is RerunCode.SUBMITTED:
        return success(data={"id": outcome.new_id, "rerun_of": outcome.job_id, **more})
    message = outcome.message or _NOT_RERUN[outcome.code].format(
        job=outcome.job_id, status=outcome.status, new=outcome.new_id
    )
    return _refused(ErrorType.INVALID_DATA, message, **more)


def _detail(code: str, status: Status | None) -> Payload:
    return {"code": code} if status is None else {"code": code, "status": status}


def _cancelled(outcome: CancelOutcome, detail: bool, parity: bool) -> Payload:
    more = _detail(outcome.code, outcome.status) if detail else {}
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
