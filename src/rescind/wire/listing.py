"""What a list is asked for by its query string (Vault: Retrieve Job Histories, Monitors)."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from rescind import limits
from rescind.lifecycle import FINAL, Status
from rescind.model import JobFilter
from rescind.wire.dates import parse_instant
from rescind.wire.envelope import Payload
from rescind.wire.text import invalid, shown

HISTORY_STATUSES: Mapping[str, Status] = {
    status.lower(): status for status in Status if status in FINAL
}
MONITOR_STATUSES: Mapping[str, Status] = {
    status.lower(): status for status in (Status.SCHEDULED, Status.QUEUED, Status.RUNNING)
}
"""The documented ones: QUEUEING and CANCELLING are listed, but cannot be asked for."""

_DIGITS = re.compile(r"[0-9]{1,18}")


class Window(Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for."""

    limit: int
    offset: int
    """From 0."""


def parse_window(
    query: Mapping[str, str],
    *,
    default: int = limits.PAGE_JOBS_DEFAULT,
    most: int = limits.PAGE_JOBS_MAX,
) -> Window:
    """``limit`` and ``offset`` of a query. Raises RequestRefused, INVALID_DATA: nothing is
    clamped.
    """
    return Window(
        limit=parse_number(query, "limit", default, 1, most),
        offset=parse_number(query, "offset", 0, 0, limits.PAGE_OFFSET_MAX),
    )


def parse_filter(query: Mapping[str, str], statuses: Mapping[str, Status]) -> JobFilter:
    """``start_date``, ``end_date`` and ``status`` of a query, an empty one like none. Raises
    RequestRefused, INVALID_DATA.
    """
    status = query.get("status") or None
    if status is not None and status not in statuses:
        raise invalid(f"status {shown(status)} must be one of {', '.join(statuses)}")
    return JobFilter(
        since=_instant(query, "start_date"),
        until=_instant(query, "end_date"),
        status=None if status is None else statuses[status],
    )


def page_details(
    path: str,
    query: Mapping[str, str],
    window: Window,
    total: int,
    *,
    kept: Collection[str] = ("start_date", "end_date", "status"),
) -> tuple[str, Payload]:
    """``url`` and ``responseDetails`` of a page: neighbouring pages keep the filters."""
    filters = {name: query[name] for name in kept if query.get(name)}

    def url(offset: int) -> str:
        window_there = {"limit": window.limit, "offset": offset}
        return f"{path}?{urlencode({**filters, **window_there}, safe=':')}"

    details: dict[str, Any] = {"total": total, "limit": window.limit, "offset": window.offset}
    if window.offset + window.limit < total:
        details["next_page"] = url(window.offset + window.limit)
    if window.offset > 0:
        details["previous_page"] = url(max(0, window.offset - window.limit))
    return url(window.offset), details


def parse_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number of a query, ``default`` where there is none. Raises RequestRefused,
    INVALID_DATA.
    """
    text = query.get(name) or str(default)
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise invalid(f"{name} {shown(text)} must be a whole number from {least} to {most}")
    return int(text)


def parse_truth(query: Mapping[str, str], name: str) -> bool:
    """``true`` or ``false`` of a query, false where there is none. Raises RequestRefused,
    INVALID_DATA.
    """
    text = query.get(name) or "false"
    if text not in ("true", "false"):
        raise invalid(f"{name} {shown(text)} must be true or false")
    return text == "true"


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    try:
        instant = parse_instant(text)
    except ValueError as error:
        raise invalid(f"{name} {error}") from None
    # Every instant that is compared with it is in whole milliseconds.
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
