"""What stands for a code or a status in databases, for good."""

from rescind.lifecycle import Status
from rescind.operation import OUTCOME_CODES
from rescind.store.sql import packing


def test_every_outcome_has_a_byte_and_every_byte_its_outcome() -> None:
    assert set(packing._CODES) == set(OUTCOME_CODES)
    assert len(set(packing._CODES)) == len(packing._CODES) < 256
    assert [packing.code_of(byte) for byte in packing.pack_codes(OUTCOME_CODES)] == [*OUTCOME_CODES]
    assert set(packing._STATUSES) == {None, *Status}


def test_what_a_byte_stands_for_never_changes() -> None:
    """New ones come last: these are in databases."""
    assert packing._CODES[:17] == (
        *("NOT_DONE", "ACCEPTED", "ALREADY_CANCELLING", "ALREADY_CANCELLED", "FINISHED"),
        *("NOT_CANCELLABLE", "UNKNOWN", "RACE_CONDITION", "STARTED", "NOT_SCHEDULED"),
        *("SUBMITTED", "NOT_FINISHED", "HAD_STARTED", "NOT_CANCELLED", "ALREADY_UNDONE"),
        *("EXISTS", "METADATA_UNKNOWN"),
    )
    assert packing._STATUSES[:6] == (
        None,
        *("SCHEDULED", "QUEUEING", "QUEUED", "RUNNING", "CANCELLING"),
    )
    assert packing.pack_ids([1, 2**62]) == b"\x01" + bytes(7) + bytes(7) + b"\x40"
    assert packing.unpack_ids(packing.pack_ids([3, 1, 2**63 - 1])) == [3, 1, 2**63 - 1]
