"""The tutorial is run, block by block, as a reader would."""

from pathlib import Path

import pytest

import tutorials

SAID = {
    "tutorial.md": (
        7,
        '{"responseStatus":"SUCCESS","data":{"id":2}}',
        "Job [1] is not found in QUEUED or QUEUEING state",
        "[after cancel] Closing the file",
    ),
    "clients.md": (
        4,
        '"rows": 3',
        "Job Completion Status: SUCCESS",
        "3 jobs: 3 SCHEDULED",
        "3 accepted, 0 refused",
        "3 stopped by now",
        "3 undone, 0 refused",
        "ACCEPTED None",
        "has ended as CANCELLED (and 2 more)",
    ),
    "taking-back.md": (
        8,
        '"total":10000,"left_out":0,"statuses":{"SCHEDULED":10000}',
        '"done":10000,"stopped":10000,"outcomes":{"ACCEPTED":10000}',
        '{"id":10000,"code":"ACCEPTED","status":"CANCELLING"}',
        '"outcomes":{"SUBMITTED":10000}',
        "is being undone, or was undone already",
        '"stopped":5000',
    ),
}
"""How many blocks of commands a page has, and what they say."""


@pytest.mark.parametrize("page", SAID)
def test_every_block_of_a_tutorial_works(tmp_path: Path, page: str) -> None:
    count, *expected = SAID[page]
    found, said = tutorials.run(page, tmp_path)
    assert found == count
    for words in expected:
        assert str(words) in said
