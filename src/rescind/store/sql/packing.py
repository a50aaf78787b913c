"""Many small values in few bytes, as they are kept of a million jobs.

The bytes that stand for a code or a status are in databases: none may ever come to stand for
another.
"""

import array
import sys
from collections.abc import Iterable, Sequence

from rescind.lifecycle import Status

_CODES = (
    *("NOT_DONE", "ACCEPTED", "ALREADY_CANCELLING", "ALREADY_CANCELLED", "FINISHED"),
    *("NOT_CANCELLABLE", "UNKNOWN", "RACE_CONDITION", "STARTED", "NOT_SCHEDULED", "SUBMITTED"),
    *("NOT_FINISHED", "HAD_STARTED", "NOT_CANCELLED", "ALREADY_UNDONE", "EXISTS"),
    "METADATA_UNKNOWN",
)
_STATUSES = (
    None,
    *(Status.SCHEDULED, Status.QUEUEING, Status.QUEUED, Status.RUNNING, Status.CANCELLING),
    *(Status.CANCELLED, Status.SUCCESS, Status.ERRORS_ENCOUNTERED, Status.TIMEOUT),
    *(Status.COMPLETED_DUE_TO_INACTIVITY, Status.MISSED_SCHEDULE, Status.FAILED_TO_RUN),
)
_CODE_BYTES = {code: byte for byte, code in enumerate(_CODES)}
_STATUS_BYTES = {status: byte for byte, status in enumerate(_STATUSES)}


def pack_ids(ids: Iterable[int]) -> bytes:
    """Whole numbers, 8 bytes each, the least first."""
    packed = array.array("q", ids)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_ids(packed: bytes) -> list[int]:
    """The inverse of :func:`pack_ids`."""
    ids = array.array("q", bytes(packed))
    if sys.byteorder == "big":
        ids.byteswap()
    return ids.tolist()


def code_byte(code: str) -> int:
    """The byte of an outcome code; KeyError for what is none."""
    return _CODE_BYTES[code]


def pack_codes(codes: Iterable[str]) -> bytes:
    """Outcome codes, a byte each."""
    return bytes(_CODE_BYTES[code] for code in codes)


def code_of(byte: int) -> str:
    """The inverse of :func:`code_byte`."""
    return _CODES[byte]


def pack_statuses(statuses: Iterable[Status | None]) -> bytes:
    """Statuses, a byte each."""
    return bytes(_STATUS_BYTES[status] for status in statuses)


def status_of(byte: int) -> Status | None:
    """The status that a byte stands for."""
    return _STATUSES[byte]


def pack_new_ids(ids: Sequence[int | None]) -> bytes | None:
    """As :func:`pack_ids`, 0 for None; None when there is none at all."""
    return pack_ids(new_id or 0 for new_id in ids) if any(ids) else None
