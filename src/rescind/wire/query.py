"""The answer to a query, and what comes with it (Vault: VQL, "Query Response")."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rescind import limits
from rescind.wire.dates import format_instant
from rescind.wire.envelope import Payload, success

_NESTED_ROWS = 250


def rows_answer(
    rows: Sequence[Mapping[str, Any]], details: Payload, describe: Payload | None, *, cut: bool
) -> Payload:
    """``queryDescribe`` if asked for, ``responseDetails`` and ``data``; a warning where there are
    more rows than pages lead to.
    """
    answer = success()
    if cut:
        message = (
            f"There are more rows than pages are kept for, which is {limits.CURSOR_IDS_MAX}: there "
            "is no next_page. Ask for less, or by MAXROWS and SKIP."
        )
        answer = {
            "responseStatus": "WARNING",
            "warnings": [{"type": "API_LIMIT_EXCEEDED", "message": message}],
        }
    if describe is not None:
        answer["queryDescribe"] = describe
    return {**answer, "responseDetails": details, "data": list(rows)}


def page_details(*, size: int, offset: int, rows: int, total: int, pages: str | None) -> Payload:
    """``responseDetails`` of a page; ``pages`` is the path of the others, if there are any."""
    details: Payload = {"pagesize": size, "pageoffset": offset, "size": rows, "total": total}
    if pages is not None and size > 0:
        if offset > 0:
            before = max(0, min(offset, total) - size)
            details["previous_page"] = f"{pages}?pagesize={size}&pageoffset={before}"
        if offset + size < total:
            details["next_page"] = f"{pages}?pagesize={size}&pageoffset={offset + size}"
    return details


def nothing_nested() -> Payload:
    """A query within the selected fields that has no rows."""
    return {
        "responseDetails": page_details(size=_NESTED_ROWS, offset=0, rows=0, total=0, pages=None),
        "data": [],
    }


def shown_value(value: Any) -> Any:
    """What a row has, as answers carry it."""
    return format_instant(value) if isinstance(value, datetime) else value
