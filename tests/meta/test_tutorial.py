"""The tutorial is run, block by block, as a reader would."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
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
    text = (DOCS / page).read_text()
    blocks = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    count, *expected = SAID[page]
    assert [kind for kind, _, _ in blocks].count("sh") == count
    for kind, name, text in blocks:
        if kind == "python":
            (tmp_path / name).write_text(text)
    script = "".join(text for kind, _, text in blocks if kind == "sh")
    folder = Path(sys.executable).parent
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "RESCIND_PORT": "0",
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=90)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # the service, where a block has failed
    assert shell.returncode == 0, said
    for words in expected:
        assert str(words) in said
