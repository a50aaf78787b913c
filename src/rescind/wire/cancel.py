"""What a cancel request names (Vault: Cancel Job)."""

import re

from rescind import limits
from rescind.model import BadItem
from rescind.wire.rows import Row, read_rows

_DIGITS = re.compile(r"[1-9][0-9]{0,18}")


def parse_cancel(body: bytes, content_type: str | None) -> list[int | BadItem]:
    """The job ids of a cancel request in its order, and why an item is none.

    ``body`` is a JSON array of ``{"job_id": n}`` or CSV with the column ``job_id``. An id is a
    whole number from 1 to ``JOB_ID_MAX``, written in ASCII digits alone; JSON may send it as a
    string of them. The message of a bad item names its position, from 1, and its value as sent.

    Raises:
        RequestRefused: PARAMETER_REQUIRED for no items; INVALID_DATA for more than
            ``CANCEL_BATCH_JOBS_MAX``, an unsupported Content-Type, or a malformed body.
    """
    rows = read_rows(body, content_type, required="job_id", rows_max=limits.CANCEL_BATCH_JOBS_MAX)
    return [_job_id(position, row) for position, row in enumerate(rows, start=1)]


def _job_id(position: int, row: Row | BadItem) -> int | BadItem:
    if isinstance(row, BadItem):
        return row
    cell = row.get("job_id")
    if cell is None:
        return BadItem(f"Item {position}: job_id is missing")
    digits = cell.number() or cell.word() or ""
    if _DIGITS.fullmatch(digits) and int(digits) <= limits.JOB_ID_MAX:
        return int(digits)
    must_be = f"must be a whole number from 1 to {limits.JOB_ID_MAX}"
    return BadItem(f"Item {position}: job_id {cell.shown} {must_be}")
