"""The tutorial is run, block by block, as a reader would."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def test_every_block_of_the_tutorial_works(tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```(\w+) ?(\S*)\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL
    )
    assert [kind for kind, _, _ in blocks].count("sh") == 7
    for kind, name, text in blocks:
        if kind == "python":
            (tmp_path / name).write_text(text)
    script = "".join(text for kind, _, text in blocks if kind == "sh")
    folder = Path(sys.executable).parent
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "RESCIND_PORT": "0"},
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
    assert '{"responseStatus":"SUCCESS","data":{"id":2}}' in said
    assert "Job [1] is not found in QUEUED or QUEUEING state" in said
    assert "[after cancel] Closing the file" in said
