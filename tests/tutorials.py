"""Pages whose blocks are run, one after the other, as a reader would."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from processes import HANG_SECONDS

DOCS = Path(__file__).parents[1] / "docs"


def run(
    page: str, folder: Path, *, section: str = "", put: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run the blocks of a page, or of one section of it, in a folder; how many blocks of commands
    there are, and all that they say. ``put``: words to put in place of some of its commands'.
    """
    text = (DOCS / page).read_text()
    if section:
        _, title, text = text.partition(f"\n## {section}\n")
        assert title
        text, _, _ = text.partition("\n## ")
    blocks = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for kind, name, block in blocks:
        if kind == "python" and name:
            (folder / name).write_text(block)
    commands = [block for kind, _, block in blocks if kind == "sh"]
    script = "".join(commands)
    for old, new in (put or {}).items():
        assert old in script
        script = script.replace(old, new)
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RESCIND_PORT": "0",
            "XDG_STATE_HOME": str(folder / "state"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=HANG_SECONDS)
        finally:
            end_below(shell.pid)
    assert shell.returncode == 0, said
    return len(commands), said


def end_below(pid: int) -> None:
    """End a process and all below it: what a block that failed has left behind."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
