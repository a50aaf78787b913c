"""What a submit request asks for: Rescind's own addition, shaped like Vault's Cancel Job."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec

from rescind import limits
from rescind.model import BadItem
from rescind.wire.dates import parse_instant
from rescind.wire.json_text import read_object
from rescind.wire.rows import Cell, Row, read_rows


class SubmitItem(msgspec.Struct, frozen=True, kw_only=True):
    """One job that somebody wants run. Whether its job metadata exists is not known here."""

    job_metadata: str
    title: str | None = None
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
    run_date: datetime | None = None
    """Aware, in UTC."""
    priority: int = limits.PRIORITY_DEFAULT
    unique_key: str | None = None


def parse_submit(
    body: bytes, content_type: str | None, *, ignored: Collection[str] = ()
) -> list[SubmitItem | BadItem]:
    """The jobs of a submit request in its order, and why an item is none.

    ``body`` is a JSON array of ``{"job_metadata", "title"?, "parameters"?, "run_date"?,
    "priority"?, "unique_key"?}``, or CSV with these columns, in which ``parameters`` holds a JSON
    object. JSON ``null`` and an empty CSV cell mean the same as leaving the key out. The message
    of a bad item names its position, from 1, its field, and the value as sent; a key that is not
    known makes a bad item. What stands under an ``ignored`` key does not matter.

    Raises:
        RequestRefused: PARAMETER_REQUIRED for no items; INVALID_DATA for more than
            ``SUBMIT_BATCH_JOBS_MAX``, an unsupported Content-Type, a malformed body, or a CSV
            column that is not known.
    """
    rows = read_rows(
        body,
        content_type,
        required="job_metadata",
        optional=[name for name in _READERS if name != "job_metadata"],
        strict=True,
        rows_max=limits.SUBMIT_BATCH_JOBS_MAX,
    )
    return [_item(position, row, ignored) for position, row in enumerate(rows, start=1)]


def _item(position: int, row: Row | BadItem, ignored: Collection[str]) -> SubmitItem | BadItem:
    if isinstance(row, BadItem):
        return row
    names = [name for name in _READERS if name in row and name not in ignored]
    cells = {name: row[name] for name in names if not row[name].absent}
    if "job_metadata" not in cells:
        return BadItem(f"Item {position}: job_metadata is missing")
    values: dict[str, Any] = {}
    for name, cell in cells.items():
        try:
            values[name] = _READERS[name](cell)
        except ValueError as error:
            return BadItem(f"Item {position}: {name} {error}")
    return SubmitItem(**values)


# Each reader raises ValueError with the rest of a sentence that begins with the field's name.

_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_NUL = "\0"
_UNSTORABLE = r"must not hold U+0000 or a lone surrogate (both shown as \u0000)"


def _job_metadata(cell: Cell) -> str:
    name = cell.word()
    if not name:
        raise ValueError(f"{cell.shown} must be the name of a job metadata")
    return _storable(name, cell)


def _title(cell: Cell) -> str:
    return _text(cell, limits.TITLE_CHARACTERS_MAX)


def _unique_key(cell: Cell) -> str:
    return _text(cell, limits.UNIQUE_KEY_CHARACTERS_MAX)


def _text(cell: Cell, characters_max: int) -> str:
    text = cell.text()
    if text is None or not 1 <= len(text) <= characters_max:
        raise ValueError(f"{cell.shown} must be a text of 1 to {characters_max} characters")
    return _storable(text, cell)


def _parameters(cell: Cell) -> dict[str, Any]:
    _fits(cell.json(), cell)
    try:
        parameters = read_object(cell.json())
    except ValueError as error:
        raise ValueError(f"{cell.shown} {error}") from None
    if _holds_nul(parameters):
        raise ValueError(f"{cell.shown} {_UNSTORABLE}")
    # Again as it will be kept: a number such as 1e15 is longer then than it was sent.
    _fits(msgspec.json.encode(parameters), cell)
    return parameters


def _run_date(cell: Cell) -> datetime:
    text = cell.word()
    if text is None:
        raise ValueError(f"{cell.shown} must be an instant, written as a text")
    return parse_instant(text)


def _priority(cell: Cell) -> int:
    digits = cell.number() or ""
    if _WHOLE_NUMBER.fullmatch(digits):
        priority = int(digits)
        if limits.PRIORITY_MIN <= priority <= limits.PRIORITY_MAX:
            return priority
    span = f"{limits.PRIORITY_MIN} to {limits.PRIORITY_MAX}"
    raise ValueError(f"{cell.shown} must be a whole number from {span}")


_READERS = {
    "job_metadata": _job_metadata,
    "title": _title,
    "parameters": _parameters,
    "run_date": _run_date,
    "priority": _priority,
    "unique_key": _unique_key,
}


def _storable(text: str, cell: Cell) -> str:
    if _NUL in text:
        raise ValueError(f"{cell.shown} {_UNSTORABLE}")
    return text


def _holds_nul(value: Any) -> bool:
    """Whether any key or text in ``value`` holds U+0000; no deeper than ``JSON_DEPTH_MAX``."""
    match value:
        case str():
            return _NUL in value
        case dict():
            return any(_NUL in key or _holds_nul(member) for key, member in value.items())
        case list():
            return any(_holds_nul(member) for member in value)
        case _:
            return False


def _fits(json: bytes, cell: Cell) -> None:
    if len(json) > limits.PARAMETERS_BYTES_MAX:
        at_most = f"at most {limits.PARAMETERS_BYTES_MAX} bytes of JSON"
        raise ValueError(f"{cell.shown} must be {at_most}, but take {len(json)}")
