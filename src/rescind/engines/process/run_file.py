"""Run files: each keeper has one, locked as long as it or an init of its runs lives, that names its
run. So whoever comes after its worker can tell which runs may still be going.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from rescind.model import RunRef

_NAME = re.compile(r"[0-9a-f]{32}")
_NAMED = re.compile(rb"([0-9]+) ([0-9]+)")
_BYTES = 64
"""Written at once, so that nobody reads half of it."""


class RunFile:
    """A keeper's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(mode=0o700, exist_ok=True)  # somebody may have removed it
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        """For the inits, which hold the lock as well."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def name(self, run: RunRef | None) -> None:
        """This run is about to start; or, None, nothing is left of the last."""
        words = "" if run is None else f"{run.job_id} {run.attempt}"
        os.pwrite(self.descriptor, words.ljust(_BYTES).encode(), 0)

    def remove(self) -> None:
        """The keeper ends, and keeps nothing."""
        with contextlib.suppress(OSError):
            self._path.unlink()


def going(folder: Path, among: Collection[Path] | None = None) -> Mapping[Path, RunRef | None]:
    """The locked files of a folder, or of those ``among`` it, and the run that each names, if any.
    Files that nobody locks are removed: what they name has ended. Whatever else is there is left
    alone. Raises OSError when one cannot be opened.
    """
    found: dict[Path, RunRef | None] = {}
    for path in sorted(folder.iterdir()) if among is None else among:
        if not (_NAME.fullmatch(path.name) and path.is_file()):
            continue
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                named = _NAMED.fullmatch(file.read(_BYTES).strip())
                found[path] = None if named is None else RunRef(int(named[1]), int(named[2]))
            else:
                path.unlink()
    return found
