"""Selections and operations, as Rescind's own answers have them."""

from typing import Any

from rescind.errors import RequestRefused
from rescind.operation import JobOutcome, Operation, Pinned
from rescind.wire.dates import format_instant
from rescind.wire.envelope import Payload
from rescind.wire.error_types import ErrorType
from rescind.wire.json_text import read_object
from rescind.wire.negotiation import Format, content_format
from rescind.wire.text import BOM, decode_utf8, invalid, shown, unknown


def parse_selection(body: bytes, content_type: str | None) -> str:
    """The query of ``{"query": …}``. Raises RequestRefused: PARAMETER_REQUIRED when there is none,
    INVALID_DATA for anything else.
    """
    members = _object(body, content_type)
    for key in members:
        if key != "query":
            raise invalid(unknown(key, ["query"]))
    query = members.get("query")
    if query is None:
        raise RequestRefused(ErrorType.PARAMETER_REQUIRED, "Missing required parameter [query]")
    if not isinstance(query, str):
        raise invalid("query must be a text")
    return query


def require_nothing(body: bytes, content_type: str | None) -> None:
    """Raises RequestRefused, INVALID_DATA, unless the body is empty or ``{}``."""
    if body.removeprefix(BOM).strip() and _object(body, content_type):
        raise invalid("The body must be empty or {}")


def _object(body: bytes, content_type: str | None) -> dict[str, Any]:
    if content_format(content_type) is not Format.JSON:
        raise invalid(f"Content-Type {shown(content_type or '')} is not supported here")
    decode_utf8(body)
    text = body.removeprefix(BOM)
    if not text.strip():
        return {}
    try:
        return read_object(text)
    except ValueError as error:
        raise invalid(f"The body {error}") from None


def selection_of(pinned: Pinned) -> Payload:
    """What is told of a selection."""
    return {
        "selection_id": pinned.id,
        "total": pinned.total,
        "left_out": pinned.left_out,
        "statuses": pinned.statuses,
        "first": [{"id": job.id, "title": job.title, "status": job.status} for job in pinned.first],
        "expires_date": format_instant(pinned.expires_at),
    }


def operation_of(operation: Operation) -> Payload:
    """What is told of an operation; null where there is none."""
    ended = operation.ended_at
    return {
        "operation_id": operation.id,
        "action": operation.action,
        "status": operation.status,
        "total": operation.total,
        "done": operation.done,
        "stopped": operation.stopped,
        "outcomes": operation.outcomes,
        "query": operation.query,
        "created_by": operation.created_by,
        "created_date": format_instant(operation.created_at),
        "ended_date": None if ended is None else format_instant(ended),
        "reason": operation.reason,
        "undo_of": operation.undo_of,
        "undone_by": operation.undone_by,
    }


def outcome_of(outcome: JobOutcome) -> Payload:
    """What became of one job of an operation."""
    new = {} if outcome.new_id is None else {"new_id": outcome.new_id}
    return {"id": outcome.id, "code": outcome.code, "status": outcome.status, **new}
