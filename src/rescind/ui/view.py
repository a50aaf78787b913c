"""Which jobs a page shows: what its address says, and the VQL that this means."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from msgspec import Struct

from rescind import limits
from rescind.errors import RequestRefused
from rescind.lifecycle import FINAL, Status
from rescind.model import User
from rescind.operation import NOBODY
from rescind.service.accounts import is_user_name
from rescind.service.policy import Caller, readable_owner
from rescind.store.protocol import Store
from rescind.wire.dates import format_instant
from rescind.wire.listing import Window
from rescind.wire.text import invalid, shown

GROUPS: Mapping[str, frozenset[Status]] = {
    "unfinished": frozenset(Status) - FINAL,
    "ended": FINAL,
}
"""Several statuses under one word."""

FIELDS: Mapping[str, str] = {
    "status": "Status",
    "job": "Job",
    "title": "Title",
    "by": "Submitted by",
    "from": "From",
    "to": "To",
}
"""What jobs can be filtered by, and how the page calls it."""

_NOT = "not_"
_TIME = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<minute>[0-9]{2}:[0-9]{2})(?P<second>:[0-9]{2})?(?:\.[0-9]{1,3})?)?Z?"
)
_MILLISECOND = timedelta(milliseconds=1)
_PAGE = re.compile(r"[1-9][0-9]{0,8}")


class View(Struct, frozen=True, kw_only=True):
    """Jobs that are asked for, and which page of them."""

    wanted: tuple[tuple[str, str], ...] = ()
    """For each of FIELDS that says something, what."""
    negated: frozenset[str] = frozenset()
    """The fields that say what is not wanted."""
    page: int = 1

    @property
    def values(self) -> dict[str, str]:
        """What each field says."""
        return dict(self.wanted)

    def shown(self, name: str) -> str:
        """What a field of the form holds: a browser knows times to the minute or second."""
        value = self.values.get(name, "")
        if name not in ("from", "to") or not value:
            return value
        first, last = _times(value)
        at = first if name == "from" else last
        return f"{at:%Y-%m-%dT%H:%M:%S}" if at.second not in (0, 59) else f"{at:%Y-%m-%dT%H:%M}"

    @property
    def window(self) -> Window:
        """Which part of the list it is."""
        size = limits.PAGE_JOBS_DEFAULT
        return Window(limit=size, offset=(self.page - 1) * size)

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that it means."""
        word = self.values.get("status")
        if word is None:
            return frozenset(Status)
        some = GROUPS[word] if word in GROUPS else frozenset({Status(word)})
        return frozenset(Status) - some if "status" in self.negated else some

    def path(self, **changes: str | int | None) -> str:
        """Its address; with other values for some fields, or None for no value."""
        values = {**self.values, **{_NOT + name: "on" for name in self.negated}}
        kept = {name: str(value) for name, value in (values | changes).items() if value is not None}
        if self.page > 1 and not changes:
            kept["page"] = str(self.page)
        return f"/?{urlencode(kept)}" if kept else "/"

    def conditions(self, user_id: int | None) -> list[str]:
        """What it means but for the status, in VQL; ``user_id`` is whom ``by`` names."""
        return [
            f"NOT ({condition})" if name in self.negated else condition
            for name, value in self.wanted
            if (condition := _condition(name, value, user_id)) is not None
        ]

    def query(self, user_id: int | None, *, within: frozenset[Status] = frozenset(Status)) -> str:
        """The whole query, of the jobs in these statuses only."""
        conditions = self.conditions(user_id)
        some = self.statuses & within
        if some != frozenset(Status):
            conditions.insert(0, _status_condition(some))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT id FROM job__sys{where}"  # noqa: S608 - VQL, of values that are escaped


def view_of(parameters: Mapping[str, str]) -> View:
    """What an address asks for. Raises RequestRefused, INVALID_DATA, for what is not understood."""
    given = ((name, parameters.get(name, "").strip()) for name in FIELDS)
    wanted = tuple((name, value) for name, value in given if value)
    for name, value in wanted:
        if name in ("from", "to"):
            _times(value)
        if name == "status" and value not in (*GROUPS, *Status):
            raise invalid(f"Status {shown(value)} must be one of {', '.join((*GROUPS, *Status))}")
    page = parameters.get("page", "1")
    if not _PAGE.fullmatch(page):
        raise invalid(f"page {shown(page)} must be a whole number from 1")
    negated = frozenset(name for name, _ in wanted if parameters.get(_NOT + name))
    return View(wanted=wanted, negated=negated, page=int(page))


def submitter(store: Store, caller: Caller, view: View) -> int | None:
    """The id of the user whom a view names, as far as the caller may know of them."""
    name = view.values.get("by")
    if name is None or not is_user_name(name):
        return None
    found = store.user_by_name(name)
    user: User | None = None if found is None else found[0]
    owner = readable_owner(caller)
    return user.id if user is not None and owner in (None, user.id) else None


def quoted(text: str) -> str:
    """A text of VQL."""
    return f"'{_escaped(text)}'"


def _escaped(text: str) -> str:
    return re.sub(r"[\\'\"%*]", r"\\\g<0>", text)


def _condition(name: str, value: str, user_id: int | None) -> str | None:
    """What one field means, in VQL; None of the status."""
    match name:
        case "job":
            return f"job_name__sys = {quoted(value)}"
        case "title":
            return f"job_title__sys LIKE '%{_escaped(value)}%'"
        case "by":
            return f"created_by__sys = {NOBODY if user_id is None else user_id}"
        case "from":
            return f"created_date__sys >= '{format_instant(_times(value)[0])}'"
        case "to":
            return f"created_date__sys <= '{format_instant(_times(value)[1])}'"
        case _:
            return None


def _status_condition(statuses: frozenset[Status]) -> str:
    names = [quoted(status) for status in Status if status in statuses]
    if len(names) == 1:
        return f"status__sys = {names[0]}"
    if not names:
        return "id = 0"
    return f"status__sys CONTAINS ({', '.join(names)})"


def _times(text: str) -> tuple[datetime, datetime]:
    """The first and the last instant of a day, minute or second, in UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _no_time(text)
    minute, second = match["minute"] or "00:00", match["second"] or ":00"
    unit = timedelta(days=1)
    if match["minute"]:
        unit = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    try:
        first = datetime.fromisoformat(f"{match['day']}T{minute}{second}").replace(tzinfo=UTC)
        return first, first + unit - _MILLISECOND
    except (ValueError, OverflowError):
        raise _no_time(text) from None


def _no_time(text: str) -> RequestRefused:
    return invalid(f"{shown(text)} must be a day or a time, in UTC, such as 2026-01-31T07:00")
