"""CSV in (RFC 4180): a header row, then one item a row.

Vault deviates in two points, and so do we: a line feed alone ends a line too, and a carriage
return may stand only before a line feed.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator

from rescind import limits
from rescind.errors import RequestRefused
from rescind.model import BadItem
from rescind.wire.text import decode_utf8, invalid, too_many, unknown

BLANK = " \t"

_TOO_LONG = f"a value longer than {limits.CSV_FIELD_CHARACTERS_MAX} characters"
_FORBIDDEN = {
    re.compile("\0"): "U+0000",
    re.compile(r"\r(?!\n)"): "a carriage return without a line feed",
}


def read_table(
    body: bytes, *, required: str, known: Collection[str], strict: bool, rows_max: int
) -> list[dict[str, str] | BadItem]:
    """The rows of a CSV text, each as a mapping from column to cell.

    Names in the header are stripped of spaces and tabs. Columns that are not ``known`` are
    ignored or, if ``strict``, refused. A row that is too short lacks its last columns; one with
    more values than the header has names is a bad item. Lines that hold nothing but spaces and
    tabs are skipped and do not count as rows. Nothing at all, not even a header, is no rows.

    Raises:
        RequestRefused: INVALID_DATA, for bytes that are not UTF-8, malformed CSV (saying the
            line), a value longer than ``CSV_FIELD_CHARACTERS_MAX``, a header without
            ``required``, with an unknown column if ``strict``, or with a known column twice
            (nobody can tell which one is meant), or more rows than ``rows_max``.
    """
    lines = _lines(decode_utf8(body))
    header = [name.strip(BLANK) for name in next(lines, [])]
    if not header:
        return []
    _check_header(header, required, known, strict=strict)
    rows: list[dict[str, str] | BadItem] = []
    count = 0
    for count, cells in enumerate(lines, start=1):
        if count <= rows_max:
            rows.append(_row(count, header, cells))
    if count > rows_max:
        raise too_many(count, rows_max)
    return rows


def _check_header(
    header: list[str], required: str, known: Collection[str], *, strict: bool
) -> None:
    for name in header if strict else ():
        if name not in known:
            raise invalid(f"The CSV header: {unknown(name, known)}")
    if required not in header:
        raise invalid(f"The CSV header has no column {required}")
    for name in sorted(known):
        if header.count(name) > 1:
            raise invalid(f"The CSV header has the column {name} more than once")


def _row(position: int, header: list[str], cells: list[str]) -> dict[str, str] | BadItem:
    if any(cell.strip(BLANK) for cell in cells[len(header) :]):
        message = f"Item {position} has {len(cells)} values, but the header names {len(header)}"
        return BadItem(message)
    return dict(zip(header, cells, strict=False))


def _lines(text: str) -> Iterator[list[str]]:
    """The cells of each line that is not blank."""
    for pattern, name in _FORBIDDEN.items():
        if found := pattern.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise _malformed(line, name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if max(map(len, cells), default=0) > limits.CSV_FIELD_CHARACTERS_MAX:
                raise _malformed(reader.line_num, _TOO_LONG)
            if not _is_blank(cells):
                yield cells
    except csv.Error as error:
        # The module has a limit of its own: higher, and the whole process's, not ours to set.
        reason = _TOO_LONG if "field limit" in str(error) else str(error)
        raise _malformed(reader.line_num, reason) from None


def _is_blank(cells: list[str]) -> bool:
    # An empty value in quotes is an item, a bad one; an empty line has no cells at all.
    return not cells or (len(cells) == 1 and cells[0] != "" and not cells[0].strip(BLANK))


def _malformed(line: int, reason: str) -> RequestRefused:
    return invalid(f"Malformed CSV at line {line}: {reason}")
