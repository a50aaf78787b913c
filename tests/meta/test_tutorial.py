"""The tutorial is run, block by block, as a reader would."""

import os
import re
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
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "RESCIND_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"responseStatus":"SUCCESS","data":{"id":2}}' in done.stdout
    assert "Job [1] is not found in QUEUED or QUEUEING state" in done.stdout
    assert "[after cancel] Closing the file" in done.stdout
