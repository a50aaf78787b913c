"""CSV in (RFC 4180): a header row, then one item a row.

Vault deviates in two points, and so do we: a line feed alone ends a line too, and a carriage
return may stand only before a line feed.
"""

import csv
import re
from collections.abc import Collection, Iterator

from rescind import limits
from rescind.errors import RequestRefused
from rescind.model import BadItem
from rescind.wire.text import decode_utf8, invalid, too_many, unknown

BLANK = " \t"

_TOO_LONG = f"a value longer than {limits.CSV_FIELD_CHARACTERS_MAX} characters"
_ROW_TOO_LONG = f"a row longer than {limits.CSV_ROW_CHARACTERS_MAX} characters"
_TOO_MANY_LINES = f"more than {limits.CSV_LINES_MAX} lines"
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
            line), a value longer than ``CSV_FIELD_CHARACTERS_MAX``, a row longer than
            ``CSV_ROW_CHARACTERS_MAX``, more lines than ``CSV_LINES_MAX``, a header without
            ``required``, with an unknown column if ``strict``, or with a known column twice
            (nobody can tell which one is meant), or more rows than ``rows_max``.
    """
    lines = _lines(decode_utf8(body))
    header = [name.strip(BLANK) for name in next(lines, [])]
    if not header:
        return []
    _check_header(header, required, known, strict=strict)
    rows: list[dict[str, str] | BadItem] = []
    for position, cells in enumerate(lines, start=1):
        if position > rows_max:
            raise too_many(position, rows_max)
        rows.append(_row(position, header, cells))
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
    source = _Source(text)
    reader = csv.reader(source, strict=True)
    try:
        for cells in reader:
            source.row_characters = 0
            if max(map(len, cells), default=0) > limits.CSV_FIELD_CHARACTERS_MAX:
                raise _malformed(reader.line_num, _TOO_LONG)
            if not _is_blank(cells):
                yield cells
    except csv.Error as error:
        # The module has a limit of its own: higher, and the whole process's, not ours to set.
        reason = _TOO_LONG if "field limit" in str(error) else str(error)
        raise _malformed(reader.line_num, reason) from None


def _cut(text: str) -> Iterator[str]:
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


class _Source:
    """The lines of a CSV text as its reader wants them, and how much of them one row has taken:
    the reader itself would make of a long line whatever cells it holds.
    """

    def __init__(self, text: str) -> None:
        self._lines = enumerate(_cut(text), start=1)
        self.row_characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        self.row_characters += len(line)
        if self.row_characters > limits.CSV_ROW_CHARACTERS_MAX:
            raise _malformed(number, _ROW_TOO_LONG)
        if number > limits.CSV_LINES_MAX:
            raise _malformed(number, _TOO_MANY_LINES)
        return line


def _is_blank(cells: list[str]) -> bool:
    # An empty value in quotes is an item, a bad one; an empty line has no cells at all.
    return not cells or (len(cells) == 1 and cells[0] != "" and not cells[0].strip(BLANK))


def _malformed(line: int, reason: str) -> RequestRefused:
    return invalid(f"Malformed CSV at line {line}: {reason}")
