"""The items of a bulk request, whether they come as a JSON array or as CSV."""

from collections.abc import Collection, Mapping
from typing import Protocol, TypeAlias

import msgspec

from rescind import limits
from rescind.errors import RequestRefused
from rescind.model import BadItem
from rescind.wire.csv_text import BLANK, read_table
from rescind.wire.error_types import ErrorType
from rescind.wire.json_text import read_array
from rescind.wire.negotiation import Format, content_format
from rescind.wire.text import BOM, shown, unknown

# A character of JSON takes at most this many bytes.
_CHARACTER_BYTES_MAX = 4


class Cell(Protocol):
    """One value of one item, before anybody knows what it should be."""

    @property
    def absent(self) -> bool:
        """Whether it stands for no value: JSON ``null``, or an empty CSV cell."""
        ...

    @property
    def shown(self) -> str:
        """The value as it was sent, in brackets and shortened, for a message."""
        ...

    def text(self) -> str | None:
        """The value if it is a text, exactly as sent."""
        ...

    def word(self) -> str | None:
        """The value if it is a text; a CSV cell without the spaces and tabs around it."""
        ...

    def number(self) -> str | None:
        """What stands there if it may be a number: a JSON number's own text, or a CSV cell
        without the spaces and tabs around it. It may be anything a number is written with."""
        ...

    def json(self) -> bytes:
        """The value as JSON text; a CSV cell is taken to hold some."""
        ...


class JsonCell(msgspec.Struct, frozen=True):
    """A value in a JSON array of objects, as its own well-formed JSON text."""

    raw: bytes

    @property
    def absent(self) -> bool:
        """See :class:`Cell`."""
        return self.raw == b"null"

    @property
    def shown(self) -> str:
        """See :class:`Cell`."""
        enough = (limits.ITEM_VALUE_CHARACTERS_SHOWN + 1) * _CHARACTER_BYTES_MAX
        return shown(self.raw[:enough].decode(errors="ignore"))

    def text(self) -> str | None:
        """See :class:`Cell`."""
        return msgspec.json.decode(self.raw, type=str) if self.raw.startswith(b'"') else None

    def word(self) -> str | None:
        """See :class:`Cell`."""
        return self.text()

    def number(self) -> str | None:
        """See :class:`Cell`."""
        return self.raw.decode() if self.raw[:1] in b"-0123456789" else None

    def json(self) -> bytes:
        """See :class:`Cell`."""
        return self.raw


class CsvCell(msgspec.Struct, frozen=True):
    """A cell of a CSV row."""

    value: str

    @property
    def absent(self) -> bool:
        """See :class:`Cell`."""
        return not self.value.strip(BLANK)

    @property
    def shown(self) -> str:
        """See :class:`Cell`."""
        return shown(self.value)

    def text(self) -> str | None:
        """See :class:`Cell`."""
        return self.value

    def word(self) -> str | None:
        """See :class:`Cell`."""
        return self.value.strip(BLANK)

    def number(self) -> str | None:
        """See :class:`Cell`."""
        return self.value.strip(BLANK)

    def json(self) -> bytes:
        """See :class:`Cell`."""
        return self.value.encode()


Row: TypeAlias = Mapping[str, Cell]


def read_rows(
    body: bytes,
    content_type: str | None,
    *,
    required: str,
    optional: Collection[str] = (),
    strict: bool = False,
    rows_max: int,
) -> list[Row | BadItem]:
    """The items of ``body`` in its order: each a mapping from key to cell, or why it is none.

    Keys that are neither ``required`` nor ``optional`` are to be ignored or, if ``strict``, make a
    JSON object a bad item and are refused in a CSV header; of a JSON key that stands twice the
    last counts. A byte order mark is accepted. That ``required`` is there is
    checked for a CSV header only.

    Raises:
        RequestRefused: PARAMETER_REQUIRED when there are no items; INVALID_DATA for a
            Content-Type, bytes, a header or a number of items that nothing can be done with.
    """
    known = [required, *optional]
    rows: list[Row | BadItem]
    match content_format(content_type):
        case Format.JSON if not body.removeprefix(BOM).strip(b" \t\r\n"):
            rows = []
        case Format.JSON:
            items = read_array(body, rows_max)
            allowed = known if strict else None
            rows = [
                _object(position, item, allowed) for position, item in enumerate(items, start=1)
            ]
        case Format.CSV:
            table = read_table(
                body, required=required, known=known, strict=strict, rows_max=rows_max
            )
            rows = [row if isinstance(row, BadItem) else _cells(row) for row in table]
    if not rows:
        raise RequestRefused(
            ErrorType.PARAMETER_REQUIRED, f"Missing required parameter [{required}]"
        )
    return rows


def _object(position: int, item: bytes, allowed: Collection[str] | None) -> Row | BadItem:
    if len(item) > limits.JSON_ITEM_BYTES_MAX:
        most = f"may have at most {limits.JSON_ITEM_BYTES_MAX} bytes"
        return BadItem(f"Item {position} {JsonCell(item).shown} {most}, but has {len(item)}")
    try:
        members = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return BadItem(f"Item {position} {JsonCell(item).shown} must be an object")
    if allowed is not None:
        for key in members:
            if key not in allowed:
                return BadItem(f"Item {position}: {unknown(key, allowed)}")
    return {key: JsonCell(bytes(raw)) for key, raw in members.items()}


def _cells(row: dict[str, str]) -> Row:
    return {column: CsvCell(value) for column, value in row.items()}
